"""Whatever dies at whatever moment of a deploy or rollback: hosts serve, and any machine finishes or undoes it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.project import Project
from tests.faults.fault import Fault, all_faults
from tests.faults.stage import Seen, Stage, Watched, wait_until
from tests.seed_option import SEED

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

QUICK = {
    "release": {"drain_timeout": "1s", "confirm_timeout": "4s"},
    "health": {"timeout": "15s", "stable": "500ms", "request_timeout": "2s"},
}

DOWN = ("power", "cable", "nginx", "pm2")
"""What nobody can be spared of on the host itself; systemd ends PM2's processes with a daemon that began at boot."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        faults = all_faults(metafunc.config.stash[SEED])
        metafunc.parametrize("fault", faults, ids=str)


@pytest.fixture(scope="session")
def stage(project: Project, seed: int) -> Stage:
    project.configure(**QUICK)
    return Stage(project, (project.build("1.0.0"), project.build("2.0.0")))


def test_a_fault_leaves_hosts_that_serve_and_a_run_that_can_be_ended(stage: Stage, fault: Fault) -> None:
    project = stage.project
    wanted, before = stage.make_ready(fault)
    # A site that differs each time makes a run install it, too.
    project.configure(**QUICK, site={"max_body": f"{time.monotonic_ns() // 10**6}k"})
    words = ("deploy", f"--release={wanted}") if fault.verb == "deploy" else ("rollback",)
    with Watched(stage, fault.host if fault.kind in DOWN else "") as watched:
        stage.run(words, fault)
        stage.mend(fault)
        undone = end(stage, fault, stage.serves_something_whole(), wanted)
        after = stage.serves_something_whole()
    assert watched.bad == []
    stage.no_step_had_an_old_token()
    assert not after.unfinished
    if undone:
        assert after.picture == before.picture
    else:
        assert after.live == {wanted}


def end(stage: Stage, fault: Fault, seen: Seen, wanted: str) -> bool:
    """End the run as the hosts say it can be; whether it was undone."""
    project = stage.project
    if not seen.unfinished:
        return seen.live != {wanted}
    if "inv deploy.abort" not in seen.said:
        project.inv("deploy.resume")
        return False
    if "inv deploy.resume" not in seen.said or fault.ending == "abort":
        project.inv("deploy.abort")
        return True
    wait_until(lambda: not any(host["trial"] for host in stage.look().hosts.values()), "nobody is on trial any more")
    project.inv("deploy.resume")
    return False
