"""`inv deploy`, `inv plan` and `inv deploy.catch-up`: a release goes live on every host, or on none."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, HOTFIX, JSON, LOCK_WAIT, REASON, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fabfile.artifact.archive import Release
    from fabfile.engine.step import Step
    from fabfile.model.observed import Observed
    from fabfile.model.plan import Plan, Rollout
    from fabfile.session import Session
    from fabfile.steps.target import Target

RELEASE = "release file, or an id (inv artifacts); default: the newest in dist/"


@dataclass(frozen=True)
class Wishes:
    """What flags ask of a deploy. Times are seconds; `hotfix` is why it cannot wait, or nothing."""

    plan: bool = False
    canary: str | None = None
    serial: str | None = None
    step: float = 0.0
    watch: float = 0.0
    limit: str | None = None
    allow_missing: int = 0
    skip_backup: bool = False
    skip_migrate: bool = False
    hotfix: str = ""
    lock_wait: float = 0.0
    yes: bool = False


@verb(
    help={
        "env": ENV,
        "release": RELEASE,
        "plan": "only show what would be done (same as inv plan)",
        "canary": "give shares of the clients the new release first: 10,50,100 (percent); without 100 it stays there",
        "step": "how long each share is watched before the next (default 2m)",
        "watch": "how long the gates watch once all traffic has moved, the old slot still running",
        "serial": "move traffic on so many hosts at a time: a number, or a percentage such as 25%",
        "limit": "only these hosts, separated by commas",
        "allow_missing": "go on without up to so many hosts that are out of reach",
        "skip_backup": "do not take the backup that the environment asks for",
        "skip_migrate": "leave the database alone: run no migration, nor ask whether the release fits it",
        "hotfix": HOTFIX,
        "reason": REASON,
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
    canary: str | None = None,
    step: str = "2m",
    watch: str | None = None,
    serial: str | None = None,
    limit: str | None = None,
    allow_missing: int = 0,
    skip_backup: bool = False,
    skip_migrate: bool = False,
    hotfix: bool = False,
    reason: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Put a release on every host, prove it healthy, and move traffic to it; undo everything if a step fails."""
    from fabfile.admission import hotfix_reason
    from fabfile.session import opened

    wishes = Wishes(
        plan=plan,
        canary=canary,
        serial=serial,
        step=duration(step, "--step"),
        watch=duration(watch, "--watch") if watch else 0.0,
        limit=limit,
        allow_missing=allow_missing,
        skip_backup=skip_backup,
        skip_migrate=skip_migrate,
        hotfix=hotfix_reason(hotfix, reason),
        lock_wait=duration(lock_wait, "--lock-wait"),
        yes=yes,
    )
    with opened(env, reporter, read_only=plan) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        bring(session, wishes, lambda: session.open_release(release, Path(folder)))


def bring(session: Session, wishes: Wishes, find: Callable[[], Release], source: str = "") -> None:
    """Deploy the release that `find` gives; `source` is the environment that it is promoted from, if it is."""
    from fabfile.admission import admitted
    from fabfile.planning.rollout import parse_rollout
    from fabfile.planning.unfinished import refuse_if_unfinished

    hosts = session.reachable(wishes.allow_missing)
    chosen = _chosen(session, wishes.limit, hosts)
    webs = len(set(hosts) & set(session.environment.web_hosts))
    rollout = parse_rollout(wishes.canary, wishes.serial, wishes.step, wishes.watch, hosts=webs)
    archive = find()

    def target_on(observed: Mapping[str, Observed]) -> Target:
        refuse_if_unfinished(observed)
        seen = {name: observed[name] for name in chosen}
        target = _target(session, archive, seen, rollout, hosts, wishes.skip_backup, wishes.skip_migrate)
        return replace(target, plan=replace(target.plan, promoted_from=source))

    if wishes.plan:
        return _show(session, target_on(session.observe(hosts)))
    session.confirm(wishes.yes, f"{archive.manifest.id} is about to be deployed to {session.name}.")
    with session.lease("deploy", f"deploy {archive.manifest.id}", wishes.lock_wait, hosts) as run:
        target = target_on(session.observe(hosts))
        if target.plan.empty:
            session.make_up(target)
            said = f"nothing to do: {session.name} serves {target.plan.release}"
            return session.reporter.answer(said, summary(target))
        target = admitted(session, target, wishes.hotfix)
        session.carry_out(steps(session, target), closing(target), run, target)
    answer(session, target)
    return None


@verb(help={"env": ENV, "release": RELEASE, "json": JSON})
def plan(reporter: Reporter, env: str | None = None, release: str | None = None, json: bool = False) -> None:
    """Show every step, command and file change that a deploy would make; exit 2 when there is something to do."""
    from fabfile.model.plan import Rollout
    from fabfile.planning.unfinished import refuse_if_unfinished
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        archive, hosts = session.open_release(release, Path(folder)), session.environment.run_hosts
        observed = session.observe()
        refuse_if_unfinished(observed)
        _show(session, _target(session, archive, observed, Rollout(), hosts))


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": YES, "json": JSON}, name="catch-up")
def catch_up(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """Bring hosts that missed a deploy to the release that the others serve, from an archive that those keep."""
    from fabfile.model.observed import newest_release
    from fabfile.planning.deploy_plan import plan_catch_up
    from fabfile.planning.unfinished import refuse_if_unfinished
    from fabfile.session import opened

    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        session.confirm(yes, f"hosts of {session.name} that missed a deploy are about to be brought up to date.")
        with session.lease("catch-up", "catch up", duration(lock_wait, "--lock-wait")) as run:
            observed = session.observe()
            refuse_if_unfinished(observed)
            wanted = newest_release(observed.values())
            if wanted is None:
                raise BadInput(f"{session.name} serves nothing yet", "inv deploy")
            archive = session.kept_release(wanted, observed, Path(folder))
            plan = plan_catch_up(
                observed.values(), session.environment, wanted, session.configuration, session.templates
            )
            target = session.deploy_target(archive, observed, plan)
            if plan.empty:
                return reporter.answer(f"nothing to do: every host of {session.name} serves {wanted}", summary(target))
            session.carry_out(steps(session, target), closing(target), run, target)
        answer(session, target)
    return None


def steps(session: Session, target: Target) -> list[Step]:
    """A deploy, from top to bottom."""
    from fabfile.acceptance import smoke_steps
    from fabfile.steps import process, record, recovery, release, traffic

    plan = target.plan
    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-rollback" if plan.verb == "rollback" else "pre-deploy", target),
        *([recovery.backup(session.recovery, target)] if plan.backup else []),
        release.upload(target),
        release.unpack(target),
        release.place(target),
        *([_migrate(session, target)] if plan.migrate else []),
        process.start(target),
        process.prove(target),
        *smoke_steps(session, target, "idle"),
        traffic.reach(target),
        traffic.site(target),
        *session.hooks("pre-switch", target),
        *moves(target, smoke_steps(session, target, "live")),
        *session.hooks("post-switch", target),
        *([] if plan.rollout.hold else [traffic.drain(target), process.settle(target)]),
    ]
    return [step for step in table if step.hosts]


def _migrate(session: Session, target: Target) -> Step:
    from fabfile.steps import release, schema

    if target.plan.migrations:
        return schema.migrate(lambda: session.ledger, target)
    return release.migrate(target)


def moves(target: Target, tests: Sequence[Step] = ()) -> list[Step]:
    """How traffic comes to the new slot: in shares that are judged, then everywhere, then tested and watched, while the
    hosts still go back by themselves if nobody is heard of."""
    from fabfile.steps import gate, traffic

    rollout, first = target.plan.rollout, True
    table: list[Step] = []
    for percent in rollout.canary:
        table += [
            traffic.canary(target, percent, first),
            traffic.confirm(target, f"confirm-{percent}", final=False),
            gate.gate(target, percent),
        ]
        first = False
    if rollout.hold:
        return [*table, traffic.hold(target)]
    if rollout.serial:
        webs = target.plan.webs
        for number, start in enumerate(range(0, len(webs), rollout.serial), 1):
            batch = webs[start : start + rollout.serial]
            table += [traffic.switch(target, batch, number, first), traffic.confirm_some(target, batch, number)]
    else:
        table += [traffic.switch(target, first=first)]
        table += [traffic.confirm(target, "confirm-100", final=False)] if rollout.watch or tests else []
    return [*table, *tests, *([gate.watch(target)] if rollout.watch else []), traffic.confirm(target)]


def closing(target: Target) -> list[Step]:
    """What follows once everything worked, and is not taken back; a canary that is being held has not come so far."""
    from fabfile.steps import record

    return [] if target.plan.rollout.hold else [record.record(target), record.tidy(target)]


def summary(target: Target) -> dict[str, object]:
    """What a run did, as JSON."""
    return {
        "run": target.run,
        "release": target.plan.release,
        "changed": list(target.plan.hosts),
        "unchanged": list(target.plan.unchanged),
        "missing": list(target.plan.missing),
        **({"promoted_from": target.plan.promoted_from} if target.plan.promoted_from else {}),
    }


def _target(
    session: Session,
    archive: Release,
    observed: Mapping[str, Observed],
    rollout: Rollout,
    hosts: tuple[str, ...],
    skip_backup: bool = False,
    skip_migrate: bool = False,
) -> Target:
    from fabfile.migrations import due
    from fabfile.model.plan import Rollout
    from fabfile.planning.deploy_plan import plan_deploy

    environment = session.environment
    plan: Plan = plan_deploy(
        observed.values(), environment, archive.manifest.id, session.configuration, session.templates, rollout=rollout
    )
    if (plan.rollout.canary or plan.rollout.watch) and any(web.before is None for web in plan.webs):
        session.reporter.say("a first deploy has nothing to be compared with: all traffic moves at once")
        plan = replace(plan, rollout=Rollout())
    backup = environment.backup is not None and environment.backup.before_deploy
    everywhere = {*plan.hosts, *plan.unchanged} >= set(environment.run_hosts)
    pending = due(session, archive, observed, everywhere) if not (skip_migrate or plan.empty) else None
    plan = replace(
        plan,
        missing=tuple(name for name in environment.run_hosts if name not in hosts),
        backup=backup and not skip_backup and not plan.empty,
        migrate=bool(pending and pending.before)
        or (bool(environment.release.migrate) and not skip_migrate and not plan.empty),
        migrations=tuple(one.name for one in pending.before) if pending else (),
        contracts=tuple(one.name for one in pending.after) if pending else (),
    )
    return session.deploy_target(archive, observed, plan)


def _chosen(session: Session, limit: str | None, hosts: tuple[str, ...]) -> tuple[str, ...]:
    if limit is None:
        return hosts
    names = tuple(sorted({name.strip() for name in limit.split(",")}))
    unknown = [name for name in names if name not in hosts]
    if unknown:
        raise BadInput(f"--limit={limit}: {', '.join(unknown)} takes no part", f"there are: {', '.join(hosts)}")
    if not session.environment.together:
        raise BadInput(
            "--limit is for hosts that each have nginx and the application; here all go by one slot",
            "leave --limit out; --canary moves traffic little by little",
        )
    return names


def _show(session: Session, target: Target) -> None:
    from fabfile.admission import foretell
    from fabfile.ui.plan import plan_document, plan_text

    reporter = session.reporter
    if target.plan.empty:
        return reporter.answer(f"nothing to do: {session.name} serves {target.plan.release}", summary(target))
    foretell(session)
    table = [*steps(session, target), *closing(target), *session.contracts(target)]
    reporter.answer(plan_text(target, table), plan_document(target, table))
    return reporter.leave(2)


def answer(session: Session, target: Target) -> None:
    """Say what users get now."""
    plan = target.plan
    said = f"{session.name} serves {plan.release}"
    if plan.rollout.hold:
        share = plan.rollout.canary[-1]
        said = f"{share} % of the clients of {session.name} get {plan.release}; inv canary.set, inv canary.stop"
    session.reporter.answer(said, summary(target))
