"""What checks found, for people and as JSON: what is wrong stands with its remedy, the same of several hosts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import get_args

from fabfile.model.finding import GREEN, Finding, Verdict

Found = Mapping[str, Sequence[Finding]]
"""The findings of each check, by its name."""


def findings_text(found: Found) -> str:
    """A line for each, in the order of the checks, its remedy below it; and how many there are of each verdict."""
    rows = [row for check, findings in found.items() for row in _rows(check, findings)]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    lines = []
    for *cells, seen, remedy in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{left}  {seen}".rstrip())
        if remedy:
            lines.append(f"{' ' * widths[0]}  -> {remedy}")
    return "\n".join([*lines, summary(found)])


def findings_document(environment: str, found: Found) -> dict[str, object]:
    """The same as JSON."""
    findings = [{"check": check, **asdict(one)} for check, several in found.items() for one in several]
    return {"environment": environment, "green": is_green(found), "counts": _counts(found), "findings": findings}


def is_green(found: Found) -> bool:
    """Nothing is wrong, and everything that applies was looked at."""
    return all(one.verdict in GREEN for findings in found.values() for one in findings)


def summary(found: Found) -> str:
    """How many there are of each verdict."""
    counted = ", ".join(f"{number} {verdict}" for verdict, number in _counts(found).items() if number)
    return f"{'all green' if is_green(found) else 'not all green'}: {counted}"


def _rows(check: str, findings: Iterable[Finding]) -> list[tuple[str, str, str, str, str]]:
    """Verdict, check, where, what was seen, remedy."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for one in findings:
        same.setdefault((one.verdict, one.seen, one.remedy.sentence if one.remedy else ""), []).append(one.where)
    return [
        (verdict, check, " ".join(filter(None, where)), seen, remedy) for (verdict, seen, remedy), where in same.items()
    ]


def _counts(found: Found) -> dict[str, int]:
    counter = Counter(one.verdict for findings in found.values() for one in findings)
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    return {verdict: counter[verdict] for verdict in verdicts}
