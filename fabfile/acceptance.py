"""What a release has to do before and after the switch: the smoke tests of an environment, for its runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fabfile.backends import PROJECT
from fabfile.model.smoke import Moment
from fabfile.planning.smoke import asked_at

if TYPE_CHECKING:
    from fabfile.engine.step import Step
    from fabfile.session import Session
    from fabfile.steps.smoke_tests import Means
    from fabfile.steps.target import Target


def smoke_steps(session: Session, target: Target, moment: Moment) -> list[Step]:
    """The tests of that moment as a step, if there are any. A rollback neither waits for them nor fails with them.

    Raises BadInput where a secret of theirs cannot be read, unless the run is only taken back.
    """
    plan = target.plan
    if plan.verb == "rollback" or not asked_at(session.environment.smoke, moment):
        return []
    from fabfile.steps.smoke import smoke_idle, smoke_live

    if target.archive:
        _ = session.smoke_secrets
    first = next((app.host for app in plan.apps), session.environment.app_hosts[0])
    build = smoke_idle if moment == "idle" else smoke_live
    return [build(means(session, first), target)]


def means(session: Session, first: str) -> Means:
    """What the tests work with; `first` is the host for commands on hosts."""
    from fabfile.steps.smoke_tests import Means

    return Means(
        session.environment,
        session.name,
        session.fleet,
        session.paths,
        PROJECT,
        os.environ,
        first,
        lambda: session.database,
        lambda: session.smoke_secrets,
        session.reporter.hide,
    )
