"""Whether the database answers, and nothing of what it says can be read on the way."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.config.database import DatabaseSettings
from fabfile.model.database_server import Doorway
from fabfile.model.finding import Finding, Remedy, as_root, beside_the_point, critical, fine, unseen, warning

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs a session, what the server says of that one's TLS, of TLS as such, and of the application's sessions."""
    settings, found = evidence.environment.database, evidence.database
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no database")
    elif not isinstance(found, Unseen):
        yield _judge(settings, found)
    elif found.kind == "failed":
        yield critical(settings.via, found.why, found.remedy or Remedy(note="look at the server's log"))
    else:
        yield unseen(settings.via, found.why, found.remedy)


def _judge(settings: DatabaseSettings, found: Doorway) -> Finding:
    beside = settings.host in LOOPBACK
    where = f"PostgreSQL {found.version} at {settings.host}:{settings.port}"
    if not found.offered and not is_local(found.listens):
        told = f"{where} offers no TLS, and listens at {found.listens} (as {settings.via} sees it)"
        return critical(settings.via, told, _switch_on(settings))
    if not beside and not found.encrypted:
        told = f"what {settings.via} and {where} say to each other is not encrypted"
        return critical(settings.via, told, _switch_on(settings))
    if found.plain:
        note = (
            "let the application ask for TLS (with node-postgres env: {PGSSLMODE: no-verify}, better verify-full), "
            "then let only hostssl in by pg_hba.conf"
        )
        told = f"sessions in {settings.name} come without TLS from {', '.join(found.plain)}"
        return warning(settings.via, told, Remedy(note=note))
    way = "with TLS" if found.encrypted else f"inside {settings.via}"
    return fine(settings.via, f"{where} answers, over SSH and {way}")


def is_local(listens: str) -> bool:
    """Whether a server with these `listen_addresses` can be asked from its own machine alone."""
    return all(address.strip() in LOOPBACK for address in listens.split(",") if address.strip())


def _switch_on(settings: DatabaseSettings) -> Remedy:
    return alter(settings, {"ssl": "on"}, "ssl_cert_file and ssl_key_file must name a certificate")


def alter(settings: DatabaseSettings, parameters: Mapping[str, str], note: str = "") -> Remedy:
    """What gives the server's parameters these values, without a restart."""
    statements = [f"ALTER SYSTEM SET {name} = {value}" for name, value in parameters.items()]
    words = [word for statement in (*statements, "SELECT pg_reload_conf()") for word in ("-c", statement)]
    command = shlex.join(["sudo", "-u", "postgres", "psql", "-p", str(settings.port), *words])
    if settings.host in LOOPBACK:
        return as_root(settings.via, command, note)
    return Remedy(note="; ".join(filter(None, (f"on {settings.host}: {command}", note))))
