"""Whether two environments have a secret in common, found without any value being kept or shown."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from fabfile.config.load import load
from fabfile.config.reader import Reader
from fabfile.config.schema import Environment
from fabfile.errors import BadInput


@dataclass(frozen=True)
class Comparison:
    """An environment beside the `other` one: pairs of our name and theirs that are the same value, and by their names
    why some could not be compared."""

    other: str
    shared: tuple[tuple[str, str], ...]
    unknown: Mapping[str, str]

    def sentence(self) -> str:
        """What could not be compared, or nothing."""
        if not self.unknown:
            return ""
        whys = ", ".join(f"{name} ({why})" for name, why in self.unknown.items())
        return f"not compared with the secrets of {self.other}: {whys}"


def compare(
    name: str, environment: Environment, ours: Mapping[str, SecretStr], project: Path, environ: Mapping[str, str]
) -> Comparison | None:
    """This environment's secrets beside those of `custody.differs_from`; None where it names no environment.

    A variable that both environments name has one value here, whichever is meant: it tells nothing, and nor does what
    cannot be read here. Raises BadInput when there is no such environment.
    """
    other = environment.custody.differs_from
    if other is None:
        return None
    if other == name:
        fact = f"custody.differs_from: {name} cannot differ from itself"
        raise BadInput(fact, "name the environment whose secrets it must not have")
    their_settings = load(other, project)
    reader = Reader.of(their_settings, project, environ)
    theirs: dict[str, SecretStr] = {}
    unknown: dict[str, str] = {}
    variables = {source for source in environment.secrets.values() if source.startswith("env:")}
    for variable, source in their_settings.secrets.items():
        if source in variables:
            unknown[variable] = f"{source} is one variable for both"
            continue
        try:
            theirs[variable] = reader.read(source, f"secrets.{variable}").value
        except BadInput as error:
            unknown[variable] = error.fact.removeprefix(f"secrets.{variable}: ")
    asked = {variable: value for variable, value in ours.items() if variable not in environment.custody.common}
    return Comparison(other, shared(asked, theirs, secrets.token_bytes(32)), unknown)


def shared(ours: Mapping[str, SecretStr], theirs: Mapping[str, SecretStr], key: bytes) -> tuple[tuple[str, str], ...]:
    """The pairs of names whose values are the same, or have the same password in their URLs, sorted.

    Digests are compared (HMAC-SHA-256 with a `key` that is used once), so that no value is held beside another.
    """
    known: dict[bytes, set[str]] = {}
    for name, value in theirs.items():
        for digest in _digests(value, key):
            known.setdefault(digest, set()).add(name)
    pairs = {
        (name, other)
        for name, value in ours.items()
        for digest in _digests(value, key)
        for other in known.get(digest, ())
    }
    return tuple(sorted(pairs))


def _digests(value: SecretStr, key: bytes) -> Iterator[bytes]:
    for text in (value.get_secret_value(), password_in(value.get_secret_value())):
        if text:
            yield hmac.digest(key, text.encode(), hashlib.sha256)


def password_in(value: str) -> str | None:
    """The password inside a URL."""
    try:
        return urlsplit(value).password
    except ValueError:
        return None
