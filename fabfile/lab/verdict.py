"""What the demo showed, as a table for people and as a document for programs, and whether it was good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabfile.errors import TurnoutError
from fabfile.lab.narration import StepTaken
from fabfile.lab.tally import Snapshot


@dataclass(frozen=True)
class Verdict:
    """The steps taken, what users met (None: there were none yet), all seconds, and the error that ended it early."""

    steps: Sequence[StepTaken]
    figures: Snapshot | None
    seconds: float
    error: TurnoutError | None

    @property
    def good(self) -> bool:
        """Every step went as the story goes, and users were there and lost nothing."""
        found = self.figures
        if self.error is not None or found is None:
            return False
        return found.failed == 0 and found.sockets.dropped == 0 and found.requests > 0 and found.sockets.echoes > 0

    def document(self) -> Mapping[str, object]:
        found = self.figures
        return {
            "steps": [{"name": step.name, "seconds": step.seconds, "exit": step.exit} for step in self.steps],
            "requests": found.requests if found else 0,
            "failed": found.failed if found else 0,
            "sockets_dropped": found.sockets.dropped if found else 0,
            "sockets_moved": found.sockets.moved if found else 0,
            "outage": {
                "seconds": round(found.outage.seconds, 2) if found else 0.0,
                "statuses": found.outage.statuses if found else {},
            },
            "seconds": round(self.seconds, 2),
            "failures": [str(failure) for failure in found.failures] if found else [],
        }

    def text(self) -> str:
        width = max((len(step.name) for step in self.steps), default=4)
        lines = ["", f"{'step':{width}}  seconds  exit  requests  failed"]
        lines += [
            f"{step.name:{width}}  {step.seconds:7.1f}  {step.exit:4}  {step.requests:8}  {step.failed:6}"
            for step in self.steps
        ]
        lines += ["", *_users(self.figures), ""]
        if self.error is not None:
            lines.append(f"error: {self.error}")
        ending = "everything went as it should" if self.good else "NOT everything went as it should"
        lines.append(f"{ending}, in {self.seconds:.0f} s; scripts/demo --keep leaves the lab up to look around")
        return "\n".join(lines)


def _users(found: Snapshot | None) -> list[str]:
    if found is None:
        return ["users       none yet"]
    sockets = found.sockets
    lines = [
        f"requests    {found.requests} sent, {found.failed} failed",
        f"WebSockets  {sockets.echoes} echoes, {sockets.moved} moved, {sockets.dropped} dropped",
        f"releases    {_counted(found.releases)}",
        f"outage      {found.outage.seconds:.1f} s, answered meanwhile: {_counted(found.outage.statuses)}",
    ]
    if found.failures:
        lines += ["", "What users met, in seconds since they came:", *(f"  {failure}" for failure in found.failures)]
    return lines


def _counted(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name} × {number}" for name, number in figures.items()) or "nothing"
