"""Traps of nginx and PM2 that were met in production, set again on real hosts."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", autouse=True)
def without_boot(project: Project) -> None:
    """PM2's daemon is started by deploys alone: systemd would mend what is broken here."""
    for host in project.lab.hosts:
        project.lab.execute(host, "bash", "-c", "systemctl stop pm2-deploy; sudo -iu deploy pm2 kill")


def ask(project: Project, host: str, path: str = "/") -> str:
    """The release that answers on a host."""
    connection = http.client.HTTPConnection(project.lab.address(host), timeout=10)
    connection.request("GET", path)
    release: str = json.loads(connection.getresponse().read())["release"]
    connection.close()
    return release


def test_the_switch_is_seen_at_once_though_nginx_caches_open_files(project: Project, first: str) -> None:
    """With open_file_cache anywhere above, a flag came five seconds late."""
    project.lab.execute(
        "h1",
        "bash",
        "-c",
        "echo 'open_file_cache max=100; open_file_cache_valid 60s; open_file_cache_errors on;' "
        "> /etc/nginx/conf.d/cache.conf; systemctl reload nginx",
    )
    second = project.build("2.0.0")
    try:
        for _ in range(5):
            assert ask(project, "h1") == first
        project.inv("deploy", f"--release={second}")
        assert ask(project, "h1") == second
        project.inv("rollback")
        assert ask(project, "h1") == first
    finally:
        project.lab.execute("h1", "bash", "-c", "rm /etc/nginx/conf.d/cache.conf; systemctl reload nginx")


def test_a_request_that_is_under_way_at_the_switch_is_answered_by_the_old_release(project: Project) -> None:
    slow = project.build("1.1.0", delay=1200)
    project.inv("deploy", f"--release={slow}")
    quick = project.build("2.1.0")
    answers: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(ask(project, "h1"))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    project.inv("deploy", f"--release={quick}")
    stop.set()
    asking.join()
    assert set(answers) == {slow, quick}
    assert answers == sorted(answers)


def test_an_upload_that_is_under_way_at_the_switch_is_answered(project: Project, first: str) -> None:
    """What nginx buffers holds no connection to the slot: the old one is stopped by the time it is complete."""
    second = project.build("2.2.1")
    with socket.create_connection((project.lab.address("h1"), 80), timeout=60) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: h1\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500
        )
        process = project.start("deploy", f"--release={second}")
        process.communicate()
        assert process.returncode == 0
        connection.sendall(b"x" * 500)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert second.encode() in answer


def test_a_live_slot_that_is_down_is_a_502_and_no_loop(project: Project, first: str) -> None:
    slot = project.live()["h1"][0]
    project.lab.execute("h1", "bash", "-c", f"sudo -iu deploy pm2 -s delete small-{slot}")
    connection = http.client.HTTPConnection(project.lab.address("h1"), timeout=10)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().status == 502
    finally:
        connection.close()
        project.inv("deploy", f"--release={first}")
    assert ask(project, "h1") == first


def test_a_rendered_file_is_never_live_before_its_time(project: Project, first: str) -> None:
    """nginx includes *.conf; nothing that is half-written or kept may have such a name."""
    names = project.lab.execute("h1", "ls", "/etc/nginx/turnout").split()
    assert [name for name in names if name.endswith(".conf")] == ["small.conf"]


def test_each_slot_is_an_upstream_of_its_own(project: Project, first: str) -> None:
    """In a weighted upstream, retries hide a slot that drops every connection."""
    site = project.lab.execute("h1", "cat", "/etc/nginx/turnout/small.conf")
    for slot, port in (("blue", 3001), ("green", 3002)):
        block = site.split(f"upstream small-{slot} {{", 1)[1].split("}", 1)[0]
        assert block.count("server ") == 1
        assert f"server 127.0.0.1:{port};" in block
    assert "proxy_http_version 1.1;" in site


def test_upstream_connections_close_before_the_application_closes_them(project: Project, first: str) -> None:
    """Node closes idle connections after five seconds by default; a POST on one that closes is a 502."""
    site = project.lab.execute("h1", "cat", "/etc/nginx/turnout/small.conf")
    assert site.count("keepalive_timeout 4s;") == 2


def test_pm2s_daemon_stands_in_no_directory_that_goes(project: Project, first: str) -> None:
    project.wipe()
    project.lab.execute("h1", "bash", "-c", "sudo -iu deploy pm2 kill")
    project.inv("deploy", f"--release={first}")
    where = project.lab.execute(
        "h1", "bash", "-c", "readlink /proc/$(pgrep -f '[G]od Daemon')/cwd", user="deploy"
    ).strip()
    assert not where.startswith("/var/app")


def test_the_new_directory_is_what_runs_after_every_deploy(project: Project, first: str) -> None:
    """PM2 ignores a changed directory on every kind of restart, with exit code 0."""
    for version in ("2.2.0", "2.3.0"):
        release = project.build(version)
        project.inv("deploy", f"--release={release}")
        slot = project.live()["h1"][0]
        pid = project.inv("status", "--json").document["h1"]["slots"][slot]["process"]["pid"]
        where = project.lab.execute("h1", "readlink", f"/proc/{pid}/cwd", user="deploy")
        assert where.strip() == f"/var/app/small/slots/{slot}"


def test_a_package_of_type_module_starts(project: Project, first: str) -> None:
    """PM2's own `.config.js` fails there; a JSON file does not."""
    source = project.folder / "module"
    source.mkdir(exist_ok=True)
    (source / "package.json").write_text('{"name": "small", "version": "3.0.0", "type": "module"}')
    (source / "server.js").write_text(
        "import http from 'node:http';\n"
        "const answer = JSON.stringify({ release: process.env.RELEASE_ID });\n"
        "http.createServer((q, r) => r.end(answer)).listen(process.env.PORT, process.env.HOST);\n"
    )
    release = project.inv("build", f"--source={source}", "--json").document["id"]
    project.inv("deploy", f"--release={release}")
    assert ask(project, "h2") == release


def test_pm2s_dump_and_home_are_private_and_hold_only_what_was_given(project: Project, first: str) -> None:
    modes = project.lab.execute("h1", "stat", "-c", "%a", "/home/deploy/.pm2", "/home/deploy/.pm2/dump.pm2")
    assert modes.split() == ["700", "600"]
    dump = json.loads(project.lab.execute("h1", "cat", "/home/deploy/.pm2/dump.pm2"))
    given = {"HOST", "PORT", "SLOT", "RELEASE_ID", "ENV_FILE"}
    clean = {"HOME", "USER", "LANG", "PATH", "PM2_HOME", "PM2_DISCRETE_MODE", "PM2_DISABLE_VERSION_CHECK"}
    assert given <= set(dump[0]["env"])
    upper = {name for name in dump[0]["env"] if name.isupper() and not name.startswith(("PM2", "npm"))}
    assert upper <= given | clean | {"PWD", "OLDPWD", "SHLVL", "_"}, upper


def test_what_outlived_a_killed_daemon_does_not_stop_the_next_deploys(project: Project, first: str) -> None:
    """The application goes on without its daemon, holds its port, and PM2 knows nothing of it."""
    project.lab.execute("h1", "bash", "-c", "pkill -KILL -f '[G]od Daemon'")
    assert ask(project, "h1") == first
    for version in ("2.5.0", "2.6.0"):
        release = project.build(version)
        project.inv("deploy", f"--release={release}")
        assert {host: ask(project, host) for host in project.lab.hosts} == dict.fromkeys(project.lab.hosts, release)
    running = project.lab.execute(
        "h1", "bash", "-c", "pgrep -fc '/var/app/small/slots/[b]lue|/var/app/small/slots/[g]reen'"
    )
    assert running.strip() == "1"


def test_a_daemon_without_its_pid_file_is_still_asked(project: Project, first: str) -> None:
    """Systemd removes the file when the unit that PM2 made has failed, whoever runs by then."""
    project.lab.execute("h1", "rm", "-f", "/home/deploy/.pm2/pm2.pid")
    release = project.build("2.7.0")
    project.inv("deploy", f"--release={release}")
    assert {host: ask(project, host) for host in project.lab.hosts} == dict.fromkeys(project.lab.hosts, release)
