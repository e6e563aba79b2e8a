"""Fixtures for the doctor: four hosts behind a site with TLS, on which all is well, and an operator with a crontab."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.lab.lab import Lab
from tests.certificates import Pair, valid
from tests.e2e.project import Project, on_bare_hosts
from tests.lab_fixture import session_lab
from tests.unit.remote.test_scheduler import CRONTAB

NAME = "small.test"
ZONE = "limit_req_zone $binary_remote_addr zone=small:1m rate=1000r/s;\n"
LINES = """
    listen 443 ssl;
    ssl_certificate /etc/nginx/small.crt;
    ssl_certificate_key /etc/nginx/small.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    limit_req zone=small burst=1000 nodelay;
    add_header X-Content-Type-Options nosniff always;
    add_header Strict-Transport-Security "max-age=31536000" always;
"""
SECRET = "DOCTOR_KEY"


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Four web hosts, so that no fault hides another; a session that runs other suites too has its own for those."""
    with session_lab(request.config, hosts=4, suffix="-doctor") as lab:
        yield lab


def install_certificate(lab: Lab, host: str, pair: Pair) -> None:
    """Put a certificate and its key where the site looks for them; nginx does not read them yet."""
    for path, text in (("/etc/nginx/small.crt", pair.certificate), ("/etc/nginx/small.key", pair.key)):
        lab.execute(host, "sh", "-c", 'cat >"$1"', "sh", path, text=text)


@pytest.fixture
def well(lab: Lab, tmp_path: Path) -> Iterator[Project]:
    """A project with a live release, a verified backup and a schedule, of which every part is as it should be."""
    if Path("/run/systemd/system").is_dir():
        pytest.skip("would touch this machine's own systemd")
    for host in lab.hosts:
        install_certificate(lab, host, valid(NAME, -1, 89))
    for parameter in ("log_connections = on", "log_statement = ddl"):
        lab.execute("db", "psql", "-qc", f"alter system set {parameter}", user="postgres")
    lab.execute("db", "psql", "-qc", "select pg_reload_conf()", user="postgres")
    with on_bare_hosts(tmp_path / "project", lab) as project:
        _make_a_desk(project, tmp_path / "desk")
        _configure(project)
        project.inv("deploy", f"--release={project.build('1.0.0')}")
        project.inv("bucket.setup", "--yes")
        project.inv("backup")
        project.inv("backup.verify", "--backup=latest")
        project.inv("backup.schedule")
        # Nothing is overdue in an environment that is younger than a limit.
        aged = r's/"at":"[^"]*"/"at":"2020-01-01T00:00:00+00:00"/'
        for host in lab.hosts:
            lab.execute(host, "sed", "-i", aged, "/var/app/small/.turnout/history.jsonl", user="deploy")
        yield project


def _make_a_desk(project: Project, desk: Path) -> None:
    """The operator's own home, crontab and list of trusted keys, and `inv` as a command that can be typed."""
    programs = desk / "programs"
    programs.mkdir(parents=True)
    (programs / "crontab").write_text(CRONTAB)
    (programs / "inv").write_text(f'#!/bin/sh\nexec {sys.executable} -m invoke "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    (desk / "known_hosts").write_text(project.lab.known_hosts.read_text())
    path = f"{programs}:{project.environment['PATH']}"
    project.environment.update({"PATH": path, "HOME": str(desk), SECRET: "as it should be"})


def _configure(project: Project) -> None:
    lab, desk = project.lab, Path(project.environment["HOME"])
    template = project.folder / "templates" / "nginx" / "site.conf.j2"
    text = template.read_text()
    named = "    server_name {{ server_name }};\n"
    assert text.count(named) == 1
    template.write_text(ZONE + text.replace(named, named + LINES))
    project.always = {
        "ssh": {"config": str(lab.ssh_config), "known_hosts": str(desk / "known_hosts"), "connect_timeout": "4s"},
        "site": {"server_name": NAME},
        "secrets": {SECRET: f"env:{SECRET}"},
        "backup": {
            "bucket": "backups",
            "prefix": "doctor",
            "endpoint": "env:S3_TLS_ENDPOINT",
            "ca_file": lab.environment["S3_CA_FILE"],
        },
    }
    project.configure()
