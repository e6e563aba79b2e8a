"""The main job on real hosts: deploy, deploy again, roll back, and nobody notices."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


def test_deploying_and_rolling_back_loses_no_request(project: Project, first: str, visitor: Visitor) -> None:
    second = project.build("2.0.0")
    with visitor:
        project.inv("deploy", f"--release={second}")
        assert {release for _, release in project.live().values()} == {second}
        project.inv("rollback")
        assert {release for _, release in project.live().values()} == {first}
    assert visitor.failures == []
    assert visitor.answers[first] > 10
    assert visitor.answers[second] > 10


def test_a_deploy_twice_is_the_same_as_once_and_plan_agrees(project: Project, first: str) -> None:
    before = project.live()
    assert "nothing to do" in project.inv("plan", f"--release={first}").out
    assert "nothing to do" in project.inv("deploy", f"--release={first}").out
    assert project.live() == before


def test_a_plan_shows_steps_and_commands_and_changes_nothing(project: Project, first: str) -> None:
    before = project.inv("status", "--json").document
    third = project.build("3.0.0")
    planned = project.inv("plan", f"--release={third}", expect=2)
    for word in ("upload", "unpack", "prove", "switch", "drain", "settle", "sha256sum", third):
        assert word in planned.out
    after = project.inv("status", "--json").document
    for seen in (*before.values(), *after.values()):
        del seen["clock"], seen["free_bytes"], seen["ports"]
    assert after == before


def test_only_the_live_slot_comes_back_after_a_reboot(project: Project, first: str, visitor: Visitor) -> None:
    second = project.build("2.1.0")
    project.inv("deploy", f"--release={second}")
    project.lab.kill("h1")
    project.lab.start("h1")
    status = project.inv("status", "--json").document["h1"]
    assert [process["name"] for process in status["processes"]] == [f"small-{status['live']}"]
    assert status["processes"][0]["status"] == "online"
    assert project.live()["h1"][1] == second


def test_a_host_that_still_boots_does_not_hang_a_deploy(project: Project, first: str) -> None:
    second = project.build("2.2.0")
    project.lab.kill("h1")
    project.lab.start("h1", early=True)
    project.inv("deploy", f"--release={second}")
    assert {release for _, release in project.live().values()} == {second}
    daemons = project.lab.execute("h1", "bash", "-c", "pgrep -fc '[P]M2.*God Daemon' || true")
    assert daemons.strip() == "1"


def test_releases_lists_what_is_live_and_what_can_be_gone_back_to(project: Project, first: str) -> None:
    second = project.build("2.3.0")
    project.inv("deploy", f"--release={second}")
    listed = project.inv("releases").out
    assert listed.index(second) < listed.index(first)


def test_a_changed_site_is_installed_and_served(project: Project, first: str) -> None:
    project.configure(site={"max_body": "3m"})
    planned = project.inv("plan", f"--release={first}", expect=2)
    assert "-    client_max_body_size 10m;" in planned.out
    assert "+    client_max_body_size 3m;" in planned.out
    project.inv("deploy", f"--release={first}")
    assert "client_max_body_size 3m;" in project.lab.execute("h1", "nginx", "-T")
    project.configure()
    project.inv("deploy", f"--release={first}")


def test_secrets_reach_the_application_and_nothing_else(project: Project, first: str) -> None:
    secret = "planted-7d1f"
    project.environment["SHOP_KEY"] = secret
    project.configure(secrets={"SHOP_KEY": "env:SHOP_KEY"})
    planned = project.inv("plan", f"--release={first}", expect=2)
    deployed = project.inv("deploy", f"--release={first}", "--json")
    seen = project.inv("status", "--json")
    project.configure()
    slot = project.live()["h1"][0]
    file = f"/var/app/small/slots/{slot}/.turnout/env"
    assert project.lab.execute("h1", "cat", file).splitlines() == [f"SHOP_KEY={secret}"]
    assert project.lab.execute("h1", "stat", "-c", "%a %U", file).strip() == "600 deploy"
    found = project.lab.execute(
        "h1", "bash", "-c", f"grep -rl {secret} /var/app /home/deploy /etc/nginx /var/log /tmp 2>/dev/null; true"
    )
    assert found.split() == [file]
    assert secret not in planned.text + deployed.text + seen.text
