"""Whatever dies at whatever moment of a deploy or rollback: hosts serve, and any machine finishes or undoes it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.project import Project
from tests.faults.fault import Fault, all_faults
from tests.faults.stage import Stage, Watched, wait_until
from tests.seed_option import SEED

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

QUICK = {
    "release": {"drain_timeout": "1s", "confirm_timeout": "4s"},
    "health": {"timeout": "15s", "stable": "500ms", "request_timeout": "2s"},
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        faults = all_faults(metafunc.config.stash[SEED])
        wanted = metafunc.config.getoption("--faults")
        metafunc.parametrize("fault", faults[: wanted or None], ids=str)


@pytest.fixture(scope="session")
def stage(project: Project, seed: int) -> Stage:
    project.configure(**QUICK)
    return Stage(project, (project.build("1.0.0"), project.build("2.0.0")))


def test_a_fault_leaves_hosts_that_serve_and_a_run_that_can_be_ended(stage: Stage, fault: Fault) -> None:
    project = stage.project
    wanted = stage.make_ready(fault.verb)
    # A site that differs each time makes a run install it, too.
    project.configure(**QUICK, site={"max_body": f"{time.monotonic_ns() // 10**6}k"})
    before = stage.picture()
    words = ("deploy", f"--release={wanted}") if fault.verb == "deploy" else ("rollback",)
    with Watched(stage, fault.host if fault.kind in ("power", "cable", "nginx") else "") as watched:
        stage.run(words, fault)
        stage.mend(fault)
        stage.serves_something_whole()
        ended = end(stage, fault, wanted)
        stage.serves_something_whole()
    assert watched.bad == []
    stage.no_step_had_an_old_token()
    assert "unfinished" not in project.inv("status").out
    if ended == "undone":
        assert stage.picture() == before
    else:
        assert stage.live() == {wanted}


def end(stage: Stage, fault: Fault, wanted: str) -> str:
    """End the run as the hosts say it can be; whether it was done or undone."""
    project = stage.project
    said = project.inv("status").err
    if "inv deploy.abort" not in said and "inv deploy.resume" not in said:
        return "done" if stage.live() == {wanted} else "undone"
    if "inv deploy.abort" not in said:
        project.inv("deploy.resume")
        return "done"
    if "inv deploy.resume" not in said or fault.ending == "abort":
        project.inv("deploy.abort")
        return "undone"
    wait_until(lambda: not any(seen["trial"] for seen in stage.status().values()), "nobody is on trial any more")
    project.inv("deploy.resume")
    return "done"
