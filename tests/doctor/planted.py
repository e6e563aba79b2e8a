"""Twelve faults of twelve kinds, each planted where it hides no other, and what the doctor must call it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.certificates import valid
from tests.doctor.conftest import NAME, SECRET, install_certificate
from tests.e2e.project import Project
from tests.e2e.stored import sql

LEASE = "run=20260101T000000-dead\nholder=ann@laptop\nreason=deploy 0.9\ntoken=1\nttl=120\nprocess=\n"
SQUATTER = """
setsid node -e "require('net').createServer().listen($1, '127.0.0.1', () => console.log('listening'))" \
    > /run/squatter.log 2>&1 &
until grep -q listening /run/squatter.log; do sleep 0.05; done
"""
# The machines of the lab have one kernel and so one clock: what tells it and what sets it are stand-ins here.
WRONG_CLOCK = """
printf '%s\\n' '#!/bin/sh' 'exec /bin/date -d "+10 minutes" "$@"' > /usr/local/bin/date
printf '%s\\n' '#!/bin/sh' '[ "$*" = "set-ntp true" ] && rm -f /usr/local/bin/date' > /usr/local/bin/timedatectl
chmod 755 /usr/local/bin/date /usr/local/bin/timedatectl
"""
FULL = """
free=$(df -B1 --output=avail /var/app | tail -n 1)
fallocate -l $((free - 20000000)) /var/app/small/logs/grown.err.log
"""


@dataclass(frozen=True)
class Fault:
    """The check that must name it, where, how it is planted, and what a person answers who types the remedy."""

    check: str
    where: str
    plant: Callable[[Project], None]
    answer: str = ""


def bash(project: Project, host: str, script: str, *words: str, user: str = "root") -> None:
    project.lab.execute(host, "bash", "-c", script, "bash", *words, user=user)


def forget_a_host(project: Project) -> None:
    known = Path(project.environment["HOME"]) / "known_hosts"
    address = project.lab.address("h3")
    lines = [line for line in known.read_text().splitlines() if address not in line.split()[0].split(",")]
    known.write_text("\n".join(lines) + "\n")


def take_a_port(project: Project) -> None:
    seen = project.inv("status", "--json").document["h1"]
    bash(project, "h1", SQUATTER, "3002" if seen["live"] == "blue" else "3001")


def let_a_certificate_end(project: Project) -> None:
    """It was renewed, and nobody told nginx."""
    install_certificate(project.lab, "h4", valid(NAME, -90, -1))
    project.lab.execute("h4", "systemctl", "reload", "nginx")
    time.sleep(1)
    install_certificate(project.lab, "h4", valid(NAME, -1, 89))


def open_the_database(project: Project) -> None:
    sql(project, "alter system set ssl = off")
    sql(project, "select pg_reload_conf()")
    deadline = time.monotonic() + 20
    while sql(project, "show ssl") != "off":
        assert time.monotonic() < deadline


def open_the_bucket(project: Project) -> None:
    words = project.lab.environment
    client: Any = boto3.session.Session().client(
        "s3",
        region_name="us-east-1",
        endpoint_url=words["S3_ENDPOINT"],
        aws_access_key_id=words["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=words["AWS_SECRET_ACCESS_KEY"],
    )
    client.put_bucket_versioning(Bucket="backups", VersioningConfiguration={"Status": "Suspended"})
    client.delete_public_access_block(Bucket="backups")
    client.close()


def die_with_the_lease(project: Project) -> None:
    script = 'printf %s "$1" > /var/app/small/.turnout/lease; touch -d "1 hour ago" /var/app/small/.turnout/lease'
    bash(project, "h4", script, LEASE, user="deploy")


def take_the_schedule_away(project: Project) -> None:
    project.inv("backup.schedule", "--remove")


def unset(project: Project) -> None:
    del project.environment[SECRET]


FAULTS = (
    Fault("ports", "h1", take_a_port),
    Fault("sudo", "h2", lambda project: bash(project, "h2", "mv /etc/sudoers.d/deploy /root/deploy")),
    Fault("disk", "h2", lambda project: bash(project, "h2", FULL, user="deploy")),
    Fault("nginx", "h1", lambda project: bash(project, "h1", "echo 'nonsense on;' > /etc/nginx/conf.d/other.conf")),
    Fault("clock", "h1", lambda project: bash(project, "h1", WRONG_CLOCK)),
    Fault("lease", "h4", die_with_the_lease, "test\n"),
    Fault("certificate", "h4", let_a_certificate_end),
    Fault("database", "db", open_the_database),
    Fault("bucket", "s3://backups", open_the_bucket),
    Fault("schedule", "", take_the_schedule_away),
    Fault("login", "h3", forget_a_host, "yes\n"),
    Fault("variables", f"secrets.{SECRET}", unset, "as it should be\n"),
)
