"""When smoke tests are part of a run, where they stand in it, and when their secrets are read."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from fabfile import deploy, rollback
from fabfile.config.smoke import SmokeSettings
from fabfile.errors import BadInput
from fabfile.model.plan import Rollout
from fabfile.planning.deploy_plan import plan_deploy
from fabfile.remote.fleet import Fleet
from fabfile.remote.ssh import SshHost
from fabfile.session import Session
from fabfile.steps.target import Target
from fabfile.ui.reporter import Reporter
from tests.unit.planning.test_deploy_plan import ENVIRONMENT, TEMPLATES, serving

URL = "https://shop.example.com"
SMOKE = {"url": URL, "http": {"page": {"path": "/"}}}


def unreachable(host: str) -> SshHost:
    raise AssertionError(f"{host} is not asked")


def ready(
    smoke: dict[str, Any], rollout: Rollout | None = None, verb: str = "deploy", archive: Path | None = None
) -> tuple[Session, Target]:
    """Two hosts that serve one release, and a deploy of the next."""
    environment = ENVIRONMENT.model_copy(update={"smoke": SmokeSettings.model_validate(smoke)})
    session = Session("demo", environment, Fleet({}), Reporter(err=StringIO()), "r1", "ann", unreachable, Path())
    observed = {name: serving(name, release="1.0-abc") for name in environment.run_hosts}
    plan = plan_deploy(observed.values(), environment, "2.0-def", "conf", TEMPLATES, rollout=rollout)
    plan = replace(plan, verb=verb)
    target = Target("r1", "demo", "ann", "", plan, environment, session.paths, {}, "conf", observed, archive=archive)
    return session, target


def steps(smoke: dict[str, Any], rollout: Rollout | None = None, verb: str = "deploy") -> list[str]:
    return [step.name for step in deploy.steps(*ready(smoke, rollout, verb))]


def test_the_idle_slot_is_tested_once_proven_and_users_place_before_the_last_confirmation() -> None:
    found = steps(SMOKE)
    assert found[found.index("prove") :][:2] == ["prove", "smoke-idle"]
    assert found[found.index("switch") :][:4] == ["switch", "confirm-100", "smoke-live", "confirm"]


def test_after_a_canary_the_tests_come_within_the_watch() -> None:
    found = steps(SMOKE, Rollout((10, 50), 60, 300))
    assert found[found.index("gate-50") + 1 :][:5] == ["switch", "confirm-100", "smoke-live", "watch", "confirm"]
    assert found.count("smoke-live") == 1


def test_hosts_that_follow_one_after_the_other_are_tested_together() -> None:
    found = steps(SMOKE, Rollout(serial=1))
    assert found[found.index("confirm.2") :][:3] == ["confirm.2", "smoke-live", "confirm"]


def test_a_canary_that_is_held_has_not_come_to_all() -> None:
    found = steps(SMOKE, Rollout((10,), 60, hold=True))
    assert "smoke-idle" in found
    assert "smoke-live" not in found


def test_without_tests_nothing_is_different() -> None:
    found = steps({})
    assert not [name for name in found if name.startswith("smoke")]
    assert found[found.index("switch") :][:2] == ["switch", "confirm"]
    assert "smoke-live" not in steps({"http": {"page": {"path": "/"}}})
    assert "smoke-idle" not in steps({"url": URL, "http": {"page": {"path": "/", "at": ["live"]}}})


def test_no_rollback_waits_for_tests() -> None:
    session, target = ready(SMOKE, verb="rollback")
    assert not [step.name for step in rollback.steps(session, target) if step.name.startswith("smoke")]


def test_a_secret_that_cannot_be_read_is_told_before_the_run_but_never_keeps_one_from_being_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SMOKE_PASSWORD", raising=False)
    smoke = {**SMOKE, "secrets": {"password": "env:SMOKE_PASSWORD"}}
    with pytest.raises(BadInput, match=r"smoke\.secrets\.password: the environment variable SMOKE_PASSWORD is not set"):
        deploy.steps(*ready(smoke, archive=Path("release.tar.zst")))
    assert "smoke-idle" in steps(smoke)
