"""The section `approvals`, and the key with which the person who types a command signs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fabfile.config.section import Section
from fabfile.config.values import Duration, PlainText

KEY = "TURNOUT_SIGNING_KEY"


class ApprovalSettings(Section):
    """Who has to agree before a release is deployed or its migrations run: other people than the one who types that."""

    required: Annotated[int, Field(ge=0, le=10)] = 0
    """So many people must have typed `inv approve` for exactly this release and environment; 0: nobody."""
    signers: PlainText = "hosts/signers"
    """Whose signatures count: a file in the format of ssh-keygen's allowed signers, one name and key on each line."""
    key: PlainText = "~/.ssh/id_ed25519"
    """The SSH key that you sign with, or its public half where an agent holds it; TURNOUT_SIGNING_KEY goes first."""
    expire: Duration = 86400.0
    """How long an approval counts."""


def signing_key(key: str, project: Path, environ: Mapping[str, str]) -> Path:
    """The file of the key that signs: `key` of a section, unless KEY is set; relative paths start at the project."""
    return project / Path(environ.get(KEY) or key).expanduser()
