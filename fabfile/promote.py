"""`inv promote`: what one environment serves and has verified goes live in another, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.deploy import Wishes, bring
from fabfile.errors import BadInput, TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, HOTFIX, JSON, LOCK_WAIT, REASON, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabfile.artifact.archive import Release
    from fabfile.model.verified import Verified
    from fabfile.session import Session


@verb(
    help={
        "from_": "the environment whose live release is promoted, such as staging",
        "env": ENV,
        "plan": "only show what would be done",
        "canary": "give shares of the clients the release first: 10,50,100 (percent); without 100 it stays there",
        "step": "how long each share is watched before the next (default 2m)",
        "watch": "how long the gates watch once all traffic has moved, the old slot still running",
        "serial": "move traffic on so many hosts at a time: a number, or a percentage such as 25%",
        "skip_backup": "do not take the backup that the environment asks for",
        "skip_migrate": "leave the database alone: run no migration, nor ask whether the release fits it",
        "hotfix": HOTFIX,
        "reason": REASON,
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def promote(
    reporter: Reporter,
    from_: str,
    env: str | None = None,
    plan: bool = False,
    canary: str | None = None,
    step: str = "2m",
    watch: str | None = None,
    serial: str | None = None,
    skip_backup: bool = False,
    skip_migrate: bool = False,
    hotfix: bool = False,
    reason: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Deploy the very archive that another environment serves and has verified; nothing is built again."""
    import os

    from fabfile.admission import hotfix_reason
    from fabfile.backends import PROJECT
    from fabfile.config.load import choose
    from fabfile.session import opened

    wishes = Wishes(
        plan=plan,
        canary=canary,
        serial=serial,
        step=duration(step, "--step"),
        watch=duration(watch, "--watch") if watch else 0.0,
        skip_backup=skip_backup,
        skip_migrate=skip_migrate,
        hotfix=hotfix_reason(hotfix, reason),
        lock_wait=duration(lock_wait, "--lock-wait"),
        yes=yes,
    )
    with (
        opened(choose(from_, PROJECT, os.environ, "--from"), reporter, read_only=True) as source,
        opened(env, reporter, read_only=plan) as session,
        tempfile.TemporaryDirectory(prefix="turnout-") as folder,
    ):
        _refuse_strangers(source, session)
        bring(session, wishes, lambda: promoted(source, session, Path(folder)), source.name)


def promoted(source: Session, session: Session, folder: Path) -> Release:
    """The release that `source` serves and has verified, found in dist/, its bucket or on its hosts, and accepted here.

    Raises Refused where it is not verified, was built again, or is not signed as `session` asks.
    """
    from fabfile.planning.promotion import live_everywhere, refuse_other_archives, refuse_unless_verified

    release = live_everywhere(source.name, source.observe(), source.environment.app_hosts)
    served = source.kept_digest(release)
    verified = refuse_unless_verified(source.name, release, served, source.verified.of(release))
    refuse_other_archives(verified, dict(_places(source, session, release)))
    session.reporter.say(
        f"{source.name} verified {release} (SHA-256 {verified.digest}) at {verified.at}, deployed by {verified.by}"
    )
    return session.accepted(_archive(source, session, verified, folder))


def _refuse_strangers(source: Session, session: Session) -> None:
    if source.name == session.name:
        raise BadInput(
            f"{session.name} cannot be promoted to itself", "name two: inv promote --from=staging --env=production"
        )
    ours, theirs = session.environment.app, source.environment.app
    if ours != theirs:
        raise BadInput(
            f"{source.name} serves another application: {theirs}, not {ours}",
            f"see app in hosts/{source.name}.yml and hosts/{session.name}.yml",
        )


def _places(source: Session, session: Session, release: str) -> Iterator[tuple[str, str]]:
    """Where archives of this name are kept, and the SHA-256 of each."""
    from fabfile.artifact.archive import is_elsewhere, open_release

    if not is_elsewhere(release, session.dist):
        found = open_release(release, session.dist)
        yield f"dist/{found.path.name}", found.manifest.digest
    for each in (source, session):
        if each.environment.backup and (digest := each.shelf.digest(release)):
            yield f"the bucket of {each.name}", digest
        for host, kept in each.kept_digests(release).items():
            yield f"{host} of {each.name}", kept


def _archive(source: Session, session: Session, verified: Verified, folder: Path) -> Release:
    """The verified bytes, rather from where a signature lies beside them if one is asked for."""
    reasons: list[str] = []
    unsigned: Release | None = None
    for place in (_in_dist, _in_bucket, _on_hosts):
        try:
            release = place(source, verified.release, folder)
        except TurnoutError as error:  # the next place may have it
            reasons.append(error.fact)
            continue
        if release.manifest.digest != verified.digest:
            reasons.append(f"{release.path.name} has SHA-256 {release.manifest.digest} by now")
        elif release.signature or not session.environment.artifacts.signers:
            return release
        else:
            unsigned = unsigned or release
    if unsigned is None:
        raise BadInput(
            f"the archive of {verified.release} is nowhere to be had", f"inv artifacts --env={source.name}", reasons
        )
    return unsigned


def _in_dist(source: Session, release: str, folder: Path) -> Release:
    from fabfile.artifact.archive import open_release

    return open_release(release, source.dist)


def _in_bucket(source: Session, release: str, folder: Path) -> Release:
    return source.shelf.fetch(release, folder)


def _on_hosts(source: Session, release: str, folder: Path) -> Release:
    from fabfile.artifact.kept import fetch_kept

    hosts = [source.fleet[name] for name in source.environment.app_hosts]
    return fetch_kept(hosts, source.paths, release, folder, whole=True)
