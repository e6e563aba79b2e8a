"""Whether the site's certificate is valid, for long enough, and for the site's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, as_root, beside_the_point, critical, fine, unseen, warning
from fabfile.model.host_facts import Certificate, HostFacts, Tls

SOON, LATE = 1 / 5, 1 / 15
"""The parts of its life in which a certificate should be renewed by now (18 days of 90), and must be (6 of 90)."""
CERTBOT = re.compile(r"/etc/letsencrypt/live/([A-Za-z0-9.-]+)/")


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the certificate that is shown over loopback to whoever asks for the site's first name, and the file's."""
    names = evidence.environment.site.server_name.split()

    def look(facts: HostFacts) -> Iterator[Finding]:
        yield _judge(facts.host, facts.tls, names, evidence)

    yield from look_at(evidence.hosts, evidence.environment.web_hosts, look)


def _judge(host: str, tls: Tls | None, names: list[str], evidence: Evidence) -> Finding:
    if tls is None:
        if not evidence.public:
            why = "the site has no TLS, and no name that a certificate could be for (site.server_name is _)"
            return beside_the_point(host, why)
        template = f"templates/{evidence.environment.site.template}"
        note = f"write listen 443 ssl and a certificate into {template}, or end TLS before nginx; then inv deploy"
        return warning(host, "the site that is served has no TLS", Remedy(note=note))
    shown = tls.certificate
    if shown is None:
        return unseen(host, f"{tls.place} shows no certificate")
    remedy, now = _remedy(host, tls, shown), evidence.now
    lacking = [name for name in names if name != "_" and not is_for(shown.names, name)]
    left, life = (shown.until - now).total_seconds(), (shown.until - shown.since).total_seconds()
    told = f"the certificate of {', '.join(shown.names) or 'nobody'} ends {_day(shown.until)}"
    if shown.until <= now:
        return critical(host, f"the certificate has ended on {_day(shown.until)}", remedy)
    if shown.since > now:
        return critical(host, f"the certificate begins only on {_day(shown.since)}", remedy)
    if lacking:
        return critical(host, f"{told}; it is not for {', '.join(lacking)}", remedy)
    if left < life * LATE:
        return critical(host, told, remedy)
    return warning(host, told, remedy) if left < life * SOON else fine(host, told)


def is_for(names: tuple[str, ...], wanted: str) -> bool:
    """Whether one of a certificate's names covers this one of nginx's; an asterisk stands for one label."""
    wanted = wanted.lower().removeprefix(".")
    _, dot, parent = wanted.partition(".")
    return any(name.lower() in (wanted, f"*.{parent}" if dot else wanted) for name in names)


def _remedy(host: str, tls: Tls, shown: Certificate) -> Remedy:
    reload = "systemctl reload nginx"
    if tls.stored_until and tls.stored_until > shown.until:
        return as_root(host, reload, f"{tls.path} is a newer one, which nginx has not read yet")
    if found := CERTBOT.search(tls.path):
        return as_root(host, f"certbot renew --cert-name {found[1]} && {reload}")
    return as_root(host, reload, f"put a new certificate into {tls.path}, then")


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
