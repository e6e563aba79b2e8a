"""The script of facts on this machine, with stand-ins for what only root has: what it prints is what is there."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fabfile.commands.facts import STRANGER, asked_name, facts, parse
from fabfile.config.schema import Environment
from fabfile.model.host_facts import ConfigurationTest, HostFacts
from fabfile.model.paths import Paths
from fabfile.remote.local import LocalHost
from tests.certificates import valid

STAND_INS = {
    "sudo": r"""
        [ "$1" = -n ] && shift
        case "$*" in
            -l) echo "    (root) NOPASSWD: /usr/sbin/nginx -t" ;;
            '-l /usr/sbin/nginx -t') ;;
            '/usr/sbin/nginx -t') echo "nginx: [emerg] broken"; umask; exit 1 ;;
            *) exit 1 ;;
        esac""",
    "systemctl": r"""case "$*" in *nginx) ;; *) exit 1 ;; esac""",
    "crontab": r"""echo '@reboot /usr/bin/pm2 resurrect'""",
    "pg_dump": r"""echo 'pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)'""",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with stand-ins first on the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PM2_HOME", raising=False)
    return tmp_path


def look(folder: Path, deep: bool = True, port: int = 1, name: str = "_") -> HostFacts:
    environment = Environment.model_validate(
        {"app": "shop", "hosts": {"h1": {}}, "site": {"listen": port, "server_name": name}}
    )
    paths, begun = Paths("shop", base=str(folder), nginx=str(folder)), time.time()
    said = LocalHost("h1").run(facts(paths, environment, "h1", deep)).stdout
    return parse("h1", said, (begun, time.time()))


@contextmanager
def site(headers: dict[str, str], context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[str]]]:
    """A server on loopback, its port, and the `Host` and `Origin` of every request."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Host']} {self.headers['Origin']}")
            self.send_response(200 if self.path == "/" else 204)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody listens."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def test_a_bare_machine_is_looked_at_without_a_trace(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    found = look(folder)
    assert sorted(folder.rglob("*")) == before
    assert found.host == "h1"
    assert found.memory_available > 1 << 20
    assert found.offset[0] <= 0 <= found.offset[1]
    assert (found.tls, found.answers, found.slot_bytes, found.archives, found.largest_log) == (None, (), 0, 0, None)
    assert found.saved == frozenset()


def test_rights_tests_units_and_versions_are_told_as_they_are(folder: Path) -> None:
    found = look(folder)
    assert found.rights.strip() == "(root) NOPASSWD: /usr/sbin/nginx -t"
    assert found.refused == ("/usr/bin/systemctl reload nginx",)
    assert found.nginx_running
    assert found.nginx_test == ConfigurationTest(1, "nginx: [emerg] broken\n0022")
    assert found.enabled == {"nginx"}
    assert found.reboot
    assert found.pg_dump_version == "15.18"


def test_a_quick_look_asks_for_no_more_than_a_run_needs(folder: Path) -> None:
    found = look(folder, deep=False)
    assert found.refused == ("/usr/bin/systemctl reload nginx",)
    assert (found.enabled, found.reboot, found.pg_dump_version) == (frozenset(), False, "")


def test_slots_archives_logs_and_pm2s_list_are_measured(folder: Path) -> None:
    root = folder / "shop"
    for path, size in (
        ("slots/blue/big", 300_000),
        ("slots/green/small", 10),
        ("releases/1.0.tar.zst", 5000),
        ("releases/2.0.tar.zst", 7000),
        ("logs/blue.err.log", 9000),
        ("logs/our log", 100),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x" * size)
    (folder / ".pm2").mkdir()
    (folder / ".pm2" / "dump.pm2").write_text('[{"name": "shop-blue", "pm2_env": {"name":"shop-green"}}]')
    found = look(folder)
    assert 300_000 <= found.slot_bytes < 400_000
    assert (found.archive_bytes, found.archives) == (7000, 2)
    assert found.largest_log == (str(root / "logs/blue.err.log"), 9000)
    assert found.saved == {"shop-blue", "shop-green"}


def test_the_memory_of_what_runs_from_a_slot_is_measured(folder: Path) -> None:
    (folder / "shop" / "slots" / "blue").mkdir(parents=True)
    assert look(folder, deep=False).resident == 0
    running = subprocess.Popen(["sleep", "60"], cwd=folder / "shop" / "slots" / "blue")
    try:
        assert 0 < look(folder, deep=False).resident < 100 << 20
    finally:
        running.kill()
        running.wait()


def test_a_clock_that_is_ahead_is_found_so(folder: Path) -> None:
    (folder / "programs" / "date").write_text("#!/bin/sh\nexec /bin/date -d '+10 minutes' \"$@\"\n")
    (folder / "programs" / "date").chmod(0o755)
    least, most = look(folder, deep=False).offset
    assert least <= 600 <= most
    assert least > 500


def test_a_plain_site_is_asked_as_a_stranger_asks(folder: Path) -> None:
    with site({"X-Content-Type-Options": "nosniff"}) as (port, asked):
        (folder / "shop.conf").write_text(f"server {{\n    listen {port};\n}}\n")
        found = look(folder, port=port)
    assert asked == [f"/ localhost {STRANGER}", f"/api/health localhost {STRANGER}"]
    assert [(answer.path, answer.status) for answer in found.answers] == [("/", 200), ("/api/health", 204)]
    assert found.answers[0].headers["x-content-type-options"] == "nosniff"
    assert found.tls is None


def test_the_certificate_that_is_shown_the_one_that_is_stored_and_the_protocols(folder: Path) -> None:
    shown, stored = valid("shop.example", -90, -1), valid("shop.example", -1, 89)
    for name, text in (("shown.pem", shown.certificate + shown.key), ("stored.pem", stored.certificate)):
        (folder / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "shown.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with site({}, context) as (port, asked):
        (folder / "shop.conf").write_text(
            "server {\n    listen 80;\n    listen [::]:443 ssl;\n"
            f"    listen 127.0.0.1:{port} default_server ssl;\n    ssl_certificate {folder}/stored.pem;\n}}\n"
        )
        found = look(folder, name="shop.example www.shop.example")
    assert found.tls
    assert found.tls.place == f"127.0.0.1:{port}"
    assert found.tls.protocols == ("tls1_3",)
    assert found.tls.certificate
    assert found.tls.certificate.names == ("shop.example",)
    now = datetime.now(UTC)
    assert abs(found.tls.certificate.until - (now - timedelta(days=1))) < timedelta(minutes=5)
    assert found.tls.stored_until
    assert abs(found.tls.stored_until - (now + timedelta(days=89))) < timedelta(minutes=5)
    assert {line.split()[1] for line in asked} == {"shop.example"}
    assert [answer.status for answer in found.answers] == [200, 204]


def test_a_listener_that_shows_nothing_and_a_site_that_does_not_answer(folder: Path) -> None:
    (folder / "shop.conf").write_text("server {\n    listen 127.0.0.1:1 ssl;\n}\n")
    found = look(folder)
    assert found.tls
    assert (found.tls.certificate, found.tls.protocols, found.tls.path) == (None, (), "")
    assert [answer.status for answer in found.answers] == [0, 0]


def test_an_answer_that_is_cut_is_none() -> None:
    with pytest.raises(ValueError, match="incomplete"):
        parse("h1", "clock MTIK\n", (0.0, 1.0))


@pytest.mark.parametrize(
    ("server_name", "asked"),
    [
        ("_", "localhost"),
        ("shop.example www.shop.example", "shop.example"),
        ("*.shop.example", "turnout-doctor.shop.example"),
    ],
)
def test_a_name_that_the_site_answers_to_is_asked_for(server_name: str, asked: str) -> None:
    assert asked_name(server_name) == asked
