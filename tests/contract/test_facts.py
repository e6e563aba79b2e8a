"""The script of facts on a real host: it understands what is there, changes nothing, and takes a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fabfile.checks.sudo import wants_password
from fabfile.commands.facts import RIGHTS, facts, parse
from fabfile.config.schema import Environment
from fabfile.database.doorway import doorway
from fabfile.lab.lab import Lab
from fabfile.model.host_facts import HostFacts
from fabfile.model.paths import Paths
from fabfile.remote.ssh import SshHost
from tests.contract.database_server import Server
from tests.contract.test_host import over_ssh

pytestmark = pytest.mark.lab

ENVIRONMENT = Environment.model_validate({"app": "shop", "hosts": {"h1": {}, "db": {"roles": ["db"]}}})
WATCHED = "find /etc /var/app /var/log/nginx /home/deploy -xdev -newer /run/began ! -name '*.log' 2> /dev/null | sort"


@pytest.fixture(params=["h1", "db"])
def host(request: pytest.FixtureRequest, lab: Lab) -> Iterator[SshHost]:
    reached = over_ssh(lab, request.param)
    yield reached
    reached.close()


def look(host: SshHost, deep: bool = True) -> HostFacts:
    begun = time.time()
    said = host.run(facts(Paths("shop"), ENVIRONMENT, host.name, deep)).stdout
    return parse(host.name, said, (begun, time.time()))


def test_a_real_host_is_understood(host: SshHost) -> None:
    found = look(host)
    assert found.user == "deploy"
    assert found.offset[0] <= 0.1
    assert found.offset[1] >= -0.1
    assert found.memory_available > 1 << 20
    assert found.node_version.startswith("18.")
    assert found.pm2_version.startswith("7.")
    assert found.pg_dump_version.startswith("15.")
    web = host.name == "h1"
    assert found.nginx_running is web
    assert (found.nginx_test is not None and found.nginx_test.status == 0) is web
    assert found.refused == ()
    if web:
        assert not any(wants_password(found.rights, right) for right in RIGHTS)
    assert {"nginx", "pm2-deploy"} <= found.enabled


def test_rights_that_are_taken_away_are_missed_in_sudos_own_words(lab: Lab) -> None:
    host = over_ssh(lab)
    lab.execute("h1", "mv", "/etc/sudoers.d/deploy", "/root/deploy")
    try:
        without = look(host)
        rule = f"deploy ALL=(root) {RIGHTS[0]}, NOPASSWD: {RIGHTS[1]}"
        lab.execute("h1", "bash", "-c", f"echo '{rule}' > /etc/sudoers.d/deploy; chmod 440 /etc/sudoers.d/deploy")
        asking = look(host)
    finally:
        lab.execute("h1", "mv", "/root/deploy", "/etc/sudoers.d/deploy")
        host.close()
    assert without.refused == RIGHTS
    assert without.nginx_test is not None
    assert without.nginx_test.status != 0
    assert [wants_password(asking.rights, right) for right in RIGHTS] == [True, False]


def test_nothing_on_the_host_is_changed(lab: Lab, host: SshHost) -> None:
    look(host)
    lab.execute(host.name, "bash", "-c", "touch /run/began; sleep 1.1")
    look(host)
    assert lab.execute(host.name, "bash", "-c", WATCHED) == ""


def test_a_quick_look_is_quick(host: SshHost) -> None:
    look(host, deep=False)
    begun = time.monotonic()
    look(host, deep=False)
    assert time.monotonic() - begun < 3


def test_a_server_tells_how_one_comes_in(server: Server) -> None:
    found = doorway(server.database)
    assert found.version.startswith("15.")
    assert (found.encrypted, found.offered, found.listens) == (True, True, "*")
    assert found.plain == ()
    assert set(found.unlogged) == {"log_connections", "log_statement"}


def test_a_server_tells_whether_it_logs_who_comes_in_and_who_changes_the_schema(server: Server) -> None:
    try:
        server.ask("postgres", "ALTER SYSTEM SET log_connections = on")
        server.ask("postgres", "ALTER SYSTEM SET log_statement = ddl")
        server.ask("postgres", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while doorway(server.database).unlogged:
            assert time.monotonic() < deadline
    finally:
        server.ask("postgres", "ALTER SYSTEM RESET log_connections")
        server.ask("postgres", "ALTER SYSTEM RESET log_statement")
        server.ask("postgres", "SELECT pg_reload_conf()")
