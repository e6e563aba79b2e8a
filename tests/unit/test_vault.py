"""`inv secrets.*` as commands: what goes in comes out again, for those who may read it, and is nowhere else."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.unit.test_environments import Checkout

pytestmark = pytest.mark.slow

ANN, BOB = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
LIVE = """
app: shop
hosts: {{h1: {{address: 192.0.2.1}}}}
secrets: {{SESSION_KEY: age:SESSION_KEY, TOKEN: env:TOKEN}}
custody: {{changed: {{TOKEN: 2020-02-02}}}}
vault: {{file: hosts/live.age, recipients: [{}]}}
"""


@dataclass(frozen=True)
class Office:
    """A checkout, and people with keys of their own."""

    checkout: Checkout

    @property
    def file(self) -> Path:
        return self.checkout.folder / "hosts" / "live.age"

    def recipients(self, *people: pyrage.x25519.Identity) -> None:
        """Write the environment for these."""
        keys = ", ".join(str(person.to_public()) for person in people)
        (self.checkout.folder / "hosts" / "live.yml").write_text(LIVE.format(keys))

    def inv(
        self,
        *words: str,
        who: pyrage.x25519.Identity = ANN,
        given: str = "",
        expect: int = 0,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """One command that is given this on standard input."""
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words, "--env=live"],
            cwd=self.checkout.folder,
            env={"PATH": os.environ["PATH"], "TURNOUT_IDENTITY": str(who), "TOKEN": "hunter2-token", **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        assert words[0] == "secrets.get" or "hunter2" not in done.stdout + done.stderr
        return done

    def document(self, *words: str, expect: int = 0) -> Any:
        return json.loads(self.inv(*words, "--json", expect=expect).stdout)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    found = Office(Checkout.of(tmp_path))
    found.recipients(ANN)
    return found


def rewriting(folder: Path, text: str) -> str:
    """An editor that leaves this text, and notes where it was given the file."""
    (folder / "text").write_text(text)
    script = folder / "editor"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$1" > {folder}/where\ncp "$1" {folder}/was\ncat {folder}/text > "$1"\n'
    )
    script.chmod(0o700)
    return str(script)


def test_a_value_goes_in_by_standard_input_and_comes_out_again(office: Office) -> None:
    done = office.inv("secrets.set", "SESSION_KEY", given="hunter2 = #'\"\n")
    assert "added: SESSION_KEY" in done.stderr
    assert "hosts/live.age is sealed for 1 keys; commit it, then inv deploy" in done.stdout
    assert office.inv("secrets.get", "SESSION_KEY").stdout == "hunter2 = #'\"\n"
    assert b"hunter2" not in office.file.read_bytes()
    assert "nothing changed" in office.inv("secrets.set", "SESSION_KEY", given="hunter2 = #'\"\n").stdout


def test_a_value_is_asked_for_without_echo_on_a_terminal(office: Office) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "secrets.set", "SESSION_KEY", "--env=live"],
        cwd=office.checkout.folder,
        env={"PATH": os.environ["PATH"], "TURNOUT_IDENTITY": str(ANN)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_takes_terminal,
    )
    os.close(theirs)
    shown, typed = b"", 0
    while True:
        try:
            data = os.read(ours, 1000)
        except OSError:
            break
        shown += data
        if shown.count(b"SESSION_KEY") > typed and shown.rstrip().endswith(b":") and typed < 2:
            typed += 1
            os.write(ours, b"hunter2\n")
    os.close(ours)
    assert process.wait(60) == 0, shown
    assert b"hunter2" not in shown
    assert office.inv("secrets.get", "SESSION_KEY").stdout == "hunter2\n"


def _takes_terminal() -> None:
    """`getpass` asks on the terminal that controls its process."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize(
    ("name", "given", "fact"),
    [
        ("SESSION-KEY", "hunter2", "'SESSION-KEY' is not a variable's name"),
        ("KEY", "", "the value of KEY is empty"),
        ("KEY", "\n", "the value of KEY is empty"),
        ("KEY", "hunter2\nhunter3\n", "the value of KEY has a line break or NUL in it"),
    ],
)
def test_a_value_that_cannot_be_kept_changes_nothing(office: Office, name: str, given: str, fact: str) -> None:
    assert fact in office.inv("secrets.set", name, given=given, expect=3).stderr
    assert not office.file.exists()


def test_a_name_that_nothing_uses_is_told(office: Office) -> None:
    done = office.inv("secrets.set", "OTHER", given="hunter2")
    assert "nothing uses OTHER yet: write OTHER: age:OTHER below secrets in hosts/live.yml" in done.stderr
    assert "has no SESSION_KEY" in office.inv("secrets.get", "SESSION_KEY", expect=3).stderr


def test_all_of_it_is_edited_in_memory_and_nothing_is_left(office: Office, tmp_path: Path) -> None:
    office.inv("secrets.set", "SESSION_KEY", given="hunter2-old")
    office.inv("secrets.set", "GONE", given="hunter2-gone")
    editor = rewriting(tmp_path, "# remark\nSESSION_KEY=hunter2-new\n\nADDED=hunter2-added\n")
    done = office.inv("secrets.edit", EDITOR=editor)
    for line in ("added: ADDED", "changed: SESSION_KEY", "removed: GONE"):
        assert line in done.stderr
    assert (tmp_path / "was").read_text().splitlines()[1:] == ["GONE=hunter2-gone", "SESSION_KEY=hunter2-old"]
    where = Path((tmp_path / "where").read_text().strip())
    assert not where.parent.exists()
    assert str(where).startswith("/dev/shm/") or not os.access("/dev/shm", os.W_OK)
    assert office.inv("secrets.get", "ADDED").stdout == "hunter2-added\n"
    assert [path.name for path in office.file.parent.glob("*.age*")] == ["live.age"]


def test_what_was_edited_badly_or_not_at_all_changes_nothing(office: Office, tmp_path: Path) -> None:
    office.inv("secrets.set", "SESSION_KEY", given="hunter2-old")
    before = office.file.read_bytes()
    bad = office.inv("secrets.edit", EDITOR=rewriting(tmp_path, "A=1\nhunter2\n"), expect=3)
    assert "what was edited cannot be used: line 2 is not NAME=value" in bad.stderr
    assert "ended with status 1" in office.inv("secrets.edit", EDITOR="false", expect=3).stderr
    assert "nothing changed in hosts/live.age" in office.inv("secrets.edit", EDITOR="true").stdout
    assert office.file.read_bytes() == before


def test_adding_and_removing_people_seals_it_anew(office: Office) -> None:
    office.inv("secrets.set", "SESSION_KEY", given="hunter2")
    refused = office.inv("secrets.get", "SESSION_KEY", who=BOB, expect=3)
    assert "hosts/live.age: is encrypted for other keys than vault.identity" in refused.stderr
    assert "is sealed for these already" in office.inv("secrets.rekey").stdout
    office.recipients(ANN, BOB)
    assert f"+ {BOB.to_public()}" in office.inv("secrets.rekey").stderr
    assert office.inv("secrets.get", "SESSION_KEY", who=BOB).stdout == "hunter2\n"
    office.recipients(BOB)
    done = office.inv("secrets.rekey", who=BOB)
    assert f"- {ANN.to_public()}" in done.stderr
    assert "change every secret that they saw" in done.stderr
    assert "is encrypted for other keys" in office.inv("secrets.get", "SESSION_KEY", expect=3).stderr


def test_the_list_tells_ages_and_what_to_do_and_no_value(office: Office) -> None:
    office.inv("secrets.set", "SESSION_KEY", given="hunter2")
    office.inv("secrets.set", "STRAY", given="hunter2-stray")
    found = office.document("secrets.list", expect=2)
    states = {each["name"]: (each["source"], each["state"], each["readable"]) for each in found["secrets"]}
    assert states == {
        "SESSION_KEY": ("age:SESSION_KEY", "fresh", True),
        "TOKEN": ("env:TOKEN", "due", True),
    }
    assert found["secrets"][1]["due"] == "2020-05-02"
    assert found["remarks"] == ["hosts/live.age has STRAY, which nothing uses; inv secrets.edit takes it out"]
    office.recipients(ANN, BOB)
    table = office.inv("secrets.list", expect=2)
    assert "hosts/live.age is sealed for others than vault.recipients names: inv secrets.rekey" in table.stderr
    assert table.stdout.splitlines()[0].split() == ["NAME", "FROM", "CHANGED", "AGE", "DUE", "STATE", "NOTE"]


def test_the_list_tells_what_cannot_be_read_and_what_is_anothers(office: Office) -> None:
    hosts = office.checkout.folder / "hosts"
    text = (hosts / "live.yml").read_text().replace("custody: {", "custody: {differs_from: staging, ")
    (hosts / "live.yml").write_text(text.replace("2020-02-02", "2999-01-01"))
    (hosts / "staging.yml").write_text("app: shop\nhosts: {s1: {}}\nsecrets: {SAME: env:STAGING_TOKEN}\n")
    done = office.inv("secrets.list", STAGING_TOKEN="hunter2-token", expect=2)
    assert "secrets.SESSION_KEY: hosts/live.age has no SESSION_KEY; inv secrets.set SESSION_KEY" in done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "cannot be read" in rows["SESSION_KEY"]
    assert rows["TOKEN"].endswith("same as staging's SAME")


def test_without_a_vault_there_is_a_remedy(office: Office) -> None:
    file = office.checkout.folder / "hosts" / "live.yml"
    file.write_text("app: shop\nhosts: {h1: {}}\n")
    assert "hosts/live.yml has no vault section" in office.inv("secrets.get", "A", expect=3).stderr
    assert "live has no secrets" in office.inv("secrets.list").stdout
