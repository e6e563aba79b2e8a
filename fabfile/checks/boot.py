"""Whether a host that starts again serves again: nginx, and PM2 with the process that has users."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, as_root, beside_the_point, critical, fine
from fabfile.model.host_facts import HostFacts
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the units that start at boot, cron's lines for it, and the list that PM2 has saved."""

    def look(facts: HostFacts) -> Iterator[Finding]:
        seen = evidence.observed.get(facts.host)
        if not isinstance(seen, Observed) or seen.live is None:
            yield beside_the_point(facts.host, "nothing is live there yet")
            return
        problems = list(_problems(facts, seen, evidence))
        yield from problems or [fine(facts.host, "what has users starts with the machine")]

    yield from look_at(evidence.hosts, evidence.environment.run_hosts, look)


def _problems(facts: HostFacts, seen: Observed, evidence: Evidence) -> Iterator[Finding]:
    host, environment = facts.host, evidence.environment
    if host in environment.web_hosts and "nginx" not in facts.enabled:
        yield critical(host, "nginx does not start with the machine", as_root(host, "systemctl enable nginx"))
    if host not in environment.app_hosts:
        return
    unit = f"pm2-{facts.user}"
    if unit not in facts.enabled and not facts.reboot:
        program = f"env PATH=$PATH:/usr/local/bin {seen.tools.get('pm2', 'pm2')}"
        command = f"{program} startup systemd -u {facts.user} --hp $(getent passwd {facts.user} | cut -d: -f6)"
        told = f"PM2 does not start with the machine: there is no unit {unit}, nor a line of cron"
        yield critical(host, told, as_root(host, command))
    assert seen.live, "asked only of hosts where something is live"
    process = Paths(environment.app).process(seen.live)
    if seen.slots[seen.live].online and process not in facts.saved:
        told = f"{process} has users, and is not in the list that PM2 starts"
        yield critical(host, told, Remedy("pm2 save", host, facts.user))
