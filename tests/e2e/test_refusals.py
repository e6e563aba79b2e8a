"""What is refused before a run changes anything: a clear sentence, the code of its class, and hosts as they were."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.e2e.squatter import taken
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab


def test_a_full_disk_is_refused_before_anything_starts(project: Project, first: str) -> None:
    second = project.build("2.0.0")
    project.lab.fill("h2", leave_mb=5)
    try:
        with unchanged(project):
            refused = project.inv("deploy", f"--release={second}", expect=5)
    finally:
        project.lab.drain("h2")
    assert "h2: no space:" in refused.err


def test_a_taken_port_is_named_with_its_holder(project: Project, first: str) -> None:
    second = project.build("2.0.2")
    host = project.inv("status", "--json").document["h1"]
    port = 3002 if host["live"] == "blue" else 3001
    with taken(project, f"{port}, '127.0.0.1'"), unchanged(project):
        refused = project.inv("deploy", f"--release={second}", expect=5)
    assert f"h1: port {port}" in refused.err
    assert "is taken by" in refused.err


def test_a_foreign_file_that_nginx_refuses_is_named_where_nginx_gets_another_site(project: Project, first: str) -> None:
    second = project.build("2.0.3")
    project.lab.execute("h1", "bash", "-c", "echo 'nonsense on;' > /etc/nginx/conf.d/other.conf")
    try:
        with unchanged(project):
            project.configure(site={"max_body": "4m"})
            refused = project.inv("deploy", f"--release={second}", expect=5)
            planned = project.inv("plan", f"--release={second}", expect=5)
            project.configure()
        project.inv("deploy", f"--release={second}")
    finally:
        project.lab.execute("h1", "rm", "-f", "/etc/nginx/conf.d/other.conf")
        project.configure()
    for said in (refused.err, planned.err):
        assert "/etc/nginx/conf.d/other.conf:1" in said
        assert "as root on h1: mv /etc/nginx/conf.d/other.conf /var/tmp/ && nginx -t" in said
    project.inv("deploy", f"--release={first}")


def test_a_right_that_sudo_does_not_give_is_named_before_anything_starts(project: Project, first: str) -> None:
    project.lab.execute("h2", "mv", "/etc/sudoers.d/deploy", "/root/deploy")
    project.configure(site={"max_body": "5m"})
    try:
        with unchanged(project):
            refused = project.inv("deploy", f"--release={project.build('2.0.8')}", expect=5)
    finally:
        project.lab.execute("h2", "mv", "/root/deploy", "/etc/sudoers.d/deploy")
        project.configure()
    assert "h2: deploy may not do without a password: /usr/sbin/nginx -t" in refused.err


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
