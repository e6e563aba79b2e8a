"""What every step of a run needs to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from fabfile.config.schema import Environment
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths
from fabfile.model.plan import Plan
from fabfile.model.release import Manifest


@dataclass(frozen=True)
class Target:
    """The plan of a run, and where and with what it works. `archive` and `manifest` are None when
    nothing is sent, or when a run is only taken back.

    `before` is what the hosts were like, by name; `began` is ISO 8601 UTC.
    """

    run: str
    name: str
    holder: str
    began: str
    plan: Plan
    environment: Environment
    paths: Paths
    secrets: Mapping[str, SecretStr]
    configuration: str
    before: Mapping[str, Observed]
    manifest: Manifest | None = None
    archive: Path | None = None
