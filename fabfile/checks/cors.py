"""Whether pages of strangers may use the site in its users' name."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.checks.headers import usable
from fabfile.commands.facts import STRANGER
from fabfile.model.finding import Finding, Remedy, critical, fine, unseen, warning
from fabfile.model.host_facts import Answer, HostFacts

NOTE = "let Access-Control-Allow-Origin name the origins that you know, and Allow-Credentials stand for those alone"


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs what is answered to requests with the `Origin` of a page that nobody has."""

    def look(facts: HostFacts) -> Iterator[Finding]:
        answers = [answer for answer in facts.answers if usable(answer)]
        if not answers:
            yield unseen(facts.host, "the site does not answer")
            return
        bad = next((answer for answer in answers if _credentials(answer) and _origin(answer) == STRANGER), None)
        odd = next((answer for answer in answers if _credentials(answer) and _origin(answer) == "*"), None)
        if bad:
            told = f"GET {bad.path} lets any page read it with its user's cookies: the origin {STRANGER} is allowed"
            yield critical(facts.host, told, Remedy(note=NOTE))
        elif odd:
            told = f"GET {odd.path} allows every origin, with credentials: browsers refuse that"
            yield warning(facts.host, told, Remedy(note=NOTE))
        else:
            yield fine(facts.host, f"{STRANGER} may not use {' or '.join(one.path for one in answers)} as a user")

    yield from look_at(evidence.hosts, evidence.environment.web_hosts, look)


def _origin(answer: Answer) -> str:
    return answer.headers.get("access-control-allow-origin", "")


def _credentials(answer: Answer) -> bool:
    return answer.headers.get("access-control-allow-credentials", "").lower() == "true"
