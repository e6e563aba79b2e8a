"""What a release's migrations mean for a database: what is pending, what has drifted, and which way is safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fabfile.errors import Refused
from fabfile.model.migration import Applied, Known, Migration


@dataclass(frozen=True)
class Standing:
    """A release's migrations beside a database's: `pending` ones in their order, those that the database is `ahead` by,
    and everything by which the two contradict each other."""

    pending: tuple[Migration, ...]
    ahead: tuple[Applied, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Due:
    """What a run has to apply: `before` its release starts, and `after` no other release runs any more."""

    before: tuple[Migration, ...] = ()
    after: tuple[Migration, ...] = ()


def compare(migrations: Sequence[Migration], applied: Sequence[Applied]) -> Standing:
    """How the release's migrations (in order) and the database's stand to each other."""
    ours = {migration.version: migration for migration in migrations}
    highest, reached = max(ours, default=0), max((row.version for row in applied), default=0)
    there = {row.version for row in applied}
    ahead, problems = [], []
    for row in sorted(applied, key=lambda row: row.version):
        migration = ours.get(row.version)
        if migration is None and row.version > highest:
            ahead.append(row)
        elif migration is None:
            problems.append(f"{row.name}.sql is missing: it was applied from {row.release} at {row.at}")
        elif migration.checksum != row.checksum:
            was = "" if migration.name == row.name else f", when it was {row.name}.sql"
            problems.append(f"{migration.name}.sql is not what was applied from {row.release} at {row.at}{was}")
    pending = tuple(migration for migration in migrations if migration.version not in there)
    problems += [
        f"{migration.name}.sql comes too late: number {reached} is applied already"
        for migration in pending
        if migration.version < reached
    ]
    return Standing(pending, tuple(ahead), tuple(problems))


def refuse_if_drifted(standing: Standing, release: str) -> None:
    """Raise Refused where files and database contradict each other."""
    if standing.problems:
        raise Refused(
            f"the migrations of {release} do not fit the database",
            "bring back what was applied as it was, and give new files numbers behind it: inv migrate.status",
            standing.problems,
        )


def refuse_over_contract(release: str, applied: Iterable[Applied], holds: Known, hint: str) -> None:
    """Raise Refused where a contract migration that this release does not hold took something from the database."""
    over = [row.name for row in applied if row.phase == "contract" and row.key not in holds]
    if over:
        verb = "has" if len(over) == 1 else "have"
        raise Refused(
            f"{', '.join(over)} (contract) {verb} been applied, and {release} was built before: "
            "it may need what that took away",
            hint,
        )


def split(pending: Sequence[Migration], serving: Sequence[Known]) -> Due:
    """Which of them come before the start of a new release, and which only after it took over.

    A contract migration waits as long as a release runs that does not hold it; `serving` are those that run now, and
    nothing waits where there are none. Raises Refused where one that cannot wait comes behind one that must.
    """
    before: list[Migration] = []
    after: list[Migration] = []
    problems = []
    for migration in pending:
        if migration.phase == "contract" and not all(migration.key in holds for holds in serving):
            after.append(migration)
        elif after:
            problems.append(f"{migration.name} cannot come before {after[-1].name} (contract), which has to wait")
        else:
            before.append(migration)
    if problems:
        raise Refused(
            "a contract migration has to wait until the release that runs now is gone, and others come behind it",
            f"first deploy a release that ends with {after[0].name}; or, if what runs needs nothing of what goes: "
            "inv migrate --release=ID --over-contract",
            problems,
        )
    return Due(tuple(before), tuple(after))


def to_take_back(applied: Sequence[Applied], down_to: int | None, live: Iterable[tuple[str, Known]]) -> list[Applied]:
    """The applied ones above version `down_to`, the newest first; without it the newest alone. `live` are the releases
    that run, with what they hold. Raises Refused where one of those needs them, or nothing takes one back."""
    rows = sorted(applied, key=lambda row: row.version, reverse=True)
    if down_to is not None and down_to not in {0, *(row.version for row in rows)}:
        raise Refused(f"no migration {down_to} is applied", "inv migrate.status shows which are")
    chosen = rows[:1] if down_to is None else [row for row in rows if row.version > down_to]
    problems = [
        f"{row.name}: {release} runs and holds it" for row in chosen for release, holds in live if row.key in holds
    ]
    if problems:
        raise Refused(
            "what runs relies on these migrations", "first go back to a release before them: inv rollback", problems
        )
    if lacking := [f"{row.name}: had no {row.name}_down.sql when it was applied" for row in chosen if row.down is None]:
        raise Refused(
            "not every migration can be taken back", "write a new migration that does: inv migrate.new", lacking
        )
    return chosen


def overview(migrations: Sequence[Migration], applied: Sequence[Applied]) -> list[dict[str, object]]:
    """Every migration of either side with its state: applied, pending, ahead, changed or missing; oldest first."""
    standing = compare(migrations, applied)
    ours = {migration.version: migration for migration in migrations}
    ahead = {row.version for row in standing.ahead}
    lines: dict[int, dict[str, object]] = {}
    for row in applied:
        mine = ours.get(row.version)
        same = "applied" if mine and mine.checksum == row.checksum else "changed"
        state = "ahead" if row.version in ahead else same if mine else "missing"
        lines[row.version] = {
            "version": row.version,
            "name": row.name,
            "phase": row.phase,
            "state": state,
            "at": row.at,
            "seconds": row.seconds,
            "release": row.release,
            "down": row.down is not None,
        }
    for one in standing.pending:
        lines[one.version] = {
            "version": one.version,
            "name": one.name,
            "phase": one.phase,
            "state": "pending",
            "at": None,
            "seconds": None,
            "release": None,
            "down": one.down is not None,
        }
    return [lines[version] for version in sorted(lines)]
