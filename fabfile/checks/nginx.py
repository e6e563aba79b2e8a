"""Whether nginx runs, and would start again with the configuration that is on the disk."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.checks.sudo import was_refused
from fabfile.model.finding import Finding, Remedy, as_root, critical, fine, here, unseen
from fabfile.model.host_facts import HostFacts
from fabfile.model.paths import Paths

INCLUDED = ("/etc/nginx/conf.d/", "/etc/nginx/sites-enabled/")
"""Where every file that lies there is taken for configuration."""
CULPRIT = re.compile(r"\[emerg\] (?P<what>.*?)(?: in (?P<file>/\S+?):(?P<line>\d+))?$", re.M)


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs whether nginx runs, and what `nginx -t` says."""
    hosts = evidence.environment.web_hosts
    if evidence.run is not None:
        hosts = tuple(name for name in hosts if name in evidence.run.sites)
    site = Paths(evidence.environment.app).site

    def look(facts: HostFacts) -> Iterator[Finding]:
        test = facts.nginx_test
        if not facts.nginx_running or test is None:
            note = "if it does not start, nginx -t says why"
            yield critical(facts.host, "nginx does not run", as_root(facts.host, "systemctl start nginx", note))
        elif test.status == 0:
            yield fine(facts.host, "nginx runs, and nginx -t is content")
        elif was_refused(test.said):
            yield unseen(facts.host, "sudo does not let us test nginx's configuration")
        else:
            found = CULPRIT.search(test.said)
            what = found[0].removeprefix("[emerg] ") if found else test.said.rpartition("\n")[2]
            remedy = _remedy(facts.host, found["file"] if found else None, site, evidence.name)
            yield critical(facts.host, f"nginx would not start again: {what}", remedy)

    yield from look_at(evidence.hosts, hosts, look)


def _remedy(host: str, file: str | None, site: str, environment: str) -> Remedy:
    if file == site:
        return here("inv", "deploy", f"--env={environment}", note="mend the template, then render it anew")
    if file and file.startswith(INCLUDED):
        command = f"mv {shlex.quote(file)} /var/tmp/ && nginx -t"
        return as_root(host, command, "mend that file, or put it aside")
    return as_root(host, "nginx -t", "mend what it names")
