"""From the bucket to new machines: which backup, onto which of them, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from fabfile.commands.disk import HEADROOM
from fabfile.config.schema import Environment
from fabfile.config.values import HostName
from fabfile.errors import BadInput, Refused
from fabfile.model.database_server import ServerFacts
from fabfile.model.observed import Observed
from fabfile.model.recovery_point import DATABASE, FILES, RELEASE, DatabaseFacts, RecoveryPoint
from fabfile.planning.restorable import what_is_missing
from fabfile.planning.restore_preview import since

HOST_NAME: TypeAdapter[str] = TypeAdapter(HostName)


@dataclass(frozen=True)
class Asked:
    """The hosts that take part, sorted, and the addresses that some were given, by name."""

    hosts: tuple[str, ...]
    addresses: Mapping[str, str]


def lacking(point: RecoveryPoint, has_database: bool) -> tuple[str, ...]:
    """What a backup does not hold of all that an application is rebuilt from."""
    there = {
        "database": not has_database or point.part(DATABASE) is not None,
        "shared files": any(part.name.startswith(FILES) for part in point.objects),
        "release": point.part(RELEASE) is not None,
    }
    return tuple(name for name, found in there.items() if not found)


def newest(points: Sequence[RecoveryPoint], has_database: bool) -> RecoveryPoint:
    """The newest complete backup that restored when it was tried; `points` are newest first.

    Raises Refused where there is none: whoever takes one that nobody tried has to name it.
    """
    complete = [point for point in points if not lacking(point, has_database)]
    if verified := next((point for point in complete if point.verified_at), None):
        return verified
    if not complete:
        raise Refused(
            "no backup holds database, shared files and release together, so nothing can be rebuilt from one",
            "inv backup.list shows what there is, inv backup.pull N brings what is in it",
        )
    first = complete[0]
    raise Refused(
        f"no complete backup was ever verified; the newest is {first.number}, taken {first.created_at}",
        f"take it all the same: inv recover --backup={first.number}",
    )


def refuse_if_lacking(point: RecoveryPoint, points: Sequence[RecoveryPoint], has_database: bool) -> None:
    """Raise BadInput for a backup that the application cannot be rebuilt from, naming those that will do."""
    if missing := lacking(point, has_database):
        complete = [str(other.number) for other in points if not lacking(other, has_database)]
        raise BadInput(
            f"backup {point.number} is of kind {point.kind}: no {' and no '.join(missing)} in it to rebuild from",
            f"complete are: {', '.join(complete[:10])}"
            if complete
            else f"inv backup.pull {point.number} brings what is in it, with a page that says how to go on by hand",
        )
    if point.part(DATABASE) and not has_database:
        raise BadInput(
            f"backup {point.number} holds a database, and the environment has none",
            "add a database section to the environment's file",
        )


def asked_hosts(text: str | None, environment: Environment) -> Asked:
    """The hosts that `--hosts` names: by their names in the environment's file, or by their addresses there, and with
    `name=address` the address that it wants to see there. Raises BadInput."""
    if text is None:
        return Asked(environment.run_hosts, {})
    names, addresses = set(), {}
    known = {host.address: name for name, host in environment.hosts.items() if host.address}
    for word in text.split(","):
        given, equals, address = word.strip().partition("=")
        name = given if given in environment.hosts else known.get(given, given)
        if name not in environment.hosts:
            raise BadInput(
                f"--hosts={text}: {given!r} is neither a host of the environment nor the address of one",
                f"there are: {', '.join(environment.hosts)}; a new machine takes the place of one of them: "
                f"--hosts={next(iter(environment.hosts))}={given or '192.0.2.7'}",
            )
        if equals and address != (environment.hosts[name].address or name):
            addresses[name] = _address(address, word)
        names.add(name)
    hosts = tuple(name for name in environment.run_hosts if name in names)
    for role, some in (("nginx", environment.web_hosts), ("the application", environment.app_hosts)):
        if not set(some) & set(hosts):
            raise BadInput(f"--hosts={text} leaves out every host with {role}", f"there are: {', '.join(some)}")
    return Asked(hosts, addresses)


def _address(text: str, word: str) -> str:
    try:
        return HOST_NAME.validate_python(text)
    except ValidationError:
        raise BadInput(
            f"--hosts: {word!r}: expected a host name or IPv4 address", "write --hosts=h1=192.0.2.7"
        ) from None


def refuse_if_moved(asked: Asked, environment: Environment, name: str, lines: Mapping[str, str]) -> None:
    """Raise BadInput where an address is not yet in the environment's file, with the lines to change (`lines`: where
    each host stands): what is only on one command line is unknown to hosts.trust, deploy.resume and all that follow."""
    if not asked.addresses:
        return
    raise BadInput(
        f"hosts/{name}.yml has other addresses, and every later command looks for the machines there",
        f"change these lines, compare the machines' keys (inv hosts.trust --env={name}), then type this again",
        [
            f"{lines[host]}: hosts.{host}.address: {address} "
            f"(now {environment.hosts[host].address or host})"
            + (f"; its internal as well (now {internal})" if (internal := environment.hosts[host].internal) else "")
            for host, address in asked.addresses.items()
        ],
    )


def refuse_if_live(observed: Mapping[str, Observed]) -> None:
    """Raise Refused where a host has the application already: recovering is for machines that have nothing yet."""
    live = [
        f"{name}: serves {seen.live_release or 'its site'}"
        if seen.live
        else f"{name}: runs {', '.join(str(slot.release) for slot in seen.slots.values() if slot.online)}"
        for name, seen in observed.items()
        if seen.live or any(slot.online for slot in seen.slots.values())
    ]
    if live:
        raise Refused(
            "the application is live there, and inv recover only builds it where it is not",
            "to go back to a backup where it is live: inv rollback --backup=N",
            live,
        )


def needed_bytes(point: RecoveryPoint, host: str) -> int:
    """What comes to a host of a backup; unpacked it is more, and how much, the archive tells."""
    archive, files = point.part(RELEASE), point.files(host)
    assert archive, "a point without a release is refused before"
    return archive.size + (files.size if files else 0)


def refuse_if_unready(problems: Sequence[str]) -> None:
    """Raise Refused with every problem of every machine, the database's among them."""
    if problems:
        raise Refused(
            "the new machines are not ready, so nothing was started", "mend what is named and try again", problems
        )


def database_problems(
    name: str, saved: DatabaseFacts, present: DatabaseFacts | None, server: ServerFacts, free: int | None
) -> list[str]:
    """What keeps a dump from becoming the database of that name; `present` is what it holds now, if it exists, `free`
    the server's free bytes, if they are known."""
    problems = what_is_missing(saved, server)
    if present and present.tables:
        rows, count = sum(present.tables.values()), len(present.tables)
        problems.append(
            f"database {name} holds {rows} rows in {count} tables and is never overwritten; if they may give way: "
            f'ALTER DATABASE "{name}" RENAME TO "{name[:59]}_old"'
        )
    if free is not None and free < saved.size_bytes + HEADROOM:
        problems.append(
            f"database {name}: {free >> 20} MiB free on its server, {(saved.size_bytes + HEADROOM) >> 20} MiB needed"
        )
    return problems


def preview(
    point: RecoveryPoint,
    points: Sequence[RecoveryPoint],
    environment: Environment,
    hosts: Sequence[str],
    exists: bool,
    now: datetime,
) -> list[str]:
    """What somebody should know before agreeing; `exists` is whether the database is there (and empty)."""
    found, settings = point.verification, environment.database
    tried = "never verified" if found is None else f"{found.outcome} its verification {found.at}"
    lines = [
        f"backup {point.number} ({point.kind}, {point.reason}): {tried}, {point.size / 1e6:.2f} MB",
        f"lost: {since(point.created_at, now)}",
        *_newer(point, points, settings is not None),
        f"release: {point.release} onto {', '.join(hosts)}",
    ]
    if settings and point.database:
        made = (
            f"is made: owner {point.database.owner}, {point.database.encoding}, the server's own locale; "
            "settings and grants of the database itself (ALTER DATABASE) are in no backup"
        )
        lines.append(f"database {settings.name} {'is there and empty' if exists else made}")
    if gone := [host for host in environment.run_hosts if host not in hosts]:
        lines.append(f"left out: {', '.join(gone)}; later: inv deploy.catch-up")
    held = sorted(part.name.removeprefix(FILES) for part in point.objects if part.name.startswith(FILES))
    if unplaced := [host for host in held if host not in hosts]:
        lines.append(f"the shared files of {', '.join(unplaced)} go nowhere: inv backup.pull {point.number} has them")
    return lines


def _newer(point: RecoveryPoint, points: Sequence[RecoveryPoint], has_database: bool) -> list[str]:
    """Why backups that would lose less are not taken."""
    lines = []
    for other in points:
        if other.number <= point.number:
            break
        without = f"holds no {' and no '.join(missing)}" if (missing := lacking(other, has_database)) else ""
        failed = other.verification is not None and other.verification.outcome == "failed"
        why = without or ("failed its verification" if failed else "was not verified" if not other.verified_at else "")
        lines.append(f"backup {other.number}, taken {other.created_at}, is newer" + (f", but {why}" if why else ""))
    return lines[:5]
