"""Whether the bucket, and the one for copies, answers and is safe: encrypted, with versions, closed to the public."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.config.backup import BucketSettings
from fabfile.model.finding import Finding, Remedy, Verdict, beside_the_point, critical, fine, here, unseen, worst
from fabfile.planning.bucket import Finding as Setting

GRAVE = ("bucket", "public access")
"""Settings whose lack leaves no backup, or gives it to everybody."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs what `inv bucket.setup` shows of each bucket, and its endpoint."""
    settings, setup = evidence.environment.backup, ("inv", "bucket.setup", "--yes")
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no backup section")
        return
    env, sealed = f"--env={evidence.name}", bool(settings.recipients)
    yield from _look(settings, evidence.bucket, evidence.in_clear and not sealed, here(*setup, env))
    if settings.copy_to:
        mend = here(*setup, "--copy", env)
        yield from _look(settings.copy_to, evidence.copy, evidence.copy_in_clear and not sealed, mend)


def _look(
    settings: BucketSettings, found: Sequence[Setting] | Unseen, in_clear: bool, setup: Remedy
) -> Iterator[Finding]:
    where = f"s3://{settings.bucket}"
    if not isinstance(found, Unseen):
        yield _judge(where, found, setup)
    elif found.kind == "failed":
        yield critical(where, found.why, found.remedy or Remedy(note="look at the store"))
    else:
        yield unseen(where, found.why, found.remedy)
    if in_clear:
        yield _in_clear(where)


def _judge(where: str, found: Sequence[Setting], setup: Remedy) -> Finding:
    """One finding for the bucket, as one command mends it."""
    told = [f"{one.setting}: {one.now}" for one in found if one.state in ("differs", "mind")]
    hidden = [f"{one.setting}: {one.now}" for one in found if one.state == "hidden"]
    verdict = worst(_verdict(one) for one in found)
    if verdict in ("critical", "warning"):
        notes = [one.remedy for one in found if one.state == "mind"]
        differs = any(one.state == "differs" for one in found)
        remedy = Remedy(setup.command if differs else "", note="; ".join(notes))
        return Finding(where, verdict, "; ".join(told), remedy)
    if hidden:
        return unseen(where, "; ".join(hidden), Remedy(note="ask with a key that may see the bucket's settings"))
    return fine(where, "; ".join(f"{one.setting}: {one.now}" for one in found if one.state == "fine"))


def _verdict(one: Setting) -> Verdict:
    if one.state == "differs":
        return "critical" if one.setting in GRAVE else "warning"
    return "warning" if one.state == "mind" else "ok"


def _in_clear(where: str) -> Finding:
    told = "backups go to the store unencrypted: the endpoint is http://, and there are no backup.recipients"
    note = "let its endpoint be https:// (its ca_file vouches for a certificate of your own), or set recipients"
    return Finding(where, "warning", told, Remedy(note=note))
