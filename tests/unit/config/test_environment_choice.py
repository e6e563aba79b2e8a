"""Which environment a command works on: the flag, the variable, the project's default, or a refusal with a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.config.load import choose, environments, load, origin_of
from fabfile.errors import BadInput


@pytest.fixture
def project(tmp_path: Path) -> Path:
    hosts = tmp_path / "hosts"
    hosts.mkdir()
    for name in ("staging.yml", "production.yml", "demo.yml", "example.yml", "Odd.yml", "schema.json", "known_hosts"):
        (hosts / name).write_text("app: a\nhosts: {h: {}}\n")
    (tmp_path / "secret.yml").write_text("app: a\nhosts: {h: {}}\n")
    (tmp_path / "pyproject.toml").write_text('[tool.turnout]\nenvironment = "demo"\n')
    return tmp_path


def test_the_flag_wins_over_the_variable_and_the_variable_over_the_default(project: Path) -> None:
    environ = {"DEPLOYMENT_ENV": "staging"}
    assert choose("production", project, environ) == "production"
    assert choose(None, project, environ) == "staging"
    assert choose(None, project, {"DEPLOYMENT_ENV": ""}) == "demo"
    assert choose(None, project, {}) == "demo"


def test_environments_are_the_files_in_hosts_without_the_example(project: Path) -> None:
    assert environments(project) == ("demo", "production", "staging")


@pytest.mark.parametrize("pyproject", [None, "", "[tool]\nturnout = 3\n", "[tool.turnout]\n", "tool = 3\n"])
def test_without_any_choice_the_environments_are_listed(project: Path, pyproject: str | None) -> None:
    (project / "pyproject.toml").unlink()
    if pyproject is not None:
        (project / "pyproject.toml").write_text(pyproject)
    with pytest.raises(BadInput, match="no environment is chosen") as caught:
        choose(None, project, {})
    assert caught.value.details == ("environments: demo, production, staging",)
    assert "--env=demo" in caught.value.hint


def test_without_any_environment_the_example_is_pointed_to(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        choose(None, tmp_path, {})
    assert caught.value.details == ("environments: none yet, see hosts/example.yml",)


@pytest.mark.parametrize(
    ("text", "fact"), [("[tool", "cannot be read"), ("[tool.turnout]\nenvironment = 3\n", "expected text")]
)
def test_a_broken_pyproject_is_told(project: Path, text: str, fact: str) -> None:
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(BadInput, match=f"pyproject.toml: .*{fact}"):
        choose(None, project, {})


@pytest.mark.parametrize(
    "name", ["", "../secret", "hosts/../demo", "/etc/passwd", "Demo", "1st", "demo\n", "de mo", "-x", "."]
)
def test_a_name_that_could_lead_elsewhere_is_refused(project: Path, name: str) -> None:
    for attempt in (lambda: choose(name, project, {}), lambda: load(name, project)):
        with pytest.raises(BadInput, match="is not an environment's name"):
            attempt()


def test_an_unknown_environment_gets_the_list_and_the_nearest_name(project: Path) -> None:
    with pytest.raises(BadInput, match=r"DEPLOYMENT_ENV: there is no hosts/stagging\.yml") as caught:
        choose(None, project, {"DEPLOYMENT_ENV": "stagging"})
    assert caught.value.hint == "did you mean 'staging'?"
    assert caught.value.details == ("environments: demo, production, staging",)


def test_an_environment_unlike_any_other_is_offered_as_a_copy_of_the_example(project: Path) -> None:
    with pytest.raises(BadInput) as caught:
        choose("qa", project, {})
    assert caught.value.hint == "cp hosts/example.yml hosts/qa.yml"


def test_the_line_of_a_key_or_of_what_it_belongs_to_is_known(project: Path) -> None:
    (project / "hosts" / "demo.yml").write_text("app: a\nhosts:\n  h1:\n    address: 10.0.0.1\n  h2: {}\n")
    assert str(origin_of("demo", project, ("hosts", "h1", "address"))) == "hosts/demo.yml:4"
    assert str(origin_of("demo", project, ("hosts", "h2", "address"))) == "hosts/demo.yml:5"
