"""The section `artifacts`: where releases are kept beside dist/, and whose count."""

from __future__ import annotations

from fabfile.config.section import Section
from fabfile.config.values import PlainText


class ArtifactSettings(Section):
    """Where releases are kept beside dist/, and by whom they must have been built."""

    push: bool = False
    """`inv build` stores each release in the bucket of `backup`, too, where any machine finds it by its id."""
    signers: PlainText | None = None
    """Only releases signed by somebody in this file are deployed: ssh-keygen's allowed signers; null: any release is."""
    key: PlainText = "~/.ssh/id_ed25519"
    """The SSH key that `inv build` then signs with, or its public half with an agent; TURNOUT_SIGNING_KEY goes first."""
