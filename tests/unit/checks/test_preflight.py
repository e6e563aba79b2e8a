"""What keeps a run from starting: every problem of every host, each with its remedy, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fabfile.checks.evidence import Sending, Unseen
from fabfile.checks.preflight import host_problems, refuse_if_unfit
from fabfile.commands.observe import TOOLS
from fabfile.errors import Refused
from fabfile.model.host_facts import ConfigurationTest
from tests.unit.checks.seen import environment, well
from tests.unit.planning.test_deploy_plan import bare

ENVIRONMENT = environment()
SMALL = Sending(1000, 10)
SITE = replace(SMALL, sites=frozenset({"h1"}))
BROKEN = ConfigurationTest(1, "nginx: [emerg] unknown directive in /etc/nginx/conf.d/other.conf:1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tools": {t: t for t in TOOLS if t not in ("zstd", "pm2")}}, "apt-get install zstd; npm install -g pm2"),
        ({"writable": False}, "as root on h1: install -d -o deploy /var/app"),
        ({"nginx_writable": False}, "install -d -o deploy /etc/nginx/turnout"),
        ({"free_bytes": 1 << 20}, "no space: 1 MiB free"),
        ({"free_inodes": 10}, "no inodes"),
        ({"maintenance": True}, "inv maintenance.off --env=demo"),
        ({"ports": {3001: "python3 (pid 7)"}}, "port 3001 of slot blue is taken by python3 (pid 7)"),
        ({"nginx_version": "1.14.2"}, "nginx 1.14.2 is older than 1.15.3"),
    ],
)
def test_an_unfit_host_is_named_with_its_remedy(change: dict[str, Any], said: str) -> None:
    (problem,) = host_problems(replace(bare("h1"), **change), "demo", ENVIRONMENT, SMALL, {"h1": well("h1")})
    assert said in problem


@pytest.mark.parametrize(
    ("change", "sending", "said"),
    [
        ({"node_version": "14.0.0"}, SMALL, "node 14.0.0 is older"),
        ({"memory_available": 1 << 20}, SMALL, "no memory for a second process"),
        ({"nginx_test": BROKEN}, SITE, "mv /etc/nginx/conf.d/other.conf /var/tmp/"),
        ({"refused": ("/usr/bin/systemctl reload nginx",)}, SITE, "/etc/sudoers.d/turnout-deploy"),
    ],
)
def test_what_a_closer_look_shows_counts_as_well(change: dict[str, Any], sending: Sending, said: str) -> None:
    (problem,) = host_problems(bare("h1"), "demo", ENVIRONMENT, sending, {"h1": well("h1", **change)})
    assert said in problem


@pytest.mark.parametrize(
    "change",
    [
        {"nginx_test": BROKEN, "refused": ("/usr/bin/systemctl reload nginx",)},
        {"offset": (500.0, 501.0)},
        {"enabled": frozenset(), "saved": frozenset()},
    ],
)
def test_what_cannot_harm_this_run_does_not_stop_it(change: dict[str, Any]) -> None:
    assert host_problems(bare("h1"), "demo", ENVIRONMENT, SMALL, {"h1": well("h1", **change)}) == []


def test_what_nobody_could_see_does_not_stop_a_run() -> None:
    assert host_problems(bare("h1"), "demo", ENVIRONMENT, SITE, {"h1": Unseen("no answer")}) == []
    assert host_problems(bare("h1"), "demo", ENVIRONMENT, SITE) == []


def test_problems_of_all_hosts_come_at_once() -> None:
    seen = [replace(bare("h1"), writable=False), replace(bare("h2"), maintenance=True)]
    with pytest.raises(Refused) as error:
        refuse_if_unfit(seen, "demo", ENVIRONMENT, Sending(0, 0), {"h1": well("h1"), "h2": well("h2")})
    assert [line.split(":")[0] for line in error.value.details] == ["h1", "h2"]
    assert error.value.code == 5


def test_fit_hosts_may_start() -> None:
    refuse_if_unfit([bare("h1"), bare("h2")], "demo", ENVIRONMENT, SITE, {"h1": well("h1"), "h2": well("h2")})
