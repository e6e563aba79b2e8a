"""What starts with the machine, judged only where something has users."""

from __future__ import annotations

from fabfile.checks.boot import judge
from tests.unit.checks.seen import environment, evidence, facing, live, of, well
from tests.unit.planning.test_deploy_plan import bare


def test_nginx_pm2_and_the_process_that_has_users_are_wanted() -> None:
    found = list(judge(evidence(hosts={"h1": well("h1", enabled=frozenset(), saved=frozenset({"shop-green"}))})))
    assert [one.verdict for one in found] == ["critical"] * 3
    commands = [one.remedy.command for one in found if one.remedy]
    assert commands[0] == "systemctl enable nginx"
    assert "/usr/bin/pm2 startup systemd -u deploy" in commands[1]
    assert commands[2] == "pm2 save"
    assert [one.remedy.user for one in found if one.remedy] == ["root", "root", "deploy"]


def test_a_line_of_cron_does_as_well_as_a_unit() -> None:
    assert of(judge, facing(enabled=frozenset({"nginx"}), reboot=True)).verdict == "ok"


def test_a_host_without_users_is_not_judged() -> None:
    found = of(judge, evidence(hosts={"h1": well("h1", enabled=frozenset())}, observed={"h1": bare("h1")}))
    assert found.verdict == "not applicable"


def test_a_host_of_nginx_alone_needs_no_pm2() -> None:
    apart = environment(hosts={"h1": {"roles": ["web"]}, "h2": {"roles": ["app"], "internal": "10.0.0.2"}})
    hosts = {"h1": well("h1", enabled=frozenset({"nginx"}), saved=frozenset())}
    assert of(judge, evidence(environment=apart, hosts=hosts, observed={"h1": live("h1")})).verdict == "ok"
