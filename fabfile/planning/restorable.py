"""Whether a server has what a dump needs, told before a restore begins."""

from __future__ import annotations

from fabfile.model.database_server import Role, ServerFacts
from fabfile.model.recovery_point import DatabaseFacts


def what_is_missing(facts: DatabaseFacts, server: ServerFacts) -> list[str]:
    """Each thing that the server lacks for this dump, with its remedy; nothing when it can be restored there."""
    have, need = _major(server.version), _major(facts.server_version)
    older = [f"PostgreSQL {have} is older than {need}, where the backup is from: restore it on {need} or later"]
    extensions = [
        f"extension {name} (the backup has {version}) is not there: install its package for PostgreSQL {have}"
        for name, version in sorted(facts.extensions.items())
        if name not in server.extensions
    ]
    missing = {role.name: role for role in facts.roles if role.name not in server.roles}
    if facts.owner not in server.roles:
        missing.setdefault(facts.owner, Role(facts.owner))
    roles = [f"role {name} is missing: {create_role(role)}" for name, role in sorted(missing.items())]
    return (older if have < need else []) + extensions + roles


def create_role(role: Role) -> str:
    """The SQL that makes a role, without a password: who may log in has to be given one."""
    words = " ".join(["CREATE ROLE", _quoted(role.name), *role.attributes])
    return "; ".join([words, *(f"GRANT {_quoted(group)} TO {_quoted(role.name)}" for group in role.member_of)])


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
