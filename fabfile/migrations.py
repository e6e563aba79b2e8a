"""What a release's migrations mean for a run on this environment, by looking at its database and at what runs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Interrupted, TurnoutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fabfile.artifact.archive import Release
    from fabfile.config.migrations import MigrationSettings
    from fabfile.config.schema import Environment
    from fabfile.model.migration import Known
    from fabfile.model.observed import Observed
    from fabfile.planning.migrations import Due
    from fabfile.session import Session

TOGETHER = "bring release and database back together: inv rollback --backup=N"


def migration_settings(environment: Environment, name: str) -> MigrationSettings:
    """The environment's section about them. Raises BadInput where there is none."""
    if environment.migrations is None:
        raise BadInput(f"hosts/{name}.yml has no migrations section", "hosts/example.yml shows one")
    return environment.migrations


@contextmanager
def told_what_stays() -> Iterator[None]:
    """Ctrl-C ends a statement, and not what was applied before it: raise Interrupted, which says so."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; every migration that had ended stays as it is, and the one at work was ended",
            "see where the database is: inv migrate.status; then type the command again",
        ) from None


def due(
    session: Session,
    release: Release,
    observed: Mapping[str, Observed],
    everywhere: bool = True,
    over_contract: bool = False,
) -> Due | None:
    """What of a release's migrations a run has to apply; None where the environment has no SQL files of them.

    Contract migrations that must wait are left out where the run does not take place on all hosts (`everywhere`), and
    wait for nothing with `over_contract`. Raises Refused where files and database contradict each other, where the
    release was built before a contract migration, or where squawk objects to a pending file.
    """
    from fabfile.artifact.migrations import read_release
    from fabfile.artifact.squawk import lint
    from fabfile.planning.migration_files import known
    from fabfile.planning.migration_lint import refuse
    from fabfile.planning.migrations import Due, compare, refuse_if_drifted, refuse_over_contract, split

    settings, identity = session.environment.migrations, release.manifest.id
    if settings is None:
        return None
    migrations, applied = read_release(release, settings.folder), session.ledger.applied()
    standing = compare(migrations, applied)
    refuse_if_drifted(standing, identity)
    hint = f"deploy one that knows it; {TOGETHER}; if you know that it does not need it: --skip-migrate"
    refuse_over_contract(identity, applied, known(release.manifest, settings.folder), hint)
    serving: list[Known] = []
    if not over_contract and any(one.phase == "contract" for one in standing.pending):
        serving = [held for _, held in running(session, observed)] + ([] if everywhere else [frozenset()])
    found = split(standing.pending, serving)
    refuse(lint(standing.pending))
    if found.after and not everywhere:
        waiting = ", ".join(one.name for one in found.after)
        session.reporter.say(f"{waiting} (contract) waits until every host serves {identity}: inv migrate")
        return Due(found.before)
    return found


def refuse_over_contract(session: Session, identity: str, observed: Mapping[str, Observed]) -> None:
    """Raise Refused where code alone would go back to a release from before a contract migration."""
    from fabfile.planning import migrations

    if session.environment.migrations is None:
        return
    try:
        applied = session.ledger.applied()
    except TurnoutError as error:
        error.hint = f"{error.hint}; to go back without asking the database: --over-contract"
        raise
    if any(row.phase == "contract" for row in applied):
        hint = f"{TOGETHER}; if you know that it does not need it: inv rollback --over-contract"
        migrations.refuse_over_contract(identity, applied, _held(session, identity, observed), hint)


def running(session: Session, observed: Mapping[str, Observed]) -> list[tuple[str, Known]]:
    """The releases that users get from these hosts, each with the migrations that it holds."""
    return [(release, _held(session, release, observed)) for release in live_releases(session, observed)]


def live_releases(session: Session, observed: Mapping[str, Observed]) -> list[str]:
    """What users get from these hosts, sorted."""
    apps = [seen for name, seen in observed.items() if name in session.environment.app_hosts]
    return sorted({seen.live_release for seen in apps if seen.live_release})


def _held(session: Session, identity: str, observed: Mapping[str, Observed]) -> Known:
    """What a release holds; nothing where its manifest is kept nowhere, so that it is taken for an old one."""
    from fabfile.artifact.kept import fetch_kept
    from fabfile.planning.migration_files import known

    settings = session.environment.migrations
    assert settings
    hosts = [session.fleet[name] for name, seen in observed.items() if identity in seen.releases]
    try:
        return known(fetch_kept(hosts, session.paths, identity, Path(), whole=False).manifest, settings.folder)
    except BadInput:
        return frozenset()
