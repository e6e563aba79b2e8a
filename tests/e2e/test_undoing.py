"""What goes wrong during a run: a clear sentence, exit code 6, and hosts as they were."""

from __future__ import annotations

import random
import re
import signal
import time

import pytest

from tests.e2e.project import Project
from tests.e2e.squatter import taken
from tests.e2e.unchanged import look, unchanged
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"sick": True}, "is not healthy after 8 s"),
        ({"crash": True}, "does not stay up"),
    ],
)
def test_a_release_that_does_not_get_healthy_is_rolled_back(
    project: Project, first: str, visitor: Visitor, behaviour: dict[str, bool], said: str
) -> None:
    bad = project.build("6.6.6", **behaviour)
    with unchanged(project), visitor:
        failed = project.inv("deploy", f"--release={bad}", expect=6)
    assert said in failed.err
    assert "as they were" in failed.err
    if "crash" in behaviour:
        assert "planted crash" in failed.err
    assert visitor.failures == []


def test_a_disk_that_fills_up_meanwhile_is_undone(project: Project, first: str) -> None:
    """The archive claims little and the disk is nearly full: unpacking runs out of space."""
    second = project.build("2.0.1")
    process = project.start("deploy", f"--release={second}")
    project.lab.fill("h2")
    try:
        _, err = process.communicate(timeout=240)
    finally:
        project.lab.drain("h2")
    assert process.returncode in (0, 1, 5, 6), err
    if process.returncode:
        assert {release for _, release in project.live().values()} == {first}
        assert "space" in err
    project.inv("deploy", f"--release={first}")


def test_a_template_that_nginx_refuses_is_put_back(project: Project, first: str, visitor: Visitor) -> None:
    second = project.build("2.0.4")
    template = project.folder / "templates" / "nginx" / "site.conf.j2"
    good = template.read_text()
    template.write_text(good.replace("client_max_body_size", "client_max_nonsense"))
    try:
        with visitor:
            failed = project.inv("deploy", f"--release={second}", expect=6)
    finally:
        template.write_text(good)
    assert 'unknown directive "client_max_nonsense"' in failed.err
    assert visitor.failures == []
    assert "nothing to do" in project.inv("plan", f"--release={first}").out


def test_a_reload_that_nginx_does_not_take_is_noticed_and_put_back(
    project: Project, first: str, visitor: Visitor
) -> None:
    """`nginx -t` passes and the reload exits 0, but a port is held: only the generation tells."""
    second = project.build("2.0.5")
    template = project.folder / "templates" / "nginx" / "site.conf.j2"
    good = template.read_text()
    template.write_text(good.replace("    listen {{ listen }};", "    listen {{ listen }};\n    listen 8088;"))
    try:
        with taken(project, "8088"), visitor:
            failed = project.inv("deploy", f"--release={second}", expect=6)
    finally:
        template.write_text(good)
    assert "8088" in failed.err
    assert {release for _, release in project.live().values()} == {first}
    # A reload closes kept connections, which a client may notice; an answer that is no answer nobody may get.
    assert [line for line in visitor.failures if re.search(r": \d{3}$", line)] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_at_any_moment_leaves_everything_as_it_was(
    project: Project, first: str, visitor: Visitor, number: int, seed: int
) -> None:
    second = project.build("2.0.8")
    moment = random.Random(seed + number).uniform(0.0, 8.0)
    with visitor:
        before = look(project)
        process = project.start("deploy", f"--release={second}")
        assert process.stderr
        process.stderr.readline()  # the first word of the run: before it there is nothing to undo
        time.sleep(moment)
        done = project.interrupt(process, number) if process.poll() is None else None
        if done is None or done.code == 0:  # it came to its end before
            process.communicate()
            project.inv("deploy", f"--release={first}")
        else:
            assert done.code == 130, f"after {moment:.1f} s: {done.text}"
            assert look(project) == before, f"after {moment:.1f} s: {done.text}"
    assert visitor.failures == []
