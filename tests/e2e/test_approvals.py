"""A release waits for a second person's signature; nobody approves what they deploy themselves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab


@pytest.fixture
def people(project: Project, tmp_path: Path) -> Iterator[Path]:
    """Keys of ann and bob, and the file that says that theirs count; ann is who types."""
    before, lines = dict(project.environment), []
    for name in ("ann", "bob"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
        key = (tmp_path / f"{name}.pub").read_text().split()
        lines.append(f'{name}@example.com namespaces="turnout-*" {key[0]} {key[1]}\n')
    (project.folder / "hosts" / "signers").write_text("".join(lines))
    project.configure(approvals={"required": 1})
    be(project, tmp_path / "ann")
    yield tmp_path
    project.environment.clear()
    project.environment.update(before)
    project.configure()


def be(project: Project, key: Path) -> None:
    """Whoever has this key types from now on."""
    project.environment["TURNOUT_SIGNING_KEY"] = str(key)


def test_a_release_is_deployed_once_a_second_person_has_approved_exactly_it(
    project: Project, first: str, people: Path
) -> None:
    second = project.build("2.1.0")
    with unchanged(project):
        refused = project.inv("deploy", f"--release={second}", expect=5)
    assert "once 1 person other than ann@example.com approved it, and 0 did" in refused.err
    assert f"HINT: they type: inv approve {second} --env=test" in refused.err

    own = project.inv("approve", second, "--yes", expect=5)
    assert f"ann@example.com asked for {second}, so somebody else has to approve it" in own.err
    project.inv("deploy", f"--release={second}", expect=5)

    be(project, people / "bob")
    [waiting] = project.inv("approvals", "--json").document
    assert (waiting["release"], waiting["by"], waiting["missing"]) == (second, "ann@example.com", 1)
    assert waiting["digest"] == json.loads((project.folder / "dist" / f"{second}.json").read_text())["digest"]
    # Whoever approves has no other secret of the environment.
    database = project.environment.pop("TURNOUT_DB_PASSWORD")
    approved = project.inv("approve", second, "--yes", "--json").document
    project.environment["TURNOUT_DB_PASSWORD"] = database
    assert approved["by"] == "bob@example.com"
    assert "bob@example.com" in project.inv("approvals").out
    assert "bob@example.com: is who deploys it" in project.inv("deploy", f"--release={second}", expect=5).err

    be(project, people / "ann")
    project.inv("deploy", f"--release={second}")
    assert [seen["history"][-1]["approved_by"] for seen in project.inv("status", "--json").document.values()] == [
        ["bob@example.com"]
    ] * 2
    third = project.build("2.1.1")
    project.inv("deploy", f"--release={third}", expect=5)
    assert {release for _, release in project.live().values()} == {second}


def test_an_approval_that_has_expired_counts_for_nothing(project: Project, first: str, people: Path) -> None:
    second = project.build("2.1.2")
    project.configure(approvals={"required": 1, "expire": "1s"})
    project.inv("deploy", f"--release={second}", expect=5)
    be(project, people / "bob")
    project.inv("approve", second, "--yes")
    be(project, people / "ann")
    refused = project.inv("deploy", f"--release={second}", expect=5)
    assert "bob@example.com: approved it until " in refused.err


def test_an_approval_wants_a_confirmation_a_key_and_somebody_who_asked(
    project: Project, first: str, people: Path
) -> None:
    second = project.build("2.1.3")
    assert f"nobody has asked for {second} in test" in project.inv("approve", second, "--yes", expect=3).err
    be(project, people / "nobody")
    assert "nothing can be signed with" in project.inv("deploy", f"--release={second}", expect=3).err
    be(project, people / "ann")
    project.inv("deploy", f"--release={second}", expect=5)
    be(project, people / "bob")
    assert "wants a confirmation" in project.inv("approve", second, expect=3).err
    project.configure()
    assert "test asks nobody for approval" in project.inv("approve", second, "--yes", expect=3).err
