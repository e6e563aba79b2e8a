"""Whether the site tells browsers what they must not do: security headers of its answers, CSP among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, beside_the_point, fine, unseen, warning
from fabfile.model.host_facts import Answer, HostFacts

LINES = {
    "strict-transport-security": 'add_header Strict-Transport-Security "max-age=31536000" always;',
    "x-content-type-options": "add_header X-Content-Type-Options nosniff always;",
    "content-security-policy": "add_header Content-Security-Policy \"default-src 'self'\" always;",
    "x-frame-options": "add_header X-Frame-Options DENY always;",
    "referrer-policy": "add_header Referrer-Policy strict-origin-when-cross-origin always;",
}
"""What nginx would say, if the application does not."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the headers of the answer to `GET /`, asked of each nginx over loopback."""

    def look(facts: HostFacts) -> Iterator[Finding]:
        yield _judge(facts, evidence)

    yield from look_at(evidence.hosts, evidence.environment.web_hosts, look)


def _judge(facts: HostFacts, evidence: Evidence) -> Finding:
    if not evidence.public:
        return beside_the_point(facts.host, "the site has no name by which browsers come (site.server_name is _)")
    answer = next((one for one in facts.answers if one.path == "/"), None)
    if answer is None or not usable(answer):
        status = answer.status if answer else 0
        return unseen(facts.host, f"GET / is answered with {status}" if status else "GET / is not answered")
    lacking = missing(answer.headers, secure=facts.tls is not None)
    if not lacking:
        return fine(facts.host, "GET / is answered with every security header")
    lines, template = " ".join(LINES[name] for name in lacking), f"templates/{evidence.environment.site.template}"
    note = f"have the application send them, or write into {template}: {lines} Then inv deploy"
    return warning(facts.host, f"GET / is answered without {', '.join(lacking)}", Remedy(note=note))


def usable(answer: Answer) -> bool:
    """Whether this is an answer of the site, and not of nginx in its need."""
    return 200 <= answer.status < 500


def missing(headers: Mapping[str, str], secure: bool) -> list[str]:
    """What these headers lack, by name. What only concerns pages is not asked of other answers, HSTS only with TLS."""
    policy, page = headers.get("content-security-policy", ""), "html" in headers.get("content-type", "")
    found = {
        "strict-transport-security": not secure or "max-age=" in headers.get("strict-transport-security", ""),
        "x-content-type-options": headers.get("x-content-type-options", "").lower() == "nosniff",
        "content-security-policy": not page or bool(policy),
        "x-frame-options": not page or "x-frame-options" in headers or "frame-ancestors" in policy,
        "referrer-policy": not page or "referrer-policy" in headers,
    }
    return [name for name, there in found.items() if not there]
