"""The sections `custody`, `vault` and `aws`: what is asked of secrets, and where some of them are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from fabfile.config.section import Section
from fabfile.config.values import (
    Day,
    Days,
    LocallySourced,
    Matching,
    PlainText,
    Recipient,
    RelativePath,
    VariableName,
)

DAY = 86400.0


class CustodySettings(Section):
    """What is asked of the application's secrets."""

    differs_from: Annotated[str, Matching(r"^[a-z][a-z0-9-]*$", "an environment's name, such as staging")] | None = None
    """An environment whose secrets must be others: a deploy is refused while one of them is the same."""
    common: tuple[VariableName, ...] = ()
    """Secrets that may be the same there nevertheless."""
    rotate: Days = 90 * DAY
    """How old a secret gets before `inv secrets.list` and deploys say that it is due to be changed."""
    rotate_lasting: Days = 180 * DAY
    """The same for those in `lasting`."""
    lasting: tuple[VariableName, ...] = ()
    """Secrets that are laborious to change, such as keys that data is encrypted with."""
    changed: dict[VariableName, Day] = {}  # noqa: RUF012 - pydantic copies it
    """When a secret was last changed, where the source does not tell (`env:`); it goes before what others tell."""

    def age_limit(self, name: str) -> float:
        """Seconds that this secret may get old."""
        return self.rotate_lasting if name in self.lasting else self.rotate


class VaultSettings(Section):
    """A file of secrets in the repository, encrypted with age: `age:NAME` is one of them."""

    file: RelativePath
    """Where it is in the project, such as `hosts/production.age`; `inv secrets.set` and `.edit` make it."""
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    """Public keys (age1…, ssh-ed25519, ssh-rsa) of those who may read and change it; then `inv secrets.rekey`."""
    identity: LocallySourced = "file:~/.config/turnout/identity"
    """Your private key, which is one of theirs; the variable TURNOUT_IDENTITY, if set, holds it and goes first."""


class AwsSettings(Section):
    """How `aws:` (Secrets Manager) and `ssm:` (Parameter Store) are reached."""

    region: PlainText | None = None
    """Their region; default: boto3's own search."""
    profile: PlainText | None = None
    """A profile of boto3's files to take the credentials from; default: boto3's own search."""


def custody_contradictions(
    custody: CustodySettings, secrets: Mapping[str, str], vault: VaultSettings | None
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names of secrets that there are not, and a vault that there is not."""
    for key in ("common", "lasting", "changed"):
        for name in getattr(custody, key):
            if name not in secrets:
                yield ("custody", key), f"{name} is not one of secrets"
    for name, source in secrets.items():
        if source.startswith("age:") and vault is None:
            yield ("secrets", name), "needs a vault section to know which file it is in"
