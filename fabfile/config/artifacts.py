"""The section `artifacts`: where releases are kept beside dist/, and whose count."""

from __future__ import annotations

from fabfile.config.section import Section
from fabfile.config.values import PlainText


class ArtifactSettings(Section):
    """Where releases are kept beside dist/, and by whom they must have been built."""

    push: bool = False
    """`inv build` stores each release in the bucket of `backup`, too, where any machine finds it by its id."""
    signers: PlainText | None = None
    """Only releases that this file's allowed signers (as of ssh-keygen) have signed are deployed; null: any release."""
    key: PlainText = "~/.ssh/id_ed25519"
    """The SSH key that `inv build` signs with, or its public half, for an agent; TURNOUT_SIGNING_KEY goes first."""
