"""Whether the deploy user may do, without a password, what nginx needs root for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.commands.facts import NGINX_TEST, RIGHTS
from fabfile.model.finding import Finding, as_root, critical, fine, unseen
from fabfile.model.host_facts import HostFacts

RULE = re.compile(r"^\s+\(([^)]*)\)\s*(.*)$")
TAG = re.compile(r"^([A-Z_]+):\s*")
ASKS = "a password is required"


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs `sudo -n -l`, what it answers to each right by itself, and what became of `nginx -t`."""
    hosts = evidence.environment.web_hosts
    if evidence.run is not None:
        hosts = tuple(name for name in hosts if name in evidence.run.sites)
    yield from look_at(evidence.hosts, hosts, _judge)


def _judge(facts: HostFacts) -> Iterator[Finding]:
    if facts.user == "root":
        yield fine(facts.host, "root needs no sudo")
        return
    tried = facts.nginx_test
    works = tried is not None and not was_refused(tried.said)
    lacking = [right for right in RIGHTS if not (works and right == NGINX_TEST) and _lacks(facts, right)]
    if works and lacking and ASKS in facts.rights:
        yield unseen(facts.host, "sudo tells only with a password what may be done without one")
    elif lacking:
        rule = f"{facts.user} ALL=(root) NOPASSWD: {', '.join(RIGHTS)}"
        command = f"install -m 0440 /dev/stdin /etc/sudoers.d/turnout-{facts.user} <<< '{rule}' && visudo -c"
        told = f"{facts.user} may not do without a password: {', '.join(lacking)}"
        yield critical(facts.host, told, as_root(facts.host, command))
    else:
        yield fine(facts.host, f"{facts.user} may do {' and '.join(RIGHTS)} without a password")


def was_refused(said: str) -> bool:
    """Whether these are sudo's words, and not those of what it was to start."""
    return (
        re.search(r"^sudo: |command .sudo.|may not run sudo|not in the sudoers file|is not allowed to", said, re.M)
        is not None
    )


def _lacks(facts: HostFacts, right: str) -> bool:
    return right in facts.refused or wants_password(facts.rights, right)


def wants_password(listing: str, right: str) -> bool:
    """Whether the last of the rules that allow this to root asks for a password; one that is none of them does not."""
    verdict = False
    for line in _joined(listing):
        rule = RULE.match(line)
        if rule is None or not {name.strip() for name in rule[1].split(":")[0].split(",")} & {"ALL", "root"}:
            continue
        asks = True
        for part in re.split(r"(?<!\\), ", rule[2]):
            while tag := TAG.match(part):
                asks = {"NOPASSWD": False, "PASSWD": True}.get(tag[1], asks)
                part = part[tag.end() :]
            if part.strip() in ("ALL", right, right.split(" ")[0]):
                verdict = asks
    return verdict


def _joined(listing: str) -> list[str]:
    """The lines of a listing; sudo breaks long ones and indents what follows deeper."""
    lines: list[str] = []
    for line in listing.splitlines():
        if lines and RULE.match(lines[-1]) and re.match(r"^ {8,}[^( ]", line):
            lines[-1] = f"{lines[-1].rstrip()} {line.strip()}"
        else:
            lines.append(line)
    return lines
