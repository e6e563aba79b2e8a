"""Whether the site speaks today's TLS, and only that."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, beside_the_point, critical, fine, unseen, warning
from fabfile.model.host_facts import HostFacts

WORDS = {"tls1": "TLS 1.0", "tls1_1": "TLS 1.1", "tls1_2": "TLS 1.2", "tls1_3": "TLS 1.3"}
OLD = ("tls1", "tls1_1")
"""Withdrawn by RFC 8996."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs with which protocols a connection comes about, each tried by itself."""
    template = f"templates/{evidence.environment.site.template}"

    def look(facts: HostFacts) -> Iterator[Finding]:
        if facts.tls is None:
            yield beside_the_point(facts.host, "the site has no TLS")
            return
        spoken = facts.tls.protocols
        told = f"{facts.tls.place} speaks {', '.join(WORDS[name] for name in spoken) or 'none that we speak'}"
        remedy = Remedy(note=f"write ssl_protocols TLSv1.2 TLSv1.3; into {template}, then inv deploy")
        if facts.tls.certificate is None:
            yield unseen(facts.host, f"{facts.tls.place} shows no certificate")
        elif not set(spoken) - set(OLD):
            yield critical(facts.host, told, remedy)
        elif set(spoken) & set(OLD):
            yield warning(facts.host, told, remedy)
        else:
            yield fine(facts.host, told)

    yield from look_at(evidence.hosts, evidence.environment.web_hosts, look)
