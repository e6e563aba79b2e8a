"""`inv smoke`: the smoke tests of an environment by hand, on what users get or on what they may get next."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from fabfile.errors import BadInput, Refused, TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.model.observed import Observed
    from fabfile.session import Session
    from fabfile.steps.smoke_tests import Place

COLUMNS = ("TEST", "KIND", "WHERE", "OUTCOME", "SECONDS", "TRIES", "WHY")


@verb(
    help={
        "env": ENV,
        "slot": "live: what users get, at smoke.url (default); idle: the other slot, on each host, if it runs",
        "json": JSON,
    }
)
def smoke(reporter: Reporter, env: str | None = None, slot: str = "live", json: bool = False) -> None:
    """Run the smoke tests of the environment's file now; nothing is deployed, switched or taken back."""
    from fabfile.acceptance import means
    from fabfile.planning.smoke import asked_at, summary
    from fabfile.session import opened
    from fabfile.steps.smoke import described, examine

    moment: Literal["idle", "live"] = "idle" if slot == "idle" else "live"
    if slot != moment:
        raise BadInput(f"--slot={slot} is neither live nor idle", "inv smoke --slot=live")
    with opened(env, reporter) as session:
        if not asked_at(session.environment.smoke, moment):
            raise BadInput(f"hosts/{session.name}.yml has no smoke tests for {slot}", "hosts/example.yml shows some")
        places, began = _places(session, moment, session.observe()), time.monotonic()
        found = examine(means(session, session.environment.app_hosts[0]), moment, places)
        bad = [one for one in found if one.outcome != "passed"]
        document = {
            "slot": slot,
            "release": places[0].release,
            "outcome": "fail" if bad else "pass",
            "sentence": summary(found),
            "seconds": round(time.monotonic() - began, 3),
            "tests": [asdict(one) for one in found],
        }
        rows = [
            [one.test, one.kind, one.where, one.outcome, f"{one.seconds:.1f}", str(one.tries), one.why] for one in found
        ]
        reporter.table(COLUMNS, rows, document, "no tests")
        if bad:
            hint = f"correct the release, or the test: smoke in hosts/{session.name}.yml"
            raise TurnoutError(summary(found), hint, [described(one) for one in bad])


def _places(session: Session, moment: Literal["idle", "live"], observed: Mapping[str, Observed]) -> list[Place]:
    """Where the tests run. Raises Refused where there is nothing to be tested."""
    from fabfile.model.observed import live_release
    from fabfile.steps import smoke

    environment = session.environment
    if moment == "live":
        release = live_release(observed.values())
        if release is None:
            raise Refused(f"{session.name} serves nothing yet", "deploy a release first: inv deploy")
        return smoke.public(environment.smoke, release)
    places = []
    for name in environment.app_hosts:
        state = observed[name].slots[observed[name].idle]
        if state.release is None or state.port is None or not state.online:
            raise Refused(
                f"{name}: nothing runs in its idle slot, but while a deploy goes on or a canary is held",
                "test what users get: inv smoke --slot=live",
            )
        places.append(smoke.slot(environment, session.fleet, name, state.port, state.release))
    return places
