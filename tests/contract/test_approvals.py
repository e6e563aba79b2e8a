"""`inv approvals`, `inv approve` and `inv windows.announce` as commands, with a bucket over HTTP and real keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.model.approval import Statement
from fabfile.register import Register
from fabfile.signing import sign
from fabfile.storage.s3 import S3Store
from tests.listener import listening
from tests.unit.test_environments import Checkout
from tests.unit.test_signing import Keys

pytestmark = pytest.mark.slow

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hunter2-aws"}
BUCKET = "approvals"
DIGEST = "ab" * 32
ENVIRONMENT = f"""
app: shop
hosts: {{h1: {{address: 192.0.2.1}}}}
secrets: {{KEY: env:NOT_SET}}
database: {{via: h1, name: shop, user: shop, password: env:NOT_SET}}
backup: {{bucket: {BUCKET}, endpoint: env:S3_ENDPOINT}}
notify: [env:TEAM]
approvals: {{required: 1}}
"""


@dataclass(frozen=True)
class Office:
    """A checkout, a bucket, and two people; nobody has any secret of the application."""

    checkout: Checkout
    keys: Keys
    register: Register
    variables: dict[str, str]

    def inv(self, who: str, *words: str, expect: int = 0) -> Any:
        key = str(self.keys.folder / who)
        return self.checkout.inv(*words, "--env=live", expect=expect, TURNOUT_SIGNING_KEY=key, **self.variables)

    def ask(self, who: str) -> None:
        """What the first `inv deploy` of somebody leaves."""
        now = datetime.now(UTC)
        at, until = (moment.isoformat(timespec="seconds") for moment in (now, now + timedelta(days=7)))
        statement = Statement("request", "shop", "live", "1.0-abc", DIGEST, at, until)
        self.register.add(statement, sign(statement.to_text(), self.keys.folder / who, statement.namespace))


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client: Any = boto3.session.Session().client("s3", region_name="us-east-1", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    checkout = Checkout.of(tmp_path, live=ENVIRONMENT)
    keys = Keys(tmp_path / "hosts")
    keys.person("ann", 'namespaces="turnout-*"')
    keys.person("bob", 'namespaces="turnout-*"')
    keys.person("ci", 'namespaces="turnout-request"')
    register = Register(S3Store(BUCKET, "us-east-1", endpoint, max_size=1 << 30), "turnout/shop/live/", keys.signers)
    yield Office(checkout, keys, register, {**CREDENTIALS, "S3_ENDPOINT": endpoint})
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    server.stop()


def test_somebody_else_sees_what_waits_and_approves_it(office: Office) -> None:
    assert office.inv("bob", "approvals").stdout == "nothing waits for approval in live\n"
    assert "nobody has asked for 1.0-abc in live" in office.inv("bob", "approve", "1.0-abc", "--yes", expect=3).stderr
    office.ask("ann")
    [waiting] = json.loads(office.inv("bob", "approvals", "--json").stdout)
    assert (waiting["release"], waiting["by"], waiting["digest"], waiting["missing"]) == ("1.0-abc", "ann", DIGEST, 1)
    own = office.inv("ann", "approve", "1.0-abc", "--yes", expect=5)
    assert "ann asked for 1.0-abc, so somebody else has to approve it" in own.stderr
    robot = office.inv("ci", "approve", "1.0-abc", "--yes", expect=5)
    assert "the signature of ci is not one of this text for turnout-approval" in robot.stderr
    approved = json.loads(office.inv("bob", "approve", "1.0-abc", "--yes", "--json").stdout)
    assert (approved["kind"], approved["by"], approved["digest"]) == ("approval", "bob", DIGEST)
    lasts = datetime.fromisoformat(approved["until"]) - datetime.fromisoformat(approved["at"])
    assert lasts == timedelta(days=1)
    [row] = [line for line in office.inv("ann", "approvals").stdout.splitlines() if line.startswith("1.0-abc")]
    assert row.split()[3:5] == ["bob", "0"]
    kept = {(signed.statement.kind, signed.signer.name) for signed in office.register.read("1.0-abc")[0]}
    assert kept == {("request", "ann"), ("approval", "bob")}


def test_maintenance_is_announced_once(office: Office) -> None:
    begin = datetime.now(UTC) + timedelta(minutes=50)
    file = office.checkout.folder / "hosts" / "live.yml"
    text = f"calendar: {{maintenance: [{{at: '{begin.day} {begin:%b %Y %H:%M}', what: The database moves.}}]}}\n"
    file.write_text(ENVIRONMENT + text)
    with listening() as heard:
        office.variables["TEAM"] = heard.url("/", "json")
        told = json.loads(office.inv("ann", "windows.announce", "--json").stdout)
        assert [(each["lead"], each["what"]) for each in told] == [("hour", "The database moves.")]
        assert office.inv("ann", "windows.announce").stdout == "nothing to announce\n"
    assert len(heard.bodies) == 1
