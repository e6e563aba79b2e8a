"""Whether the deploy user may write where releases and nginx's files go, and read what the gates read."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, as_root, critical, fine, warning
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs which directories and which log are open to us."""
    environment, paths = evidence.environment, Paths(evidence.environment.app)

    def look(seen: Observed) -> Iterator[Finding]:
        problems = list(_problems(seen, paths, seen.host in environment.web_hosts, evidence))
        yield from problems or [fine(seen.host, f"{seen.user} may write what runs write")]

    yield from look_at(evidence.observed, environment.run_hosts, look)


def _problems(seen: Observed, paths: Paths, web: bool, evidence: Evidence) -> Iterator[Finding]:
    if not seen.writable:
        command = f"install -d -o {seen.user} {paths.base} {paths.root}"
        yield critical(seen.host, f"{paths.root} cannot be written by {seen.user}", as_root(seen.host, command))
    if web and not seen.nginx_writable:
        command = (
            f"install -d -o {seen.user} {paths.nginx} && "
            f"echo 'include {paths.nginx}/*.conf;' > /etc/nginx/conf.d/turnout.conf"
        )
        yield critical(seen.host, f"{paths.nginx} is missing or not writable", as_root(seen.host, command))
    judged = evidence.run is not None and evidence.run.judged
    if web and not seen.log_readable and (judged or evidence.run is None):
        told = f"{paths.access_log} cannot be read by {seen.user}, and the gates need it"
        remedy = as_root(seen.host, f"usermod -aG adm {seen.user}")
        # Before the first deploy there is no such log, and no gate.
        if judged:
            yield critical(seen.host, told, remedy)
        elif seen.live:
            yield warning(seen.host, told, remedy)
