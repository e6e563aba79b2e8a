"""Signed releases: made by a build, judged before anything is sent, with the real ssh-keygen."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.artifact.archive import Release, manifest_path, open_release, signature_path
from fabfile.artifact.signature import builder_of, sign_release, signing_with
from fabfile.errors import BadInput, Refused
from tests.unit.artifact.test_build import application, make
from tests.unit.test_signing import Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    found = Keys(tmp_path)
    found.person("ci", 'namespaces="turnout"')
    found.person("ann", 'namespaces="turnout-*"')
    found.make("eve")
    return found


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return open_release(make(application(tmp_path / "app"), tmp_path / "dist"), tmp_path / "dist")


def test_a_signed_release_names_its_builder_and_ssh_keygen_agrees(release: Release, keys: Keys) -> None:
    signed = sign_release(release, keys.folder / "ci")
    assert builder_of(signed, keys.signers).name == "ci"
    again = open_release(release.manifest.id, release.path.parent)
    assert again == signed
    words = ["-Y", "verify", "-n", "turnout", "-I", "ci", "-f", str(keys.signers)]
    with manifest_path(release.path).open("rb") as manifest:
        by_hand = subprocess.run(
            ["ssh-keygen", *words, "-s", str(signature_path(release.path))], stdin=manifest, capture_output=True
        )
    assert by_hand.returncode == 0, by_hand.stderr


def test_what_somebody_signs_by_hand_is_signed(release: Release, keys: Keys) -> None:
    words = ["-Y", "sign", "-n", "turnout", "-f", str(keys.folder / "ci"), str(manifest_path(release.path))]
    subprocess.run(["ssh-keygen", *words], check=True, capture_output=True)
    assert builder_of(open_release(release.manifest.id, release.path.parent), keys.signers).name == "ci"


def test_an_unsigned_release_is_refused_with_what_to_type(release: Release, keys: Keys) -> None:
    with pytest.raises(Refused, match=r"is not signed, and only what somebody in .*signers has signed") as caught:
        builder_of(release, keys.signers)
    assert caught.value.code == 5
    assert f"ssh-keygen -Y sign -n turnout -f KEY dist/{release.manifest.id}.json" in caught.value.hint


@pytest.mark.parametrize(("who", "why"), [("eve", "signed by a key that signers has not"), ("ann", "for turnout")])
def test_a_signature_of_nobody_who_may_build_is_refused(release: Release, keys: Keys, who: str, why: str) -> None:
    """One who may approve releases may not build them, unless the file says so."""
    with pytest.raises(Refused, match=why) as caught:
        builder_of(sign_release(release, keys.folder / who), keys.signers)
    assert release.manifest.id in caught.value.fact


@pytest.mark.parametrize("change", [{"commit": "f" * 40}, {"builder": "eve@elsewhere"}, {"digest": "0" * 64}])
def test_a_manifest_that_says_anything_else_is_not_what_was_signed(
    release: Release, keys: Keys, change: dict[str, str]
) -> None:
    signed = sign_release(release, keys.folder / "ci")
    forged = replace(signed, manifest=replace(signed.manifest, **change))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="the signature of ci is not one of this text"):
        builder_of(forged, keys.signers)


def test_building_again_leaves_no_signature_that_does_not_fit(release: Release, keys: Keys, tmp_path: Path) -> None:
    sign_release(release, keys.folder / "ci")
    assert make(tmp_path / "app", tmp_path / "dist") == release.manifest.id
    assert open_release(release.manifest.id, tmp_path / "dist").signature is None


def test_a_missing_key_is_told_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"there is no key {tmp_path}/none") as caught:
        signing_with(tmp_path / "none")
    assert "TURNOUT_SIGNING_KEY" in caught.value.hint


def test_a_signature_that_cannot_be_read_is_told(release: Release) -> None:
    signature_path(release.path).write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"\.json\.sig cannot be read"):
        open_release(release.manifest.id, release.path.parent)
