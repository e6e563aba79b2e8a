"""An environment that extends a base deploys as one file would, and is compared with another on real hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.project import Project
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab


@pytest.fixture
def divided(project: Project) -> Iterator[Path]:
    """hosts/test.yml in two: what every environment has, and the hosts; `live` is a second environment over it."""
    folder = project.folder / "hosts"
    whole = yaml.safe_load((folder / "test.yml").read_text())
    own = {"extends": "base.yml", "hosts": whole.pop("hosts")}
    live: dict[str, Any] = {**own, "protected": True, "health": {"timeout": "9s"}}
    for name, data in (("base", {"base": True, **whole}), ("test", own), ("live", live)):
        (folder / f"{name}.yml").write_text(yaml.safe_dump(data))
    yield folder
    for name in ("base", "live"):
        (folder / f"{name}.yml").unlink()
    project.configure()


def test_an_environment_in_two_files_is_the_same_environment(project: Project, first: str, divided: Path) -> None:
    with unchanged(project):
        assert "nothing to do" in project.inv("deploy", f"--release={first}").out
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    assert {release for _, release in project.live().values()} == {second}


def test_a_mistake_in_the_base_stops_a_deploy_and_names_its_line(project: Project, first: str, divided: Path) -> None:
    base = divided / "base.yml"
    base.write_text(base.read_text().replace("timeout: 8s", "timeout: 8"))
    line = next(number for number, text in enumerate(base.read_text().splitlines(), 1) if "timeout: 8" in text)
    refused = project.inv("deploy", expect=3)
    assert f"hosts/base.yml:{line}: health.timeout: expected a duration" in refused.err
    refused = project.inv("deploy", "--env=base", expect=3)
    assert "hosts/base.yml says `base: true`" in refused.err


def test_what_is_in_force_and_how_environments_differ_is_shown_without_secrets(project: Project, divided: Path) -> None:
    found = {each["key"]: each for each in project.inv("config", "--json").document["settings"]}
    assert found["database.password"]["value"] == "env:TURNOUT_DB_PASSWORD"
    assert found["database.password"]["origin"].startswith("hosts/base.yml:")
    assert found["hosts.h1"]["origin"].startswith("hosts/test.yml:")
    assert found["site.listen"]["origin"] == "default"
    done = project.inv("env.diff", "test", "live", "--json", expect=2)
    assert [each["key"] for each in done.document["differences"]] == ["protected", "health.timeout"]
    password = project.environment["TURNOUT_DB_PASSWORD"]
    assert password not in done.text + project.inv("config").text


def test_the_other_environment_asks_for_its_name(project: Project, first: str, divided: Path) -> None:
    second = project.build("2.0.1")
    with unchanged(project):
        refused = project.inv("deploy", "--env=live", f"--release={second}", expect=3)
    assert "live wants a confirmation" in refused.err
    project.inv("deploy", "--env=live", f"--release={second}", "--yes")
