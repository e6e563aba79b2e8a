"""Is the new release as good as the old one, while both have traffic, or after all of it has moved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fabfile.commands import access_log, process_signs, traffic
from fabfile.commands.process_signs import Signs
from fabfile.commands.release import keep_verdict
from fabfile.engine.events import Judged, Note
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.errors import Held, RemoteError, TurnoutError
from fabfile.model.observed import Slot, other
from fabfile.model.plan import WebPlan
from fabfile.model.script import Script
from fabfile.model.traffic import Position, Reading, Tally
from fabfile.planning.gates import Judgement, Look, Verdict, conclude, follow
from fabfile.remote.port import Host
from fabfile.steps.target import Target

T = TypeVar("T")
BASELINE = 8 << 20
"""Bytes of the newest log that tell how the old slot did before all traffic left it."""


def gate(target: Target, percent: int) -> OperatorStep:
    """Compare both slots for as long as one share of the clients lasts; taken back with that share."""
    seconds = target.plan.rollout.step
    title = f"compare both slots for {seconds:g} s, at {percent} %"
    hosts = tuple(web.host for web in target.plan.webs)
    name = f"gate-{percent}"
    return OperatorStep(name, title, hosts, lambda run: _Gate(target, run, name).judge(seconds))


def watch(target: Target) -> OperatorStep:
    """Compare the new slot, which has all traffic, with what the old one did before; the old slot still runs."""
    seconds = target.plan.rollout.watch
    hosts = tuple(web.host for web in target.plan.webs)
    title = f"watch {target.plan.release} for {seconds:g} s, ready to go back"
    return OperatorStep("watch", title, hosts, lambda run: _Gate(target, run, "watch").judge(seconds, alone=True))


@dataclass(frozen=True)
class _Gate:
    """One gate of one run."""

    target: Target
    run: Run
    name: str

    def judge(self, seconds: float, alone: bool = False) -> None:
        """Look every `gates.interval` until the time is over. Raises TurnoutError for a release that is worse."""
        settings = self.target.environment.gates
        judgement = Judgement(baseline=self._baseline() if alone else None)
        positions = self._marks()
        processes = self._signs()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 or judgement.latest is None:
            time.sleep(max(0.0, min(settings.interval, left)))
            readings = self._readings(positions)
            positions = {host: reading.position for host, reading in readings.items()}
            judgement = follow(judgement, self._look(readings, processes), settings)
            if judgement.latest:
                self.run.emit(Note(f"{judgement.latest.outcome}: {judgement.latest.sentence}"))
            if judgement.failure:
                break
        self._conclude(conclude(judgement, settings), alone)

    def _conclude(self, verdict: Verdict, alone: bool) -> None:
        self._record(verdict)
        wanted = self.target.environment.gates.on_inconclusive
        if verdict.outcome == "fail" or (verdict.outcome == "inconclusive" and wanted == "rollback"):
            raise TurnoutError(verdict.sentence, "inv status shows what is live; the logs of the new slot tell more")
        if verdict.outcome == "inconclusive" and wanted == "hold" and not alone:
            script = traffic.confirm(self.target.paths, self.target.run, final=True)
            self.run.on_hosts("hold", {web.host: script for web in self.target.plan.webs})
            raise Held(
                f"the canary is held as it is: {verdict.sentence}",
                "go on: inv canary.set PERCENT (100 for all) or inv deploy.resume; go back: inv canary.stop",
            )

    def _record(self, verdict: Verdict) -> None:
        document = {"run": self.run.id, "step": self.name, **verdict.to_json()}
        self.run.emit(Judged(self.name, document))
        script = keep_verdict(self.target.paths, json.dumps(document))
        self.run.on_hosts("verdict", {web.host: script for web in self.target.plan.webs})

    def _look(self, readings: Mapping[str, Reading], processes: Mapping[str, Signs]) -> Look:
        for host, reading in readings.items():
            for note in reading.notes:
                self.run.emit(Note(f"{host}: {note}"))
        now = self._signs()
        slots = [(readings[web.host].tallies, web) for web in self.target.plan.webs]
        return Look(
            new=sum((tallies[web.slot] for tallies, web in slots), Tally()),
            old=sum((tallies[_old(web)] for tallies, web in slots), Tally()),
            restarted=tuple(host for host, seen in now.items() if seen.pid != processes[host].pid),
            unready=tuple(host for host, seen in now.items() if not seen.ready),
        )

    def _marks(self) -> dict[str, Position]:
        script = access_log.mark(self.target.paths.access_log)
        return self._ask(self._webs, lambda host: script, access_log.parse_mark)

    def _readings(self, positions: Mapping[str, Position]) -> dict[str, Reading]:
        held = traffic.on_trial(self.target.paths, self.run.id)
        return self._ask(self._webs, lambda host: held.then(self._tally(positions[host])), access_log.parse)

    def _baseline(self) -> Tally:
        start = Position(0, 0)
        found = self._ask(self._webs, lambda host: self._tally(start, limit=BASELINE), access_log.parse)
        return sum((found[web.host].tallies[_old(web)] for web in self.target.plan.webs), Tally())

    def _signs(self) -> dict[str, Signs]:
        apps = {app.host: app for app in self.target.plan.apps}
        health = self.target.environment.health

        def script(host: str) -> Script:
            return process_signs.signs(apps[host].address, apps[host].port, health.path, health.request_timeout)

        return self._ask(tuple(apps), script, process_signs.parse)

    def _tally(self, since: Position, limit: int = access_log.LIMIT) -> Script:
        return access_log.tally(self.target.paths.access_log, since, self.target.environment.health.path, limit)

    @property
    def _webs(self) -> tuple[str, ...]:
        return tuple(web.host for web in self.target.plan.webs)

    def _ask(self, hosts: tuple[str, ...], script: Callable[[str], Script], parse: Callable[[str], T]) -> dict[str, T]:
        def ask(host: Host) -> T:
            try:
                return parse(host.run(script(host.name)).stdout)
            except ValueError as error:
                raise RemoteError(host.name, f"the answer could not be understood: {error}", "inv status") from error

        return self.run.fleet.each(hosts, ask)


def _old(web: WebPlan) -> Slot:
    return web.before.live if web.before else other(web.slot)
