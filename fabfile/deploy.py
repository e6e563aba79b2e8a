"""`inv deploy` and `inv plan`: a release goes live on every host, or on none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from fabfile.engine.step import Step
    from fabfile.session import Session
    from fabfile.steps.target import Target

RELEASE = "release file or id; default: the newest in dist/"


@verb(
    help={
        "env": ENV,
        "release": RELEASE,
        "plan": "only show what would be done (same as inv plan)",
        "skip_backup": "do not take the backup that the environment asks for",
        "skip_migrate": "do not run the application's migration",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def deploy(
    reporter: Reporter,
    env: str | None = None,
    release: str | None = None,
    plan: bool = False,
    skip_backup: bool = False,
    skip_migrate: bool = False,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Put a release on every host, prove it healthy, and move traffic to it; undo everything if a step fails."""
    from fabfile.session import opened

    if plan:
        return _show(reporter, env, release, skip_backup, skip_migrate)
    with opened(env, reporter) as session:
        archive = session.open_release(release)
        session.confirm(yes, f"{archive.manifest.id} is about to be deployed to {session.name}.")
        with session.lease("deploy", f"deploy {archive.manifest.id}", duration(lock_wait, "--lock-wait")) as run:
            before = session.observe()
            target = session.deploy_target(archive, before)
            if target.plan.empty:
                return reporter.answer(f"nothing to do: {session.name} serves {target.plan.release}", _summary(target))
            session.carry_out(steps(session, target, skip_backup, skip_migrate), closing(target), run, before)
        reporter.answer(f"{session.name} serves {target.plan.release}", _summary(target))
    return None


@verb(help={"env": ENV, "release": RELEASE, "json": JSON})
def plan(reporter: Reporter, env: str | None = None, release: str | None = None, json: bool = False) -> None:
    """Show every step, command and file change that a deploy would make; exit 2 when there is something to do."""
    _show(reporter, env, release)


def steps(session: Session, target: Target, skip_backup: bool = False, skip_migrate: bool = False) -> list[Step]:
    """A deploy, from top to bottom."""
    from fabfile.steps import process, recovery, release, traffic

    table: list[Step] = [
        *([recovery.backup(session.recovery, target)] if target.plan.backup and not skip_backup else []),
        release.upload(target),
        release.unpack(target),
        release.place(target),
        *([release.migrate(target)] if target.environment.release.migrate and not skip_migrate else []),
        process.start(target),
        process.prove(target),
        traffic.site(target),
        traffic.switch(target),
        traffic.drain(target),
        process.settle(target),
    ]
    return [step for step in table if step.hosts]


def closing(target: Target) -> list[Step]:
    """What follows once everything worked, and is not taken back."""
    from fabfile.steps import record

    return [record.record(target), record.tidy(target)]


def _show(
    reporter: Reporter, env: str | None, release: str | None, skip_backup: bool = False, skip_migrate: bool = False
) -> None:
    from fabfile.session import opened
    from fabfile.ui.plan import plan_document, plan_text

    with opened(env, reporter, read_only=True) as session:
        target = session.deploy_target(session.open_release(release), session.observe())
        if target.plan.empty:
            return reporter.answer(f"nothing to do: {session.name} serves {target.plan.release}", _summary(target))
        table = [*steps(session, target, skip_backup, skip_migrate), *closing(target)]
        reporter.answer(plan_text(target, table), plan_document(target, table))
    return reporter.leave(2)


def _summary(target: Target) -> dict[str, object]:
    return {
        "run": target.run,
        "release": target.plan.release,
        "changed": [host.host for host in target.plan.hosts],
        "unchanged": list(target.plan.unchanged),
    }
