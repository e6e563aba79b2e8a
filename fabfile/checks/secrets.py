"""Whether secrets are changed often enough, and none is another environment's."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, Remedy, beside_the_point, critical, fine, here, unseen, warning
from fabfile.planning.custody import Item


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the age of each secret and a comparison with `custody.differs_from`; no value itself."""
    if not evidence.environment.secrets:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no secrets")
        return
    if isinstance(evidence.custody, Unseen):
        yield unseen("", evidence.custody.why, evidence.custody.remedy)
        return
    items, compared = evidence.custody
    wrong = False
    for ours, theirs in compared.shared if compared else ():
        wrong = True
        assert compared
        yield critical(
            f"secrets.{ours}", f"is {compared.other}'s {theirs}, too", _change(evidence, _named(items, ours))
        )
    for item in items:
        if item.state == "due":
            wrong = True
            told = f"unchanged since {item.changed}, due to be changed since {item.due}"
            yield warning(f"secrets.{item.name}", told, _change(evidence, item))
    if not wrong:
        unknown = [item.name for item in items if item.state == "unknown"]
        of_these = f"; since when, nobody tells of {', '.join(unknown)} (custody.changed)" if unknown else ""
        apart = f", none of them {compared.other}'s" if compared and not compared.unknown else ""
        yield fine("", f"{len(items)} secrets{apart}, none due to be changed{of_these}")


def _named(items: tuple[Item, ...], name: str) -> Item:
    return next(item for item in items if item.name == name)


def _change(evidence: Evidence, item: Item) -> Remedy:
    """What is in the vault is changed from here; the rest where it is kept."""
    kind, _, name = item.source.partition(":")
    if kind == "age":
        return here("inv", "secrets.set", name, f"--env={evidence.name}", note="it asks for the new value")
    return Remedy(note=f"give it a new value in {item.source}, then deploy")
