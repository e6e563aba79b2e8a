"""Why a run may not start: everything wrong with the hosts, all at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from fabfile.checks.evidence import Evidence, Sending, Unseen
from fabfile.checks.listing import BEFORE_A_RUN
from fabfile.config.schema import Environment
from fabfile.errors import Refused
from fabfile.model.host_facts import HostFacts
from fabfile.model.observed import Observed


def refuse_if_unfit(
    observed: Iterable[Observed],
    name: str,
    environment: Environment,
    sending: Sending,
    facts: Mapping[str, HostFacts | Unseen] | None = None,
) -> None:
    """Raise Refused with every problem of every host of the environment `name`; without `facts` only with what was
    observed anyway."""
    problems = [
        f"{seen.host}: {problem}"
        for seen in observed
        for problem in host_problems(seen, name, environment, sending, facts)
    ]
    if problems:
        raise Refused("the hosts are not ready, so nothing was started", "mend what is named and try again", problems)


def host_problems(
    seen: Observed,
    name: str,
    environment: Environment,
    sending: Sending,
    facts: Mapping[str, HostFacts | Unseen] | None = None,
) -> list[str]:
    """What stands in the way on one host, each with its remedy. What could not be seen does not."""
    evidence = Evidence(
        name,
        environment,
        datetime.now(UTC),
        hosts={host: found for host, found in (facts or {}).items() if host == seen.host},
        observed={seen.host: seen},
        run=sending,
    )
    return [
        f"{found.seen}; {found.remedy.sentence}" if found.remedy else found.seen
        for judge in BEFORE_A_RUN.values()
        for found in judge(evidence)
        if found.verdict == "critical"
    ]
