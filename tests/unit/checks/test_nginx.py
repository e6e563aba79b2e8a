"""Would nginx start again? What it says leads to the file, and the file to the remedy."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Sending
from fabfile.checks.nginx import judge
from fabfile.model.host_facts import ConfigurationTest
from tests.unit.checks.seen import evidence, facing, of, well

NO_SUDO = "timeout: failed to run command ‘sudo’: No such file or directory"
TAIL = "\nnginx: configuration file /etc/nginx/nginx.conf test failed"


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (
            'nginx: [emerg] unknown directive "nonsense" in /etc/nginx/conf.d/other.conf:1',
            "mv /etc/nginx/conf.d/other.conf /var/tmp/ && nginx -t",
        ),
        (
            "nginx: [emerg] unexpected end of file in /etc/nginx/sites-enabled/old:3",
            "mv /etc/nginx/sites-enabled/old /var/tmp/ && nginx -t",
        ),
        ('nginx: [emerg] unknown directive "x" in /etc/nginx/turnout/shop.conf:12', "inv deploy --env=demo"),
        ('nginx: [emerg] "user" directive is duplicate in /etc/nginx/nginx.conf:2', "nginx -t"),
        ('nginx: [emerg] host not found in upstream "backend"', "nginx -t"),
        ("nginx: [emerg] cannot load certificate: no such file", "nginx -t"),
    ],
)
def test_the_culprit_is_told_and_the_remedy_fits_where_it_lies(said: str, command: str) -> None:
    found = of(judge, facing(nginx_test=ConfigurationTest(1, f"nginx: [warn] something{TAIL}\n{said}{TAIL}")))
    assert found.verdict == "critical"
    assert found.seen == f"nginx would not start again: {said.removeprefix('nginx: [emerg] ')}"
    assert found.remedy
    assert found.remedy.command == command


def test_nginx_that_does_not_run_is_started() -> None:
    found = of(judge, facing(nginx_running=False, nginx_test=None))
    assert (found.verdict, found.seen) == ("critical", "nginx does not run")
    assert found.remedy
    assert found.remedy.command == "systemctl start nginx"


@pytest.mark.parametrize(
    "said", ["sudo: a password is required", "Sorry, user deploy may not run sudo on h1.", NO_SUDO]
)
def test_a_test_that_sudo_forbids_says_nothing_of_nginx(said: str) -> None:
    assert of(judge, facing(nginx_test=ConfigurationTest(1, said))).verdict == "could not look"


def test_a_run_asks_only_where_nginx_gets_another_site() -> None:
    broken = {name: well(name, nginx_test=ConfigurationTest(1, "broken")) for name in ("h1", "h2")}
    given = evidence(hosts=broken, run=Sending(1, 1, sites=frozenset({"h2"})))
    assert [(found.where, found.verdict) for found in judge(given)] == [("h2", "critical")]
    assert of(judge, evidence()).verdict == "ok"
