"""`inv config`, `inv env.diff` and `inv windows` as commands, on files that extend one another; and a local host."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fabfile.errors import BadInput
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost
from fabfile.session import opened
from fabfile.ui.reporter import Reporter
from tests.checkout import copy_product

pytestmark = pytest.mark.slow

BASE = "base: true\napp: shop\nsecrets:\n  KEY: env:SHOP_KEY\nhealth: {timeout: 30s}\n"
STAGING = "extends: base.yml\nhosts: {s1: {}}\n"
PRODUCTION = "extends: base.yml\nprotected: true\nhosts: {p1: {}, p2: {}}\nhealth: {timeout: 90s}\n"
PRODUCTION += "secrets: {KEY: env:LIVE_KEY}\ncalendar: {freezes: [1 Jan - 31 Dec]}\n"


@dataclass(frozen=True)
class Checkout:
    """A user's project, with no hosts that could be asked."""

    folder: Path

    @staticmethod
    def of(folder: Path, **files: str) -> Checkout:
        """A copy of the product with these environments."""
        copy_product(folder)
        (folder / "hosts").mkdir()
        for name, text in files.items():
            (folder / "hosts" / f"{name}.yml").write_text(text)
        return Checkout(folder)

    def inv(self, *words: str, expect: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """One command, which is given these variables and writes none of the secrets; its exit code is the expected."""
        environment = {"PATH": os.environ["PATH"], "SHOP_KEY": "hunter2-staging", "LIVE_KEY": "hunter2-live"}
        environment |= variables
        command = [sys.executable, "-m", "invoke", *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == expect, done.stdout + done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        return done

    def document(self, *words: str, expect: int = 0) -> Any:
        return json.loads(self.inv(*words, "--json", expect=expect).stdout)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.of(tmp_path_factory.mktemp("checkout"), base=BASE, staging=STAGING, production=PRODUCTION)


def test_config_shows_each_value_with_its_origin(checkout: Checkout) -> None:
    rows = {
        line.split()[0]: line.split()[1:] for line in checkout.inv("config", "--env=production").stdout.splitlines()
    }
    assert rows["health.timeout"] == ["90s", "hosts/production.yml:4"]
    assert rows["secrets.KEY"] == ["env:LIVE_KEY", "hosts/production.yml:5"]
    assert rows["site.listen"] == ["80", "default"]
    document = checkout.document("config", "--env=staging")
    assert document["environment"] == "staging"
    assert {"key": "health.timeout", "value": "30s", "origin": "hosts/base.yml:5"} in document["settings"]


def test_two_environments_are_compared_with_exit_code_2_when_they_differ(checkout: Checkout) -> None:
    found = checkout.document("env.diff", "staging", "production", expect=2)
    values = {
        each["key"]: [each[side]["value"] if each[side] else None for side in ("first", "second")]
        for each in found["differences"]
    }
    assert values == {
        "protected": [False, True],
        "hosts.s1": [{}, None],
        "hosts.p1": [None, {}],
        "hosts.p2": [None, {}],
        "health.timeout": ["30s", "90s"],
        "secrets.KEY": ["env:SHOP_KEY", "env:LIVE_KEY"],
        "calendar.freezes": [[], ["1 Jan - 31 Dec"]],
    }
    text = checkout.inv("env.diff", "staging", "production", expect=2).stdout
    assert "hosts/base.yml:5, hosts/production.yml:4" in text
    assert checkout.inv("env.diff", "staging", "staging").stdout == "staging and staging do not differ\n"


def test_what_is_no_environment_is_refused_with_those_that_are(checkout: Checkout) -> None:
    refused = checkout.inv("env.diff", "staging", "prodution", expect=3)
    assert "did you mean 'production'?" in refused.stderr
    assert "environments: production, staging" in checkout.inv("config", "--env=base", expect=3).stderr


def test_windows_tells_whether_a_deploy_may_begin(checkout: Checkout) -> None:
    found = checkout.document("windows", "--env=production")
    assert (found["open"], found["next"], found["windows"]) == (False, None, [])
    assert found["freezes"][0]["text"] == "1 Jan - 31 Dec UTC"
    done = checkout.inv("windows", "--env=staging")
    assert done.stdout == "deploys may begin at any time\n"
    assert "staging takes deploys" in done.stderr


def test_what_variables_hold_is_hidden_from_the_beginning_even_where_the_vault_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks inherit all variables, and somebody who looks for a mistake prints them."""
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "here.yml").write_text(
        "app: shop\nhosts: {here: {local: true}}\nnotify: [env:TEAM]\nsecrets: {KEY: env:KEY, OTHER: age:OTHER}\n"
        "vault: {file: v.age, recipients: [age10gwjpek2juqsy3avfguvev8dd8y72fernqxnxjuwn2wgtw4rd9msymtedj]}\n"
    )
    given = {"KEY": "hunter2-key", "AWS_SECRET_ACCESS_KEY": "hunter2-aws", "TURNOUT_IDENTITY": "hunter2-identity"}
    for name, value in (given | {"TEAM": "json://team:hunter2%2Bteam@10.0.0.9/"}).items():
        monkeypatch.setenv(name, value)
    err = io.StringIO()
    with opened("here", Reporter(err=err), project=tmp_path) as session:
        with pytest.raises(BadInput):
            _ = session.sources
        for value in (*given.values(), os.environ["TEAM"], "hunter2%2Bteam", "hunter2+team"):
            session.reporter.say(f"a hook says {value}.")
    assert "hunter2" not in err.getvalue()


def test_a_local_environment_works_here_without_ssh(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "here.yml").write_text("app: shop\nhosts: {here: {local: true}}\n")
    with opened("here", Reporter(err=io.StringIO()), project=tmp_path) as session:
        assert isinstance(session.connect("here"), LocalHost)
        assert session.fleet["here"].run(Script("echo $((6 * 7))\n", timeout=20)).stdout == "42\n"
