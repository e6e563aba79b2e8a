"""Releases and what was verified of them in a real bucket: moto's over HTTP, and the lab's S3."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from fabfile.artifact.archive import Release, open_release, scan
from fabfile.errors import BadInput, Refused
from fabfile.recovery import pruning
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.shelf import Shelf
from fabfile.storage.port import Store
from fabfile.storage.s3 import S3Store
from fabfile.verified import VerifiedReleases
from tests.unit.artifact.test_build import application
from tests.unit.model.test_verified import RECORD
from tests.unit.recovery.test_pruning import plan
from tests.unit.test_environments import Checkout
from tests.unit.test_signing import Keys

REGION = "us-east-1"
BUCKET = "backups"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "contract", "AWS_SECRET_ACCESS_KEY": "contract"}


@pytest.fixture(scope="module", params=["moto", pytest.param("lab", marks=pytest.mark.lab)])
def variables(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a command needs to reach the bucket."""
    if request.param == "lab":
        environment = request.getfixturevalue("lab").environment
        yield {name: environment[name] for name in (*CREDENTIALS, "S3_ENDPOINT")}
        return
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client: Any = boto3.session.Session(*CREDENTIALS.values()).client("s3", region_name=REGION, endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield {**CREDENTIALS, "S3_ENDPOINT": endpoint}
    server.stop()


@dataclass(frozen=True)
class Office:
    """Two machines with a checkout each, and a prefix of their own in the bucket."""

    builder: Checkout
    elsewhere: Checkout
    variables: dict[str, str]
    store: Store
    prefix: str

    @property
    def shelf(self) -> Shelf:
        return Shelf(Catalogue(self.store, self.prefix, "shop", "staging"))

    def inv(self, checkout: Checkout, *words: str, expect: int = 0) -> Any:
        done = checkout.inv(*words, "--env=staging", "--json", expect=expect, **self.variables)
        return json.loads(done.stdout.splitlines()[-1])

    def fetched(self, identity: str, folder: Path) -> Release:
        folder.mkdir(exist_ok=True)
        found = self.shelf.fetch(identity, folder)
        scan(found.path, found.manifest)
        return found


@pytest.fixture
def office(tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Office:
    for name in CREDENTIALS:
        monkeypatch.setenv(name, variables[name])
    prefix = f"contract/{uuid.uuid4().hex}"
    keys = Keys(tmp_path)
    key = keys.person("ci", 'namespaces="turnout"')
    settings = {
        "app": "shop",
        "hosts": {"h1": {}},
        "build": {"source": "app", "commands": []},
        "backup": {"bucket": BUCKET, "prefix": prefix, "endpoint": "env:S3_ENDPOINT"},
        "artifacts": {"push": True, "signers": str(keys.signers), "key": str(key)},
    }
    text = yaml.safe_dump(settings)
    builder, elsewhere = (Checkout.of(tmp_path / name, staging=text) for name in ("one", "two"))
    application(builder.folder / "app")
    store = S3Store(BUCKET, REGION, variables["S3_ENDPOINT"], max_size=1 << 30)
    return Office(builder, elsewhere, variables, store, prefix)


@pytest.mark.slow
def test_a_release_that_one_machine_built_is_found_by_its_id_on_another(office: Office, tmp_path: Path) -> None:
    built = office.inv(office.builder, "build")
    assert (built["signed"], built["pushed"]) == (True, True)
    [listed] = office.inv(office.elsewhere, "artifacts")
    assert (listed["release"], listed["digest"], listed["where"]) == (built["id"], built["digest"], ["bucket"])
    assert listed["signed"]
    [both] = office.inv(office.builder, "artifacts")
    assert both["where"] == ["bucket", "dist"]
    found = office.fetched(built["id"], tmp_path / "fetched")
    assert found.manifest.digest == built["digest"]
    assert found.signature == (office.builder.folder / "dist" / f"{built['id']}.json.sig").read_text()
    assert office.inv(office.builder, "build")["digest"] == built["digest"]
    assert len(office.inv(office.builder, "artifacts")) == 1
    missing = office.inv(office.elsewhere, "plan", "--release=9.9.9-abc", expect=3)
    assert missing["error"] == "there is no release 9.9.9-abc in dist/ or in the bucket of staging"


def test_no_other_archive_takes_the_name_of_one_that_is_there(office: Office, tmp_path: Path) -> None:
    built = office.inv(office.builder, "build")
    release = open_release(built["id"], office.builder.folder / "dist")
    with pytest.raises(Refused, match="another archive is called"):
        office.shelf.push(replace(release, manifest=replace(release.manifest, digest="f" * 64)))
    assert office.fetched(built["id"], tmp_path / "fetched").manifest.digest == built["digest"]


def test_of_several_machines_that_store_the_same_release_each_succeeds(office: Office, tmp_path: Path) -> None:
    dist = office.builder.folder / "dist"
    built = office.inv(office.builder, "build")
    for key in [found.key for found in office.store.list(office.prefix)]:
        office.store.delete(key)
    with pytest.raises(BadInput):
        office.fetched(built["id"], tmp_path / "fetched")
    release = open_release(built["id"], dist)
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda number: office.shelf.push(release), range(4)))
    assert any(stored)
    shutil.rmtree(dist)
    assert office.fetched(built["id"], tmp_path / "fetched").manifest == release.manifest
    assert pruning.prune(Catalogue(office.store, office.prefix, "shop", "staging"), plan).empty


@pytest.mark.slow
def test_what_was_verified_is_noted_and_found(office: Office) -> None:
    built = office.inv(office.builder, "build")
    releases = VerifiedReleases(office.store, f"{office.prefix}/shop/staging/verified/", "shop", "staging")
    assert releases.of(built["id"]) == ()
    record = replace(RECORD, release=built["id"], digest=built["digest"])
    releases.add(record)
    releases.add(replace(record, digest="0" * 64, at="2026-11-20T10:00:00+00:00"))
    assert [found.digest for found in releases.of(built["id"])] == [built["digest"], "0" * 64]
    [listed] = office.inv(office.elsewhere, "artifacts")
    assert listed["verified"]["by"] == "ann@laptop"
