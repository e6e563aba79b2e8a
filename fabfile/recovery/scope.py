"""What recovery works with: the hosts, the database and the catalogue of one environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabfile.config.schema import Environment
from fabfile.database.port import Database, Physical
from fabfile.model.paths import Paths
from fabfile.recovery.catalogue import Catalogue
from fabfile.remote.port import Host


@dataclass(frozen=True)
class Scope:
    """One environment as it is saved and restored; `hosts` has every host by name, `database` is None without one.

    `physical` is there where the server is backed up as a whole, instead of dumps.
    """

    environment: Environment
    paths: Paths
    hosts: Mapping[str, Host]
    catalogue: Catalogue
    database: Database | None = None
    physical: Physical | None = None
