"""The lab's journeys: hosts that work, faults that bite and heal, and nothing left afterwards."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from fabfile.errors import BadInput, Refused, TurnoutError
from fabfile.lab.lab import Lab
from fabfile.lab.nodes import answers

pytestmark = pytest.mark.lab

HIGHEST_PID = 2**22
SERVER = "require('http').createServer((q, r) => r.end(process.env.COLOUR)).listen(3001)"


def ssh(lab: Lab, node: str, command: str, text: str = "", patience: int = 5) -> str:
    """What the command printed; a failure of ssh or of the command fails the test."""
    words = ["ssh", "-F", str(lab.ssh_config), "-o", f"ConnectTimeout={patience}", node, command]
    return subprocess.run(words, input=text, text=True, capture_output=True, check=True, timeout=60).stdout.strip()


def seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def traces(lab: Lab) -> list[str]:
    """Every line about a lab in the machine's own tables."""
    tables = [
        ("ip", "-o", "link"),
        ("ip", "-o", "route", "show", "table", "all"),
        ("ip", "netns", "list"),
        (*lab.engine.words, "ps", "-a", "--format", "{{.Names}}"),
        ("nft", "list", "tables"),
        ("losetup", "-a"),
        ("ps", "-eo", "stat,args"),
        ("cat", "/proc/self/mounts"),
    ]
    name, subnet = lab.state.name, lab.state.subnet_number
    marks = (f"turnout-{name}", f"turnout-lab/{name}", f" tl{subnet}", f"10.99.{subnet}.")
    lines = [
        line
        for words in tables
        for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    return [line for line in lines if any(mark in line for mark in marks) and not line.startswith("Z")]


@pytest.fixture
def slow_line(lab: Lab) -> Iterator[str]:
    yield "h1"
    lab.slow("h1")


def test_machines_let_deploy_in_under_their_checked_names(lab: Lab) -> None:
    assert [ssh(lab, node, "whoami; hostname") for node in ("h1", "h2", "db")] == [
        "deploy\nh1",
        "deploy\nh2",
        "deploy\ndb",
    ]


def test_nothing_on_a_fresh_machine_has_failed(lab: Lab) -> None:
    assert [lab.execute(node, "systemctl", "is-system-running") for node in ("h1", "db")] == ["running", "running"]


def test_deploy_may_check_and_reload_nginx_and_no_more(lab: Lab) -> None:
    ssh(lab, "h1", "sudo -n nginx -t && sudo -n systemctl reload nginx && test -r /var/log/nginx/access.log")
    for forbidden in ("nginx -T", "systemctl restart nginx", "systemctl reload ssh", "cat /etc/shadow"):
        with pytest.raises(subprocess.CalledProcessError):
            ssh(lab, "h1", f"sudo -n {forbidden}")


def test_no_host_can_leave_the_lab(lab: Lab) -> None:
    assert lab.execute("h1", "ip", "route").splitlines() == [
        f"{lab.state.subnet.cidr} dev eth0 proto kernel scope link src {lab.address('h1')}"
    ]


def test_both_roles_reach_postgresql_and_only_one_is_superuser(lab: Lab) -> None:
    superuser = (
        "read -r PGPASSWORD; export PGPASSWORD; psql -h 127.0.0.1 -U turnout -d postgres -Atc 'show is_superuser'"
    )
    application = "read -r url; psql \"$url\" -Atc 'show is_superuser'"
    assert ssh(lab, "db", superuser, lab.environment["TURNOUT_DB_PASSWORD"] + "\n") == "on"
    assert ssh(lab, "h1", application, lab.environment["DATABASE_URL"] + "\n") == "off"
    with pytest.raises(subprocess.CalledProcessError):
        ssh(lab, "h1", application, lab.environment["DATABASE_URL"].replace("app:", "app:x") + "\n")


def test_the_bucket_keeps_what_is_put_there(lab: Lab) -> None:
    store = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=lab.environment["S3_ENDPOINT"],
        aws_access_key_id=lab.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=lab.environment["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        store.put_object(Bucket="backups", Key="probe", Body=b"kept")
        assert store.get_object(Bucket="backups", Key="probe")["Body"].read() == b"kept"
        store.delete_object(Bucket="backups", Key="probe")
    finally:
        store.close()


def test_an_application_and_the_database_survive_a_power_cut(lab: Lab) -> None:
    ssh(lab, "h1", "cat > /var/app/app.js", SERVER)
    ssh(lab, "h1", "cd /var/app && COLOUR=blue pm2 -s start app.js && pm2 -s save")
    site = "server { listen 80; location / { proxy_pass http://127.0.0.1:3001; } }"
    ssh(lab, "h1", "cat > /etc/nginx/turnout/app.conf && sudo -n systemctl reload nginx", site)
    make = "read -r url; psql \"$url\" -qc 'create table kept as select 7 as value'"
    ssh(lab, "h1", make, lab.environment["DATABASE_URL"] + "\n")
    lab.kill("h1")
    lab.kill("db")
    assert lab.status() == {"h1": "off", "h2": "up", "db": "off", "s3": "up"}
    # The others see the operator at the address where he was.
    assert ssh(lab, "h2", "cat /proc/net/arp | awk '$1 ~ /[.]1$/ {print $4}'").startswith("02:4c:0a:63:")
    lab.start("h1")
    lab.start("db")
    with urllib.request.urlopen(f"http://{lab.address('h1')}/", timeout=5) as answer:
        assert answer.read() == b"blue"
    look = "read -r url; psql \"$url\" -Atc 'select value from kept' -c 'drop table kept' -q"
    assert ssh(lab, "h1", look, lab.environment["DATABASE_URL"] + "\n") == "7"
    ssh(lab, "h1", "pm2 -s delete all && pm2 -s save --force && rm /etc/nginx/turnout/app.conf /var/app/app.js")
    ssh(lab, "h1", "sudo -n systemctl reload nginx")


@pytest.mark.parametrize("drop", [False, True])
def test_a_cut_host_cannot_be_reached_until_it_is_healed(lab: Lab, drop: bool) -> None:
    lab.cut("h2", drop=drop)
    try:
        assert lab.status()["h2"] == "cut"
        assert not answers(lab.address("h2"), 22, seconds=0.5)
        assert answers(lab.address("h1"), 22)
    finally:
        lab.heal("h2")
    assert ssh(lab, "h2", "hostname") == "h2"


def test_a_full_disk_takes_nothing_until_it_is_drained(lab: Lab) -> None:
    write = "dd if=/dev/zero of=/var/app/probe bs=1M count=3 && rm /var/app/probe"
    lab.fill("h1")
    try:
        with pytest.raises(subprocess.CalledProcessError, match="returned non-zero") as failure:
            ssh(lab, "h1", write)
        assert "No space left" in failure.value.stderr
        lab.fill("h1", leave_mb=8)
        ssh(lab, "h1", write)
    finally:
        lab.drain("h1")
    assert int(ssh(lab, "h1", "df --output=avail /var/app | tail -1")) > 900_000


def test_a_slow_line_is_late_and_narrow_both_ways(lab: Lab, slow_line: str) -> None:
    payload = "x" * 500_000
    assert seconds(lambda: ssh(lab, slow_line, "cat > /dev/null", payload)) < 2
    lab.slow(slow_line, mbit=4, ms=40)
    assert seconds(lambda: ssh(lab, slow_line, "cat > /dev/null", payload)) > 1
    assert seconds(lambda: ssh(lab, slow_line, "head -c 500000 /dev/zero | base64 -w0")) > 1
    lab.slow(slow_line)
    assert seconds(lambda: ssh(lab, slow_line, "cat > /dev/null", payload)) < 2


def test_up_twice_is_up_once(lab: Lab) -> None:
    said: list[str] = []
    assert Lab.up(lab.state.name, hosts=2, s3="moto", say=said.append).state == lab.state
    assert said[-1] == f"lab {lab.state.name} is up already"
    with pytest.raises(Refused, match="not 3"):
        Lab.up(lab.state.name, hosts=3)


def test_a_second_lab_is_apart_and_leaves_nothing_even_without_its_state(lab: Lab) -> None:
    second = Lab.up(f"test-{os.getpid()}-b", hosts=1, s3="moto")
    try:
        assert second.state.subnet_number != lab.state.subnet_number
        assert ssh(second, "h1", "hostname") == ssh(lab, "h1", "hostname") == "h1"
        second.cut("h1", drop=True)
        second.slow("db", ms=5)
        assert traces(second)
        (second.state.folder / "lab.json").unlink()
    finally:
        Lab.remove(second.state.name)
    deadline = time.monotonic() + 5  # the relay looks for its links five times a second
    while traces(second) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert traces(second) == []
    assert not Path(second.state.folder).exists()
    assert ssh(lab, "h1", "hostname") == "h1"


def test_an_unfinished_lab_is_removed_before_the_next_up() -> None:
    name = f"test-{os.getpid()}-c"
    half = Lab.up(name, hosts=1, s3="none")
    (half.state.folder / "lab.json").unlink()
    said: list[str] = []
    try:
        whole = Lab.up(name, hosts=1, s3="none", say=said.append)
        assert any("unfinished" in line for line in said)
        assert set(whole.status().values()) == {"up"}
    finally:
        Lab.remove(name)


def test_the_lab_of_a_killed_test_run_is_removed_by_the_next(lab: Lab) -> None:
    dead = Lab.up(f"test-{HIGHEST_PID + 1}", hosts=1, s3="none")
    try:
        Lab.up(lab.state.name, hosts=2, s3="moto")
        assert traces(dead) == []
    finally:
        Lab.remove(dead.state.name)


def test_a_host_powered_on_early_answers_before_its_services_are_up(lab: Lab) -> None:
    lab.kill("h2")
    lab.start("h2", early=True)
    assert answers(lab.address("h2"), 22)
    lab.start("h2")
    assert lab.execute("h2", "systemctl", "is-system-running") == "running"


def test_an_unknown_node_is_refused_with_the_known_ones(lab: Lab) -> None:
    with pytest.raises(BadInput, match="h9") as refusal:
        lab.kill("h9")
    assert "h1 h2 db s3" in refusal.value.hint


def test_a_command_that_fails_on_a_node_is_an_error(lab: Lab) -> None:
    with pytest.raises(TurnoutError, match="exit"):
        lab.execute("h1", "false")
