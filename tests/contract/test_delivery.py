"""The file of secrets on a host: for one account alone, and read by the lines of the manual exactly as it was given."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from fabfile.commands import release
from fabfile.commands.shell import bind
from fabfile.config.schema import ReleaseSettings
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost
from fabfile.remote.port import Host
from fabfile.rendering import environment_file
from tests.contract.test_host import PARAMETERS, over_ssh

MANUAL = Path(__file__).parents[2] / "docs" / "secrets.md"
VALUES = {
    "PLAIN": "abc",
    "BLANKS": "  two  words ",
    "HASH": "a #b",
    "QUOTES": "\"'`",
    "SHELL": r"$(id) ${HOME} \n !",
    "EQUALS": "postgres://u:p@h/d?a=b==",
    "UNICODE": "grün €",
    "LONG": "x" * 100_000,
}
ARCHIVE = r"""
mkdir -p "$releases"
: > "$releases/server.js"
tar -c -C "$releases" server.js | zstd -q -c > "$releases/1.0.tar.zst"
"""
LOOK = r"""
stat -c '%a %U' "$file"
id -un
"""
READ = r"""
ENV_FILE="$file" node -e "$program"
"""


@pytest.fixture(params=PARAMETERS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    reached: Host = LocalHost("h1") if request.param == "local" else over_ssh(request.getfixturevalue("lab"))
    yield reached
    reached.close()


@pytest.fixture
def paths(host: Host) -> Iterator[Paths]:
    """An application of its own below /var/tmp."""
    base = f"/var/tmp/turnout-delivery-{secrets.token_hex(4)}"
    yield Paths("shop", base=base)
    host.run(Script(bind('rm -rf "$base"', base=base), 60, mutates=True))


def test_every_value_arrives_as_it_is_in_a_file_that_one_account_can_read(host: Host, paths: Paths) -> None:
    given = environment_file({name: SecretStr(value) for name, value in VALUES.items()})
    sums = f"{hashlib.sha256().hexdigest()}  server.js\n".encode()
    control = {"checksums": (0o644, sums), "manifest": (0o644, b"{}"), "run": (0o644, b"r1"), "env": (0o600, given)}
    host.run(Script(bind(ARCHIVE, releases=paths.releases), 60, mutates=True))
    script = release.unpack(paths, "green", "1.0", ReleaseSettings(), release.control_archive(control))
    assert "postgres://" not in f"{script.text}{script!r}"
    host.run(script)
    host.run(release.place(paths, "green", "r1"))
    file = f"{paths.slot('green')}/.turnout/env"
    about, me = host.run(Script(bind(LOOK, file=file), 30)).stdout.splitlines()
    assert about == f"600 {me}"
    lines = re.search(r"```js\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert lines
    program = f"{lines[1]}console.log(JSON.stringify(secrets))"
    assert json.loads(host.run(Script(bind(READ, file=file, program=program), 30)).stdout) == VALUES
