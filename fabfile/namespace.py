"""All tasks by the names that are typed."""

from __future__ import annotations

from invoke.collection import Collection

from fabfile import (
    approve,
    artifacts,
    bucket,
    build,
    canary,
    custody,
    deploy,
    doctor,
    drop_old,
    environments,
    hosts,
    lock,
    maintenance,
    migrate,
    migrate_down,
    pitr,
    promote,
    pull,
    recover,
    rollback,
    schedule,
    smoke,
    sql_files,
    status,
    unfinished,
    vault,
    verification,
    windows,
)
from fabfile import backup as backups
from fabfile.lab import tasks as lab


def namespace() -> Collection:
    """The root collection. Order is alphabetical in `inv --list`, whatever is done here."""
    root = Collection()
    for task in (
        build.build,
        deploy.plan,
        recover.recover,
        rollback.rollback,
        smoke.smoke,
        status.status,
        status.releases,
        artifacts.artifacts,
        promote.promote,
        doctor.doctor,
        environments.config,
        approve.approve,
        approve.approvals,
    ):
        root.add_task(task)
    deploys = Collection("deploy")
    deploys.add_task(deploy.deploy, default=True)
    for task in (unfinished.resume, unfinished.abort, deploy.catch_up):
        deploys.add_task(task)
    root.add_collection(deploys)
    root.add_collection(Collection("env", environments.diff))
    for name, module in (
        ("backup", backups),
        ("bucket", bucket),
        ("canary", canary),
        ("hosts", hosts),
        ("lab", lab),
        ("lock", lock),
        ("maintenance", maintenance),
        ("migrate", migrate),
        ("secrets", vault),
        ("windows", windows),
    ):
        root.add_collection(Collection.from_module(module, name=name))
    root.collections["secrets"].add_task(custody.list_secrets)
    for task in (migrate_down.down, sql_files.new, sql_files.lint):
        root.collections["migrate"].add_task(task)
    for task in (
        verification.verify,
        pull.pull,
        drop_old.drop_old,
        schedule.schedule,
        schedule.scheduled,
        schedule.check,
        pitr.setup,
        pitr.check,
        pitr.restore,
        pitr.drop,
    ):
        root.collections["backup"].add_task(task)
    return root
