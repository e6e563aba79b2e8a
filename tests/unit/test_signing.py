"""Signatures of SSH keys, made and judged by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fabfile.errors import BadInput, Refused
from fabfile.signing import sign, signer_of

SPACE = "turnout-approval"


class Keys:
    """People with keys, and the file of those whose signatures count."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.signers = folder, folder / "signers"
        self.signers.write_text("# who may\n")

    def make(self, name: str) -> Path:
        """A new private key."""
        key = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True)
        return key

    def allow(self, key: Path, name: str, options: str = "") -> None:
        """A line for the key."""
        public = key.with_name(f"{key.name}.pub").read_text().rsplit(" ", 1)[0]
        with self.signers.open("a") as file:
            file.write(f"{name} {options} {public}\n")

    def person(self, name: str, options: str = "") -> Path:
        key = self.make(name)
        self.allow(key, name, options)
        return key


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_signature_tells_whose_it_is(keys: Keys) -> None:
    ann, bob = keys.person("ann"), keys.person("bob@example.com")
    found = [signer_of("text\n", sign("text\n", key, SPACE), SPACE, keys.signers) for key in (ann, bob)]
    assert [signer.name for signer in found] == ["ann", "bob@example.com"]
    assert all(signer.key.startswith("SHA256:") for signer in found)
    assert found[0].key != found[1].key


def test_a_changed_text_and_another_purpose_are_refused(keys: Keys) -> None:
    signature = sign("text", keys.person("ann"), SPACE)
    for text, space in (("texts", SPACE), ("text", "turnout-request")):
        with pytest.raises(Refused, match="the signature of ann is not one of this text"):
            signer_of(text, signature, space, keys.signers)


def test_a_key_that_is_not_listed_or_not_any_more_is_refused(keys: Keys) -> None:
    stranger = sign("text", keys.make("eve"), SPACE)
    former = sign("text", keys.person("ann", 'valid-before="20200101"'), SPACE)
    for signature in (stranger, former, "nonsense", ""):
        with pytest.raises(Refused, match="a key that signers has not"):
            signer_of("text", signature, SPACE, keys.signers)


def test_a_key_signs_only_what_its_line_lets_it_sign(keys: Keys) -> None:
    robot = keys.person("ci", 'namespaces="turnout-request"')
    assert signer_of("text", sign("text", robot, "turnout-request"), "turnout-request", keys.signers).name == "ci"
    with pytest.raises(Refused, match="the signature of ci is not one of this text for turnout-approval"):
        signer_of("text", sign("text", robot, SPACE), SPACE, keys.signers)
    person = keys.person("ann", 'namespaces="turnout-*"')
    assert signer_of("text", sign("text", person, SPACE), SPACE, keys.signers).name == "ann"


@pytest.mark.parametrize("name", ["*", "*@example.com", "ann,bob"])
def test_a_line_that_is_of_nobody_in_particular_is_refused(keys: Keys, name: str) -> None:
    key = keys.make("key")
    keys.allow(key, name)
    with pytest.raises(Refused, match="is not one name"):
        signer_of("text", sign("text", key, SPACE), SPACE, keys.signers)


def test_a_key_or_file_that_is_not_there_is_told_with_what_to_type(keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"nothing can be signed with {tmp_path}/none: ") as caught:
        sign("text", tmp_path / "none", SPACE)
    assert "TURNOUT_SIGNING_KEY" in caught.value.hint
    signature = sign("text", keys.make("ann"), SPACE)
    with pytest.raises(BadInput, match="none is missing, which says whose signatures count"):
        signer_of("text", signature, SPACE, tmp_path / "none")
