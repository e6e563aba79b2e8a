"""A database server as a restore meets it: its version, its roles, and the extensions that it could make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

Attribute: TypeAlias = Literal["SUPERUSER", "CREATEDB", "CREATEROLE", "NOINHERIT", "LOGIN", "REPLICATION", "BYPASSRLS"]
"""Words of CREATE ROLE that say more than its defaults; passwords are none of them."""


@dataclass(frozen=True)
class Role:
    """A role without its password; `member_of` are the roles whose rights it has, predefined ones too."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    attributes: tuple[Attribute, ...] = ()
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doorway:
    """How one comes into a server: its version as in `15.18`, whether our own session is encrypted by itself, whether
    TLS is offered to anybody, the addresses that it listens at (`listen_addresses`), and the addresses of other
    machines from which sessions in the application's database come without TLS, as far as we may see them.

    `unlogged` are the parameters by which its log would tell who comes in, and who changes the schema, and does not."""

    version: str
    encrypted: bool
    offered: bool
    listens: str
    plain: tuple[str, ...] = ()
    unlogged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerFacts:
    """`version` is as in `15.18`; `extensions` are the names of those whose files the server has."""

    version: str
    roles: frozenset[str]
    extensions: frozenset[str]
