"""A plan as people read it: who gets what, step by step, with every command and every changed file."""

from __future__ import annotations

from collections.abc import Sequence

from fabfile.engine.step import Step
from fabfile.planning.deploy_plan import diff
from fabfile.steps.target import Target


def plan_text(target: Target, steps: Sequence[Step]) -> str:
    """The host × step table, the diffs of rendered files, then the commands."""
    hosts = [host.host for host in target.plan.hosts]
    lines = [f"{target.plan.verb} {target.plan.release}", ""]
    for host in target.plan.hosts:
        now = f"{host.previous_release} in {host.previous}" if host.previous else "nothing yet"
        lines.append(f"  {host.host}: {now} -> {target.plan.release} in {host.slot} (port {host.port})")
    lines += [f"  {name}: already as wanted" for name in target.plan.unchanged]
    width = max(len(step.name) for step in steps)
    lines += ["", "  " + " " * width + "  " + "  ".join(hosts)]
    for step in steps:
        marks = "  ".join(("x" if name in step.hosts else "-").ljust(len(name)) for name in hosts)
        lines.append(f"  {step.name.ljust(width)}  {marks}  {step.title}")
    lines += ["", *_diffs(target), *_commands(steps)]
    return "\n".join(lines).rstrip()


def plan_document(target: Target, steps: Sequence[Step]) -> dict[str, object]:
    """The same as one JSON document."""
    return {
        "verb": target.plan.verb,
        "release": target.plan.release,
        "unchanged": list(target.plan.unchanged),
        "steps": [
            {
                "name": step.name,
                "title": step.title,
                "hosts": list(step.hosts),
                "commands": {name: step.preview(name) for name in step.hosts},
            }
            for step in steps
        ],
        "diffs": {host.host: diff(host.host, host.site, target.paths.site) for host in target.plan.hosts if host.site},
    }


def _diffs(target: Target) -> list[str]:
    return [
        line
        for host in target.plan.hosts
        if host.site
        for line in [*diff(host.host, host.site, target.paths.site).splitlines(), ""]
    ]


def _commands(steps: Sequence[Step]) -> list[str]:
    lines = []
    for step in steps:
        groups: dict[str, list[str]] = {}
        for name in step.hosts:
            groups.setdefault(step.preview(name), []).append(name)
        for text, names in groups.items():
            lines += [f"--- {step.name} on {', '.join(names)}", text]
    return lines
