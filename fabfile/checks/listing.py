"""All checks in the order in which they are told, and those of them that come before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fabfile.checks import (
    archiving,
    audit,
    backups,
    boot,
    bucket,
    certificate,
    clock,
    cors,
    database,
    directories,
    disk,
    headers,
    lease,
    login,
    maintenance,
    memory,
    migrations,
    nginx,
    pg_dump,
    ports,
    rate_limit,
    schedule,
    secrets,
    sudo,
    tls,
    tools,
    unfinished,
    variables,
    versions,
)
from fabfile.checks.evidence import Evidence
from fabfile.model.finding import Finding

Judge = Callable[[Evidence], Iterable[Finding]]

BEFORE_A_RUN: Mapping[str, Judge] = {
    "tools": tools.judge,
    "directories": directories.judge,
    "disk": disk.judge,
    "maintenance": maintenance.judge,
    "ports": ports.judge,
    "sudo": sudo.judge,
    "versions": versions.judge,
    "memory": memory.judge,
    "nginx": nginx.judge,
}
"""What can make a run fail or harm users; of these, what is critical keeps it from starting."""

CHECKS: Mapping[str, Judge] = {
    "login": login.judge,
    **BEFORE_A_RUN,
    "boot": boot.judge,
    "clock": clock.judge,
    "lease": lease.judge,
    "unfinished": unfinished.judge,
    "variables": variables.judge,
    "secrets": secrets.judge,
    "certificate": certificate.judge,
    "tls": tls.judge,
    "headers": headers.judge,
    "cors": cors.judge,
    "rate-limit": rate_limit.judge,
    "database": database.judge,
    "audit": audit.judge,
    "pg_dump": pg_dump.judge,
    "migrations": migrations.judge,
    "bucket": bucket.judge,
    "backups": backups.judge,
    "schedule": schedule.judge,
    "archiving": archiving.judge,
}
