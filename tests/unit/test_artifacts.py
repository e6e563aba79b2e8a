"""`inv build` and `inv artifacts` as commands in a checkout, and how archives from several places become one list."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fabfile.artifacts import Artifact, merged
from fabfile.model.verified import Verified
from fabfile.storage.directory import DirectoryStore
from fabfile.verified import VerifiedReleases
from tests.unit.artifact.test_build import application
from tests.unit.test_environments import Checkout
from tests.unit.test_signing import Keys

pytestmark = pytest.mark.slow

ARTIFACTS = st.builds(
    Artifact,
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from(["a" * 64, "b" * 64]),
    st.just(5),
    st.sampled_from(["", "c0ffee"]),
    st.sampled_from(["", "2026-11-21T10:00:00Z"]),
    st.booleans(),
    st.sampled_from([("dist",), ("bucket",)]),
)


@given(st.lists(ARTIFACTS))
def test_each_archive_is_listed_once_with_all_that_is_known_of_it(found: list[Artifact]) -> None:
    listed = {(one.release, one.digest): one for one in merged(found)}
    assert len(listed) == len(merged(found))
    assert set(listed) == {(one.release, one.digest) for one in found}
    for key, one in listed.items():
        same = [other for other in found if (other.release, other.digest) == key]
        assert set(one.where) == {place for other in same for place in other.where}
        assert one.signed == any(other.signed for other in same)
        assert one.commit == max(other.commit for other in same)
        assert one.built_at == max(other.built_at for other in same)


def test_the_newest_is_listed_first() -> None:
    old, new = (
        Artifact(name, "a" * 64, 1, "", at, False, ("dist",)) for name, at in (("9.0", "2026-01"), ("1.0", "2026-02"))
    )
    assert [one.release for one in merged([old, new])] == ["1.0", "9.0"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    found = Checkout.of(tmp_path)
    application(tmp_path / "app")
    configure(found)
    return found


def configure(checkout: Checkout, **sections: object) -> None:
    build = {"source": "app", "commands": [], **sections.pop("build", {})}  # type: ignore[dict-item]
    settings = {"app": "shop", "hosts": {"h1": {}}, "build": build, **sections}
    (checkout.folder / "hosts" / "live.yml").write_text(yaml.safe_dump(settings))


def build(checkout: Checkout, *words: str, expect: int = 0, **variables: str) -> str:
    done = checkout.inv("build", "--env=live", *words, expect=expect, **variables)
    return done.stdout + done.stderr


def test_a_build_runs_the_projects_checks_first_and_says_which_failed(checkout: Checkout) -> None:
    good = {"command": ["test", "-f", "package.json"]}
    configure(checkout, build={"checks": [good, {"command": ["sh", "-c", "echo no types; exit 2"], "timeout": "5s"}]})
    said = build(checkout, expect=1)
    assert "check test -f package.json" in said
    assert "check `sh -c 'echo no types; exit 2'` ended with status 2, so nothing was built" in said
    assert "  no types" in said
    assert "build.checks.1" in said
    assert not (checkout.folder / "dist").exists()
    configure(checkout, build={"checks": [good]})
    build(checkout)
    assert len(list((checkout.folder / "dist").glob("*.tar.zst"))) == 1


def test_a_failed_build_repeats_no_secret_that_its_commands_inherit(checkout: Checkout) -> None:
    configure(checkout, build={"commands": [["sh", "-c", "env >&2; exit 1"]]}, notify=["env:SHOP_KEY", "env:LIVE_KEY"])
    said = build(checkout, expect=1)
    assert "SHOP_KEY=[hidden]" in said
    assert "LIVE_KEY=[hidden]" in said


def test_a_build_signs_where_the_environment_asks_for_signatures(checkout: Checkout) -> None:
    keys = Keys(checkout.folder / "hosts")
    key = keys.person("ci", 'namespaces="turnout"')
    configure(checkout, artifacts={"signers": "hosts/signers", "key": "hosts/none"})
    assert "releases are to be signed, and there is no key" in build(checkout, expect=3)
    assert not (checkout.folder / "dist").exists()
    document = json.loads(checkout.inv("build", "--env=live", "--json", TURNOUT_SIGNING_KEY=str(key)).stdout)
    assert document["signed"] is True
    assert Path(document["path"]).with_name(f"{document['id']}.json.sig").is_file()
    [listed] = json.loads(checkout.inv("artifacts", "--env=live", "--json").stdout)
    assert (listed["release"], listed["digest"], listed["signed"]) == (document["id"], document["digest"], True)


def test_releases_are_listed_with_what_the_environment_verified(checkout: Checkout) -> None:
    assert checkout.inv("artifacts", "--env=live").stdout == "no releases yet: inv build\n"
    built = json.loads(checkout.inv("build", "--env=live", "--json").stdout)
    assert (built["signed"], built["pushed"]) == (False, False)
    [listed] = json.loads(checkout.inv("artifacts", "--env=live", "--json").stdout)
    assert (listed["where"], listed["verified"]) == (["dist"], None)
    store = DirectoryStore(checkout.folder / "dist")
    record = Verified("shop", "live", built["id"], built["digest"], "ann@ci", "2026-11-21T10:00:00+00:00", "r1")
    VerifiedReleases(store, "verified/shop/live/", "shop", "live").add(record)
    text = checkout.inv("artifacts", "--env=live").stdout
    assert "VERIFIED IN LIVE" in text
    assert "2026-11-21T10:00:00+00:00 by ann@ci" in text
    broken = checkout.folder / "dist" / f"{built['id']}.json"
    os.truncate(broken, 10)
    assert "left out: " in checkout.inv("artifacts", "--env=live").stderr


def test_releases_are_stored_only_where_there_is_a_bucket(checkout: Checkout) -> None:
    assert "hosts/live.yml has no backup section" in build(checkout, "--push", expect=3)
    configure(checkout, artifacts={"push": True})
    assert "artifacts.push: needs a backup section" in build(checkout, expect=3)


def test_a_promotion_needs_two_environments(checkout: Checkout) -> None:
    said = checkout.inv("promote", "--from=live", "--env=live", expect=3).stderr
    assert "live cannot be promoted to itself" in said
    assert (
        "--from: there is no hosts/staging.yml"
        in checkout.inv("promote", "--from=staging", "--env=live", expect=3).stderr
    )
    assert "--from got '--env=live'" in checkout.inv("promote", "--from", "--env=live", expect=3).stderr
