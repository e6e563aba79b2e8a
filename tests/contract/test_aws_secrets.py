"""Secrets Manager and Parameter Store over HTTP, at our own server and at moto's: values, dates, and every refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.config.custody import AwsSettings
from fabfile.config.reader import Reader
from fabfile.errors import BadInput
from tests.aws_server import SINCE, Kept, keeping

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2-aws"}
VALUE = "hunter2-of-the-shop"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests: their account is never asked."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    with keeping() as found:
        for name, value in found.variables.items():
            monkeypatch.setenv(name, value)
        yield found


def reader(region: str | None = "eu-central-1", profile: str | None = None) -> Reader:
    return Reader(Path("/nowhere"), {}, aws=AwsSettings(region=region, profile=profile))


def test_a_secret_and_a_parameter_are_read_with_their_dates(kept: Kept) -> None:
    kept.secrets["shop/key"], kept.parameters["/shop/dsn"] = VALUE, "https://dsn"
    one, other = reader().read("aws:shop/key", "secrets.A"), reader().read("ssm:/shop/dsn", "secrets.B")
    assert one.value.get_secret_value() == VALUE
    assert other.value.get_secret_value() == "https://dsn"
    assert one.changed == other.changed == datetime.fromtimestamp(SINCE, UTC)
    assert VALUE not in repr(one)


def test_members_of_one_secret_are_one_question(kept: Kept) -> None:
    kept.secrets["shop/all"] = json.dumps({"user": "shop", "pass word": VALUE, "port": 5432, "deep": {}})
    asked = reader()
    found = [
        asked.read(f"aws:shop/all#{key}", "secrets.A").value.get_secret_value() for key in ("user", "pass word", "port")
    ]
    assert found == ["shop", VALUE, "5432"]
    assert kept.asked == [("secretsmanager", "shop/all")]
    with pytest.raises(BadInput, match=r"secrets\.A: shop/all: the value of deep is no text"):
        asked.read("aws:shop/all#deep", "secrets.A")
    with pytest.raises(BadInput, match=r"secrets\.A: shop/all: has no key usr") as near:
        asked.read("aws:shop/all#usr", "secrets.A")
    assert near.value.hint == "did you mean 'user'?"


@pytest.mark.parametrize(
    ("source", "fact", "hint"),
    [
        ("aws:absent", "absent: secretsmanager has nothing of that name", "aws.region"),
        ("ssm:absent", "absent: ssm has nothing of that name", "aws.region"),
        ("aws:denied", "denied: secretsmanager refused: AccessDeniedException", "secretsmanager:GetSecretValue"),
        ("ssm:denied", "denied: ssm refused: AccessDeniedException", "ssm:GetParameter"),
        ("aws:bytes", "the secret bytes holds bytes, not text", "text"),
        ("aws:plain#key", "plain: is no JSON object that could have the key key", "without #"),
        ("ssm:blank", "blank is empty", "give it a value"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_key_and_a_remedy(kept: Kept, source: str, fact: str, hint: str) -> None:
    kept.denied.add("denied")
    kept.secrets |= {"bytes": b"\0\1", "plain": VALUE}
    kept.parameters["blank"] = ""
    with pytest.raises(BadInput) as refused:
        reader().read(source, "secrets.A")
    assert refused.value.fact == f"secrets.A: {fact}"
    assert hint in refused.value.hint
    assert VALUE not in str(refused.value)


def test_without_a_region_or_credentials_the_remedy_is_a_setting(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no region is known for secretsmanager") as refused:
        reader(region=None).read("aws:a", "secrets.A")
    assert refused.value.hint == "set aws.region, or AWS_DEFAULT_REGION"
    with pytest.raises(BadInput, match="no credentials for ssm"):
        reader(profile="absent").read("ssm:a", "secrets.A")
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    with pytest.raises(BadInput, match="no credentials for ssm"):
        reader().read("ssm:a", "secrets.A")
    assert kept.asked == []


def test_a_server_that_is_not_there_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    with pytest.raises(BadInput, match=r"secrets\.A: a: ssm cannot be asked") as refused:
        reader().read("ssm:a", "secrets.A")
    assert "network" in refused.value.hint


def test_nothing_of_an_answer_is_logged(kept: Kept) -> None:
    """`inv --debug` logs everything that any library has to say, on standard error."""
    kept.secrets["shop/key"], kept.parameters["/shop/dsn"] = VALUE, VALUE
    program = (
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        "from pathlib import Path\n"
        "from fabfile.config.custody import AwsSettings\n"
        "from fabfile.config.reader import Reader\n"
        "reader = Reader(Path('/nowhere'), {}, aws=AwsSettings(region='eu-central-1'))\n"
        "values = [reader.read(source, 'k').value.get_secret_value() for source in ('aws:shop/key', 'ssm:/shop/dsn')]\n"
        "print(len(values[0] + values[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(2 * len(VALUE))]
    assert "urllib3" in done.stderr  # it is logged what goes on
    assert "hunter2" not in done.stderr


@pytest.mark.slow
def test_it_is_the_same_at_somebody_elses_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name in ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SSM"):
            monkeypatch.setenv(name, f"http://{host}:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        boto3.client("secretsmanager").create_secret(Name="shop/key", SecretString=json.dumps({"key": VALUE}))
        boto3.client("ssm").put_parameter(Name="/shop/dsn", Value=VALUE, Type="SecureString")
        for source in ("aws:shop/key#key", "ssm:/shop/dsn"):
            found = reader(region=None).read(source, "secrets.A")
            assert found.value.get_secret_value() == VALUE
            assert found.changed is not None
            assert abs(datetime.now(UTC) - found.changed) < timedelta(minutes=5)
        with pytest.raises(BadInput, match="ssm has nothing of that name"):
            reader().read("ssm:/shop/dsnn", "secrets.A")
    finally:
        server.stop()
