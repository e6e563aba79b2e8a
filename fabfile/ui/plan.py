"""A plan as people read it: who gets what, step by step, with every command and every changed file."""

from __future__ import annotations

from collections.abc import Sequence

from fabfile.engine.step import Step
from fabfile.planning.deploy_plan import diff
from fabfile.steps.target import Target


def plan_text(target: Target, steps: Sequence[Step]) -> str:
    """The host × step table, the diffs of rendered files, then the commands."""
    plan, hosts = target.plan, target.plan.hosts
    lines = [f"{plan.verb} {plan.release}", ""]
    for app in plan.apps:
        now = f"{app.previous_release} in {app.previous}" if app.previous else "nothing yet"
        lines.append(f"  {app.host}: {now} -> {plan.release} in {app.slot} (port {app.port})")
    apart = [web for web in plan.webs if web.host not in {app.host for app in plan.apps}]
    lines += [f"  {web.host}: nginx sends to {web.slot} on {', '.join(web.upstreams)}" for web in apart]
    lines += [f"  {name}: already as wanted" for name in plan.unchanged]
    lines += [f"  {name}: out of reach, left out" for name in plan.missing]
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
        "diffs": {web.host: diff(web.host, web.site, target.paths.site) for web in target.plan.webs if web.site},
    }


def _diffs(target: Target) -> list[str]:
    return [
        line
        for web in target.plan.webs
        if web.site
        for line in [*diff(web.host, web.site, target.paths.site).splitlines(), ""]
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
