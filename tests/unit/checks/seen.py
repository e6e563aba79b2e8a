"""What checks are given in tests: an environment, hosts on which all is well, and what one test changes of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fabfile.checks.evidence import Evidence
from fabfile.commands.facts import RIGHTS
from fabfile.config.schema import Environment
from fabfile.model.finding import Finding
from fabfile.model.host_facts import Answer, Certificate, ConfigurationTest, HostFacts, Tls
from fabfile.model.observed import Observed
from tests.unit.planning.test_deploy_plan import serving

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTING = f"""User deploy may run the following commands on h1:
    (root) NOPASSWD: {", ".join(RIGHTS)}
"""
DATABASE = {"via": "h1", "name": "shop", "user": "turnout", "password": "env:PASSWORD"}
BACKUP = {"bucket": "backups", "endpoint": "https://s3.example"}


def environment(**sections: Any) -> Environment:
    return Environment.model_validate({"app": "shop", "hosts": {"h1": {}, "h2": {}}, **sections})


def well(host: str = "h1", **change: Any) -> HostFacts:
    """A host on which everything is as it should be."""
    facts = HostFacts(
        host=host,
        user="deploy",
        offset=(-0.5, 0.5),
        memory_available=2 << 30,
        swap_free=0,
        resident=100 << 20,
        node_version="20.11.0",
        pm2_version="7.0.4",
        rights=LISTING,
        nginx_running=True,
        nginx_test=ConfigurationTest(0, "nginx: the configuration file syntax is ok"),
        enabled=frozenset({"nginx", "pm2-deploy"}),
        saved=frozenset({"shop-blue"}),
        pg_dump_version="15.18",
        answers=(Answer("/", 200, {}),),
    )
    return replace(facts, **change)


def live(host: str = "h1", **change: Any) -> Observed:
    """A host that serves a release from its blue slot."""
    return replace(serving(host), **change)


def certified(days: float, life: float = 90, names: tuple[str, ...] = ("shop.example",), **change: Any) -> Tls:
    """A site whose certificate is valid for so many days more, of so many."""
    until = NOW + timedelta(days=days)
    certificate = Certificate(until - timedelta(days=life), until, names)
    return replace(Tls("127.0.0.1:443", certificate, "/etc/ssl/shop.crt", None, ("tls1_2", "tls1_3")), **change)


def evidence(**change: Any) -> Evidence:
    """Both hosts are well, unless told otherwise."""
    given: dict[str, Any] = {
        "environment": environment(),
        "hosts": {"h1": well("h1"), "h2": well("h2")},
        "observed": {"h1": live("h1"), "h2": live("h2")},
        **change,
    }
    return Evidence("demo", now=NOW, **given)


def of(judge: Callable[[Evidence], Iterable[Finding]], given: Evidence, where: str = "h1") -> Finding:
    """What a check says of one place; it says one thing of it."""
    (found,) = [finding for finding in judge(given) if finding.where == where]
    return found


def facing(**change: Any) -> Evidence:
    """The first host is not as it should be."""
    return evidence(hosts={"h1": well("h1", **change), "h2": well("h2")})
