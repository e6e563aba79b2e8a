"""Promotions: the very bytes that one environment verified, found wherever they are, or a refusal that says why not."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import zstandard

from fabfile.artifact.archive import Release, manifest_path, open_release
from fabfile.artifact.signature import sign_release
from fabfile.config.schema import Environment
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep, Step
from fabfile.errors import BadInput, Refused, TurnoutError
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.paths import Paths
from fabfile.model.plan import Plan
from fabfile.model.verified import Verified
from fabfile.planning.deploy_plan import plan_deploy
from fabfile.promote import _refuse_strangers, promoted
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.session import Session
from fabfile.steps.target import Target
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Store
from fabfile.ui.reporter import Reporter
from tests.unit.artifact.test_build import application, make
from tests.unit.planning.test_deploy_plan import TEMPLATES, serving
from tests.unit.test_recover import no_connection
from tests.unit.test_signing import Keys


class Here(Session):
    """A session on this machine: its host, its bucket and dist/ are folders below `known_hosts`."""

    @property
    def folder(self) -> Path:
        return self.known_hosts

    @property
    def dist(self) -> Path:
        return self.folder / "dist"

    @property
    def paths(self) -> Paths:
        return Paths(self.environment.app, base=str(self.folder / self.name))

    @cached_property
    def store(self) -> Store:
        return DirectoryStore(self.folder / "bucket")

    def observe(self, hosts: Iterable[str] | None = None) -> dict[str, Observed]:
        kept = json.loads((self.folder / self.name / "live.json").read_text())
        history = tuple(HistoryEntry(**entry) for entry in kept["history"])
        return {"h1": replace(serving("h1", release=kept["release"]), history=history)}


@dataclass(frozen=True)
class World:
    """Staging, production, and a release that staging has deployed."""

    folder: Path
    staging: Here
    production: Here
    release: Release
    err: io.StringIO

    def promoted(self) -> Release:
        folder = self.folder / "arrived"
        folder.mkdir(exist_ok=True)
        return promoted(self.staging, self.production, folder)

    def verify(self, digest: str = "", **changes: str) -> None:
        identity, digest = self.release.manifest.id, digest or self.release.manifest.digest
        record = Verified("shop", "staging", identity, digest, "ann@ci", "2026-11-21T10:00:00+00:00", "r1")
        self.staging.verified.add(replace(record, **changes))

    def on_hosts_of(self, name: str, digest: str = "") -> None:
        """The release is kept there, and live; or an archive of this digest by its name."""
        releases = Path(Paths("shop", base=str(self.folder / name)).releases)
        releases.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.release.path, releases)
        manifest = replace(self.release.manifest, digest=digest or self.release.manifest.digest)
        (releases / f"{manifest.id}.json").write_text(manifest.to_json())
        history = [{"at": "2026-11-21T09:59:00+00:00", "verb": "deploy", "release": manifest.id, "holder": "bob@ci"}]
        live = {"release": manifest.id, "history": history}
        (self.folder / name / "live.json").write_text(json.dumps(live))

    def nowhere_but_on_hosts(self) -> None:
        shutil.rmtree(self.folder / "dist")

    @property
    def said(self) -> str:
        return self.err.getvalue()


def world(folder: Path, **sections: Any) -> World:
    release = open_release(make(application(folder / "app"), folder / "dist"), folder / "dist")
    err = io.StringIO()

    def session(name: str, **more: Any) -> Here:
        settings = {"app": "shop", "hosts": {"h1": {}}, "backup": {"bucket": "abc"}, **more}
        environment = Environment.model_validate(settings)
        reporter = Reporter(out=io.StringIO(), err=err)
        return Here(name, environment, Fleet({"h1": LocalHost("h1")}), reporter, "r1", "ann", no_connection, folder)

    made = World(folder, session("staging"), session("production", **sections), release, err)
    made.on_hosts_of("staging")
    return made


@pytest.fixture
def shop(tmp_path: Path) -> World:
    return world(tmp_path)


@pytest.mark.parametrize("place", ["dist", "bucket", "hosts"])
def test_the_verified_bytes_come_from_wherever_they_are(shop: World, place: str) -> None:
    shop.verify()
    content = shop.release.path.read_bytes()
    if place == "bucket":
        shop.staging.shelf.push(shop.release)
    if place != "dist":
        shop.nowhere_but_on_hosts()
    found = shop.promoted()
    assert found.manifest == shop.release.manifest
    assert found.path.read_bytes() == content
    assert (found.path.parent == shop.folder / "dist") == (place == "dist")
    assert f"(SHA-256 {found.manifest.digest}) at 2026-11-21T10:00:00+00:00, deployed by ann@ci" in shop.said


def test_what_was_not_verified_is_not_promoted(shop: World) -> None:
    with pytest.raises(Refused, match=r"staging serves .* but has not verified it") as caught:
        shop.promoted()
    assert caught.value.code == 5
    assert f"inv deploy --release={shop.release.manifest.id} --env=staging" in caught.value.hint


def test_what_another_environment_verified_is_not_verified(shop: World) -> None:
    shop.verify(environment="production")
    with pytest.raises(Refused, match="has not verified it"):
        shop.promoted()


def test_a_release_that_was_built_again_before_its_deploy_is_told_apart(shop: World) -> None:
    shop.verify("f" * 64)
    with pytest.raises(Refused, match="verified another archive called") as caught:
        shop.promoted()
    assert caught.value.details == (
        f"{shop.release.manifest.digest}: what staging serves",
        f"{'f' * 64}: verified at 2026-11-21T10:00:00+00:00 by ann@ci",
    )


def rebuilt(folder: Path, release: Release) -> str:
    """The same content in other bytes: its archive ends with a frame that says nothing. Its SHA-256."""
    data = release.path.read_bytes() + b"\x50\x2a\x4d\x18\x01\x00\x00\x00x"
    release.path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = replace(release.manifest, digest=digest, size=len(data))
    manifest_path(folder / release.path.name).write_text(manifest.to_json())
    return digest


def test_an_archive_that_was_built_again_here_is_refused_and_told_which_is_which(shop: World) -> None:
    shop.verify()
    other = rebuilt(shop.folder / "dist", shop.release)
    with pytest.raises(Refused, match=r"was built again: dist/.* has other bytes") as caught:
        shop.promoted()
    assert caught.value.details[0].startswith(f"{shop.release.manifest.digest}: verified in staging")
    assert caught.value.details[1:] == (f"{other}: dist/{shop.release.path.name}",)


@pytest.mark.parametrize("place", ["the bucket of production", "h1 of production"])
def test_production_must_not_hold_another_archive_by_that_name(shop: World, place: str) -> None:
    shop.verify()
    other = "e" * 64
    if place.startswith("h1"):
        shop.on_hosts_of("production", other)
    else:
        key = f"turnout/shop/production/releases/{shop.release.manifest.id}"
        shop.production.store.put(f"{key}.tar.zst", b"other")
        shop.production.store.put(f"{key}.json", json.dumps({"size": 5, "sha256": other}).encode())
    with pytest.raises(Refused, match=f"was built again: {place} has other bytes") as caught:
        shop.promoted()
    assert caught.value.details[1:] == (f"{other}: {place}",)


def test_an_archive_that_is_nowhere_any_more_is_told_with_every_place_that_was_asked(shop: World) -> None:
    shop.verify()
    shop.nowhere_but_on_hosts()
    Path(shop.staging.paths.releases, shop.release.path.name).unlink()
    with pytest.raises(BadInput, match="is nowhere to be had") as caught:
        shop.promoted()
    assert len(caught.value.details) == 3


def signed_world(folder: Path) -> World:
    keys = Keys(folder)
    keys.person("ci", 'namespaces="turnout"')
    made = world(folder, artifacts={"signers": str(folder / "signers")})
    made.verify()
    return made


def test_production_may_ask_for_a_signature_that_staging_does_not(tmp_path: Path) -> None:
    shop = signed_world(tmp_path)
    with pytest.raises(Refused, match="is not signed"):
        shop.promoted()
    sign_release(shop.release, tmp_path / "ci")
    assert shop.promoted().signature
    assert "is signed by ci" in shop.said


def test_a_signature_is_looked_for_where_there_is_one(tmp_path: Path) -> None:
    shop = signed_world(tmp_path)
    shop.staging.shelf.push(sign_release(shop.release, tmp_path / "ci"))
    (tmp_path / "dist" / f"{shop.release.manifest.id}.json.sig").unlink()
    assert shop.promoted().path.parent == tmp_path / "arrived"
    shutil.rmtree(tmp_path / "bucket" / "turnout" / "shop" / "staging" / "releases")
    with pytest.raises(Refused, match="is not signed"):
        shop.promoted()


def test_an_environment_is_promoted_to_another_one_of_the_same_application(shop: World) -> None:
    _refuse_strangers(shop.staging, shop.production)
    with pytest.raises(BadInput, match="staging cannot be promoted to itself"):
        _refuse_strangers(shop.staging, shop.staging)
    stock = Environment.model_validate({"app": "stock", "hosts": {"h1": {}}})
    with pytest.raises(BadInput, match="staging serves another application: shop, not stock"):
        _refuse_strangers(shop.staging, replace(shop.production, environment=stock))


def test_a_release_is_found_by_its_id_in_dist_and_else_in_the_bucket(shop: World, tmp_path: Path) -> None:
    identity = shop.release.manifest.id
    shop.staging.shelf.push(shop.release)
    assert shop.staging.open_release(identity, tmp_path).path == shop.release.path
    shop.nowhere_but_on_hosts()
    found = shop.staging.open_release(identity, tmp_path)
    assert (found.path, found.manifest) == (tmp_path / f"{identity}.tar.zst", shop.release.manifest)
    with pytest.raises(BadInput, match=f"there is no release {identity} in dist/ or in the bucket of production"):
        shop.production.open_release(identity, tmp_path)
    with pytest.raises(BadInput, match="there is no release in"):
        shop.staging.open_release(None, tmp_path)


def test_an_environment_that_asks_for_signatures_opens_nothing_without_one(tmp_path: Path) -> None:
    shop = signed_world(tmp_path)
    with pytest.raises(Refused, match="is not signed"):
        shop.production.open_release(shop.release.manifest.id, tmp_path)
    sign_release(shop.release, tmp_path / "ci")
    assert shop.production.open_release(None, tmp_path).manifest == shop.release.manifest


def test_a_deploy_that_finds_nothing_to_do_notes_what_an_earlier_one_could_not(shop: World) -> None:
    release = shop.release.manifest
    plan = Plan("deploy", "deploy", release.id, (), ())
    target = Target("r2", "staging", "eve", "", plan, shop.staging.environment, shop.staging.paths, {}, "", {})
    shop.staging.make_up(target)
    assert shop.staging.verified.of(release.id) == ()  # not all hosts were looked at
    shop.staging.make_up(replace(target, before=shop.staging.observe()))
    [record] = shop.staging.verified.of(release.id)
    assert (record.digest, record.by, record.at) == (release.digest, "bob@ci", "2026-11-21T09:59:00+00:00")
    assert shop.promoted().manifest == release


@pytest.mark.parametrize("place", ["dist", "hosts", "bucket"])
def test_a_run_goes_on_with_the_archive_that_it_began_with_and_no_other_of_its_name(
    shop: World, tmp_path: Path, place: str
) -> None:
    session, manifest = shop.staging, shop.release.manifest
    began = plan_deploy([serving("h1", release="0.9")], session.environment, manifest.id, "conf", TEMPLATES)
    plan, folder = replace(began, digest=manifest.digest), tmp_path / "found"
    folder.mkdir()
    if place == "bucket":
        session.shelf.push(shop.release)
        shutil.rmtree(tmp_path / "staging")
    if place != "dist":
        built_again = shop.release.path.read_bytes() + zstandard.compress(b"")
        other = replace(manifest, digest=hashlib.sha256(built_again).hexdigest(), size=len(built_again))
        shop.release.path.write_bytes(built_again)
        manifest_path(shop.release.path).write_text(other.to_json())
    assert session.release_of(plan, folder).manifest == manifest
    if place == "hosts":
        shutil.rmtree(tmp_path / "staging")
        with pytest.raises(BadInput, match="is nowhere to be had") as no:
            session.release_of(plan, folder)
        assert any(f"the run began with {manifest.digest}" in line for line in no.value.details)
        assert session.release_of(replace(plan, digest=""), folder).manifest.digest == other.digest


def nothing(name: str, work: Callable[[Run], None] = lambda run: None) -> OperatorStep:
    return OperatorStep(name, name, (), work)


def fails(run: Run) -> None:
    raise TurnoutError("it broke")


@pytest.mark.parametrize(
    ("verb", "steps", "closing", "noted"),
    [
        ("deploy", [nothing("prove")], [nothing("record")], True),
        ("catch-up", [nothing("prove")], [nothing("record")], True),
        ("rollback", [nothing("prove")], [nothing("record")], False),
        ("deploy", [nothing("prove")], [], False),
        ("deploy", [nothing("gate", fails)], [nothing("record")], False),
        ("deploy", [nothing("prove")], [nothing("record", fails)], False),
    ],
    ids=["deploy", "catch-up", "rollback", "held canary", "failed gate", "failed end"],
)
def test_a_release_is_verified_when_its_deploy_has_come_to_its_end_and_only_then(
    shop: World, verb: str, steps: list[Step], closing: list[Step], noted: bool
) -> None:
    session, manifest = shop.staging, shop.release.manifest
    before = session.observe()
    plan = plan_deploy([serving("h1", release="0.9")], session.environment, manifest.id, "conf", TEMPLATES)
    target = Target(
        "r7",
        "staging",
        "ann@laptop",
        "",
        replace(plan, verb=verb),
        session.environment,
        session.paths,
        {},
        "",
        before,
        manifest=manifest,
    )
    run = Run("r7", verb, session.fleet, session.paths, {}, session.reporter.emit, LocalHost)
    with suppress(TurnoutError):
        session.carry_out(steps, closing, run, target)
    assert [record.run for record in session.verified.of(manifest.id)] == (["r7"] if noted else [])
