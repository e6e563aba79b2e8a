"""`inv canary.set`, `canary.status` and `canary.stop`: a canary that is being held, moved on or ended by hand."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile import deploy, unfinished
from fabfile.errors import BadInput, Refused
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from fabfile.planning.unfinished import Unfinished


@verb(
    name="set",
    help={
        "percent": "the share of the clients that gets the new release, 1 to 100; 100 ends the canary and the deploy",
        "env": ENV,
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    },
)
def set_share(
    reporter: Reporter,
    percent: str,
    env: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Give another share of the clients the new release of a canary that is being held."""
    from fabfile.session import opened
    from fabfile.steps import record, traffic

    share = _percent(percent)
    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        wait = duration(lock_wait, "--lock-wait")
        session.confirm(yes, f"{share} % of the clients of {session.name} are about to get the new release.")
        with unfinished.taken_up(session, wait) as (run, found):
            _refuse_unless_held(found)
            target = unfinished.prepared(session, found, Path(folder))
            if share == 100:
                plan = replace(target.plan, rollout=replace(target.plan.rollout, canary=(), hold=False))
                target = replace(target, plan=plan)
                record.begin(target).do(run)  # whoever finishes or undoes it from here has to know of these steps
                unfinished.go_on(session, target, run, found)
            else:
                for step in (traffic.canary(target, share, first=True), traffic.hold(target)):
                    step.do(run)
        reporter.answer(
            f"{share} % of the clients of {session.name} get {target.plan.release}",
            {**deploy.summary(target), "percent": share},
        )


@verb(help={"env": ENV, "json": JSON})
def status(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show which share of the clients gets which release on each host, and whether somebody watches it."""
    from fabfile.model.share import Share
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        rows, document = [], {}
        for name, seen in session.observe().items():
            share = Share.parse(seen.share)
            if share is None or not share.percent:
                continue
            releases = seen.slots[share.canary].release or "-", seen.slots[share.live].release or "-"
            state = "on trial" if seen.trial else "held"
            rows.append([name, f"{share.percent} %", releases[0], f"{100 - share.percent} %", releases[1], state])
            document[name] = {
                "percent": share.percent,
                "canary": releases[0],
                "stable": releases[1],
                "trial": seen.trial or None,
            }
        columns = ("HOST", "CANARY", "RELEASE", "OTHERS", "RELEASE", "STATE")
        reporter.table(columns, rows, document, f"no canary on {session.name}: inv deploy --canary=10,50,100")


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": YES, "json": JSON})
def stop(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """End a canary that is being held: everybody gets the former release, and all is as it was before the deploy."""
    from fabfile.session import opened

    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        session.confirm(yes, f"the canary of {session.name} is about to be ended.")
        with unfinished.taken_up(session, duration(lock_wait, "--lock-wait")) as (run, found):
            _refuse_unless_held(found)
            unfinished.take_back(session, run, found, Path(folder))
        reporter.answer(
            f"the canary of {found.plan.release} was ended; looked again: all is as it was", {"run": found.run}
        )


def _percent(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise BadInput(f"{text!r} is no percentage from 1 to 100", "such as inv canary.set 25")
    return int(text)


def _refuse_unless_held(found: Unfinished) -> None:
    if not found.held:
        raise Refused(found.sentence, found.remedy)
