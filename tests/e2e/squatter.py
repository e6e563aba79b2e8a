"""A program of somebody else's that holds a port on a host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.project import Project


@contextmanager
def taken(project: Project, address: str) -> Iterator[None]:
    """Somebody else's program listens there on h1: `address` is what Node's `listen` takes."""
    script = f"require('net').createServer().listen({address}, () => console.log('listening'))"
    project.lab.execute(
        "h1",
        "bash",
        "-c",
        f'setsid node -e "{script}" > /run/squatter.log 2>&1 & echo $! > /run/squatter; '
        "until grep -q listening /run/squatter.log; do sleep 0.05; done",
    )
    try:
        yield
    finally:
        project.lab.execute("h1", "bash", "-c", "kill $(cat /run/squatter)")
