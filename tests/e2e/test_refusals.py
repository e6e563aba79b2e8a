"""What goes wrong before or during a run: a clear sentence, the code of its class, and hosts as they were."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


@contextmanager
def unchanged(project: Project) -> Iterator[None]:
    """Traffic, processes, files and nginx are the same afterwards, by looking."""

    def look() -> object:
        document = project.inv("status", "--json").document
        kept = ("live", "slots", "site", "generation", "maintenance", "releases", "lease")
        for seen in document.values():
            for process in filter(None, (slot["process"] for slot in seen["slots"].values())):
                del process["pid"]  # a slot that was stopped and brought back has another
        return {name: {key: seen[key] for key in kept} for name, seen in document.items()}

    before = look()
    yield
    assert look() == before


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


def test_a_full_disk_is_refused_before_anything_starts(project: Project, first: str) -> None:
    second = project.build("2.0.0")
    project.lab.fill("h2", leave_mb=5)
    try:
        with unchanged(project):
            refused = project.inv("deploy", f"--release={second}", expect=5)
    finally:
        project.lab.drain("h2")
    assert "h2: no space:" in refused.err


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


def test_a_taken_port_is_named_with_its_holder(project: Project, first: str) -> None:
    second = project.build("2.0.2")
    host = project.inv("status", "--json").document["h1"]
    port = 3002 if host["live"] == "blue" else 3001
    with taken(project, f"{port}, '127.0.0.1'"), unchanged(project):
        refused = project.inv("deploy", f"--release={second}", expect=5)
    assert f"h1: port {port}" in refused.err
    assert "is taken by" in refused.err


def test_a_foreign_file_that_nginx_refuses_is_named_and_nothing_changes(project: Project, first: str) -> None:
    second = project.build("2.0.3")
    project.lab.execute("h1", "bash", "-c", "echo 'nonsense on;' > /etc/nginx/conf.d/other.conf")
    project.configure(site={"max_body": "4m"})
    try:
        failed = project.inv("deploy", f"--release={second}", expect=6)
    finally:
        project.lab.execute("h1", "rm", "/etc/nginx/conf.d/other.conf")
        project.configure()
    assert "/etc/nginx/conf.d/other.conf:1" in failed.err
    assert {release for _, release in project.live().values()} == {first}


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


def test_an_unknown_and_a_changed_host_key_are_refused_and_trust_mends_it(
    project: Project, first: str, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    ssh = {"config": str(project.lab.ssh_config), "known_hosts": str(known)}
    project.configure(ssh=ssh)
    try:
        unknown = project.inv("status", expect=5)
        assert "h1: the host key is not in" in unknown.err
        assert "inv hosts.trust --env=test --host=h1" in unknown.err
        project.inv("hosts.trust", expect=3)
        assert "SHA256:" in project.inv("hosts.trust", "--yes").err
        project.inv("status")
        lines = known.read_text().splitlines()
        address = project.lab.address("h1")
        other_key = next(line for line in lines if not line.startswith(address)).split(" ", 1)[1]
        known.write_text("\n".join(f"{address} {other_key}" if line.startswith(address) else line for line in lines))
        changed = project.inv("status", expect=5)
        assert "h1: the host key has CHANGED" in changed.err
    finally:
        project.configure()


def test_a_host_that_is_down_stops_a_deploy_before_it_starts(project: Project, first: str) -> None:
    second = project.build("2.0.6")
    project.lab.cut("h2")
    try:
        failed = project.inv("deploy", f"--release={second}", expect=1)
    finally:
        project.lab.heal("h2")
    assert "h2: no SSH connection" in failed.err
    assert project.live() and {release for _, release in project.live().values()} == {first}


@pytest.mark.parametrize("damage", ["missing", "corrupt", "no manifest"])
def test_an_archive_that_is_not_whole_is_refused(
    project: Project, first: str, dist: Path, damage: str, tmp_path: Path
) -> None:
    archive = tmp_path / f"{first}.tar.zst"
    if damage != "missing":
        data = bytearray((dist / archive.name).read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
    if damage == "corrupt":
        shutil.copy(dist / f"{first}.json", tmp_path)
    with unchanged(project):
        refused = project.inv("deploy", f"--release={archive}", expect=3)
    assert str(archive) in refused.err
    assert "HINT:" in refused.err


def test_unusable_configuration_names_file_line_and_remedy(project: Project, first: str) -> None:
    file = project.folder / "hosts" / "test.yml"
    good = file.read_text()
    file.write_text(good.replace("health:", "helth:") + "drain: 5\n")
    try:
        refused = project.inv("deploy", expect=3)
    finally:
        file.write_text(good)
    assert "hosts/test.yml:" in refused.err
    assert "did you mean" in refused.err
    assert "drain" in refused.err
    assert "did you mean" in project.inv("deploy", "--env=tset", expect=3).err


def test_a_second_run_is_told_who_works_here(project: Project, first: str) -> None:
    slow = project.build("2.0.7", delay=1500)
    process = project.start("deploy", f"--release={slow}")
    deadline = time.monotonic() + 20
    while "nobody" in project.inv("lock.status").out and time.monotonic() < deadline:
        pass
    locked = project.inv("deploy", f"--release={first}", expect=4)
    assert f"deploy {slow}" in locked.err
    process.communicate(timeout=240)
    assert process.returncode == 0
    project.inv("deploy", f"--release={first}")
    assert "nobody holds a lock" in project.inv("lock.status").out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_at_any_moment_leaves_everything_as_it_was(
    project: Project, first: str, visitor: Visitor, number: int, seed: int
) -> None:
    second = project.build("2.0.8")
    chance = random.Random(seed + number)
    with visitor:
        for _ in range(2):
            moment = chance.uniform(1.0, 9.0)
            with unchanged(project):
                process = project.start("deploy", f"--release={second}")
                time.sleep(moment)
                done = project.interrupt(process, number) if process.poll() is None else None
                if done is None or done.code == 0:
                    process.communicate()
                    project.inv("deploy", f"--release={first}")
                    project.inv("rollback")
                    project.inv("deploy", f"--release={first}")
                    break
                assert done.code == 130, f"after {moment:.1f} s: {done.text}"
    assert visitor.failures == []
