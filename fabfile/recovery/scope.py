"""What recovery works with: the hosts, the database and the catalogue of one environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from fabfile.config.schema import Environment
from fabfile.database.port import Database, Physical
from fabfile.model.paths import Paths
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.integrity import no_identity
from fabfile.remote.port import Host


@dataclass(frozen=True)
class Scope:
    """One environment as it is saved and restored; `hosts` has every host by name, `database` is None without one.

    What is saved is encrypted for `recipients`, if there are any; `identity` reads the private key, or raises BadInput.
    `copy` is the second bucket. `physical` is there where the whole server is backed up, instead of dumps.
    """

    environment: Environment
    paths: Paths
    hosts: Mapping[str, Host]
    catalogue: Catalogue
    database: Database | None = None
    recipients: tuple[str, ...] = ()
    identity: Callable[[], SecretStr] = no_identity
    copy: Catalogue | None = None
    physical: Physical | None = None
