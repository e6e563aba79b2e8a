"""`inv artifacts`: the releases that can be deployed, in dist/ and in the bucket, and which of them were verified."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fabfile.backends import Backends


@dataclass(frozen=True)
class Artifact:
    """One archive: its release and SHA-256, its size in bytes, where it lies, and what its builder said of it."""

    release: str
    digest: str
    size: int
    commit: str
    built_at: str
    signed: bool
    where: tuple[str, ...]


@verb(help={"env": ENV, "json": JSON})
def artifacts(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the releases in dist/ and in the bucket, the newest first, and whether the environment verified them."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        rows, documents = [], []
        for found in merged([*_in_dist(session), *_in_bucket(session)]):
            record = session.verified.find(found.release, found.digest)
            verified = f"{record.at} by {record.by}" if record else "-"
            size, where = f"{found.size / 1e6:.1f} MB", ", ".join(found.where)
            signed = "yes" if found.signed else "no"
            facts = [found.release, found.built_at or "-", found.commit[:10] or "-", size, signed, where]
            rows.append([*facts, verified, found.digest])
            documents.append({**asdict(found), "verified": asdict(record) if record else None})
        columns = ("RELEASE", "BUILT (UTC)", "COMMIT", "SIZE", "SIGNED", "IN", f"VERIFIED IN {session.name.upper()}")
        reporter.table((*columns, "SHA-256"), rows, documents, "no releases yet: inv build")


def merged(found: Iterable[Artifact]) -> list[Artifact]:
    """Each archive once, with all places that have it; the newest first. Of one release there may be several."""
    together: dict[tuple[str, str], Artifact] = {}
    for one in found:
        before = together.get((one.release, one.digest), one)
        where = tuple(sorted({*before.where, *one.where}))
        commit, built_at = before.commit or one.commit, before.built_at or one.built_at
        signed = before.signed or one.signed
        together[(one.release, one.digest)] = Artifact(
            one.release, one.digest, one.size, commit, built_at, signed, where
        )
    return sorted(together.values(), key=lambda one: (one.built_at, one.release, one.digest), reverse=True)


def _in_dist(session: Backends) -> Iterable[Artifact]:
    from fabfile.artifact.archive import archives, read_manifest, signature_path

    for path in archives(session.dist):
        try:
            manifest = read_manifest(path)
        except BadInput as error:
            session.reporter.say(f"left out: {error.fact}")
            continue
        signed = signature_path(path).is_file()
        commit = f"{manifest.commit or ''}{' and more' if manifest.dirty else ''}"
        yield Artifact(manifest.id, manifest.digest, manifest.size, commit, manifest.built_at, signed, ("dist",))


def _in_bucket(session: Backends) -> Iterable[Artifact]:
    if session.environment.backup is None:
        return
    for found in session.shelf.list():
        facts = (found.commit, found.built_at, found.signed)
        yield Artifact(found.release, found.digest, found.size, *facts, ("bucket",))
