"""What staging has verified goes to production as the same bytes, and nothing else does; one host is each of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.project import Done, Project
from tests.e2e.shelf import killed_at

pytestmark = pytest.mark.lab


class Desk:
    """A project whose environments are `staging` on the lab's first host and `production` on its second."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.hosts = dict(zip(("staging", "production"), sorted(project.lab.hosts), strict=True))
        usual = yaml.safe_load((project.folder / "hosts" / "test.yml").read_text())
        self._usual = {**usual, "artifacts": {"push": True}}
        self.configure("staging")
        self.configure("production", protected=True)

    def configure(self, name: str, **changes: Any) -> None:
        hosts = {self.hosts[name]: {}, "db": {"roles": ["db"]}}
        text = yaml.safe_dump({**self._usual, "hosts": hosts, **changes})
        (self.project.folder / "hosts" / f"{name}.yml").write_text(text)

    def build(self, version: str, **behaviour: Any) -> str:
        """Build for staging."""
        return self.project.build(version, **behaviour)

    def deploy(self, release: str, *words: str, expect: int = 0) -> Done:
        return self.project.inv("deploy", f"--release={release}", "--env=staging", *words, expect=expect)

    def promote(self, *words: str, expect: int = 0) -> Done:
        return self.project.inv("promote", "--from=staging", "--env=production", *words, expect=expect)

    def serves(self, name: str) -> str | None:
        """The release that this environment serves."""
        document = self.project.inv("status", f"--env={name}", "--json").document
        [seen] = document.values()
        found: str | None = seen["slots"][seen["live"]]["release"] if seen["live"] else None
        return found

    def digest_on_host(self, name: str, release: str) -> str:
        """The SHA-256 of the archive as it lies on the environment's host."""
        path = f"/var/app/small/releases/{release}.tar.zst"
        return self.project.lab.execute(self.hosts[name], "sha256sum", path).split()[0]

    def history(self, name: str) -> list[dict[str, Any]]:
        document = self.project.inv("status", f"--env={name}", "--json").document
        found: list[dict[str, Any]] = document[self.hosts[name]]["history"]
        return found


@pytest.fixture(scope="module")
def desk(project: Project) -> Iterator[Desk]:
    project.environment["DEPLOYMENT_ENV"] = "staging"
    yield Desk(project)
    for name in ("staging", "production"):
        (project.folder / "hosts" / f"{name}.yml").unlink()
    project.environment["DEPLOYMENT_ENV"] = "test"


@pytest.fixture
def verified(desk: Desk) -> Iterator[str]:
    """A release that staging has verified and production has not seen; its id."""
    release = desk.build("1.0.0")
    desk.deploy(release)
    yield release
    for name in ("staging", "production"):
        desk.configure(name)


def rebuild(dist: Path, release: str) -> str:
    """The same files in other bytes, as another version of zstd makes them; the new SHA-256."""
    archive = dist / f"{release}.tar.zst"
    plain = subprocess.run(["zstd", "-q", "-dc", str(archive)], check=True, capture_output=True).stdout
    words = ["zstd", "-q", "-19", "--check", f"--stream-size={len(plain)}", "-c"]
    data = subprocess.run(words, input=plain, check=True, capture_output=True).stdout
    archive.write_bytes(data)
    manifest = json.loads((dist / f"{release}.json").read_text())
    digest = hashlib.sha256(data).hexdigest()
    assert digest != manifest["digest"]
    manifest |= {"digest": digest, "size": len(data)}
    (dist / f"{release}.json").write_text(json.dumps(manifest))
    return digest


def test_production_gets_the_bytes_that_staging_verified_and_none_is_built(
    desk: Desk, verified: str, dist: Path
) -> None:
    [listed] = [one for one in desk.project.inv("artifacts", "--json").document if one["release"] == verified]
    assert listed["where"] == ["bucket", "dist"]
    assert listed["verified"]["environment"] == "staging"
    shutil.rmtree(dist)  # whoever promotes need not be who built
    shown = desk.promote("--plan", expect=2)
    assert verified in shown.out
    assert desk.serves("production") != verified
    done = desk.promote("--yes", "--json")
    assert done.document["promoted_from"] == "staging"
    assert desk.serves("production") == verified
    assert desk.digest_on_host("production", verified) == desk.digest_on_host("staging", verified) == listed["digest"]
    assert not dist.exists()
    entry = desk.history("production")[-1]
    assert (entry["release"], entry["promoted_from"], entry["verb"]) == (verified, "staging", "deploy")
    assert entry["holder"]
    assert entry["at"]
    assert f"nothing to do: production serves {verified}" in desk.promote("--yes").out


def test_a_promotion_asks_for_its_confirmation_and_keeps_to_productions_hours(desk: Desk, verified: str) -> None:
    desk.configure("production", protected=True)
    assert "wants a confirmation" in desk.promote(expect=3).err
    desk.configure("production", calendar={"freezes": ["1 Jan - 31 Dec"]})
    refused = desk.promote("--yes", expect=5)
    assert "production takes no deploys now: the freeze" in refused.err
    assert desk.serves("production") != verified
    desk.promote("--yes", "--hotfix", "--reason=checkout is down")
    assert desk.history("production")[-1]["hotfix"] == "checkout is down"


def test_what_staging_could_not_verify_is_not_promoted(desk: Desk, verified: str) -> None:
    """A deploy that fails leaves the former release live, which is what may be promoted; a held canary leaves a run."""
    broken = desk.build("1.1.0", crash=True)
    desk.deploy(broken, expect=6)
    assert desk.serves("staging") == verified
    assert verified in desk.promote("--plan", expect=2).out
    desk.configure("staging", gates={"interval": "1s", "on_inconclusive": "hold"})
    held = desk.build("1.2.0")
    desk.deploy(held, "--canary=50", "--step=2s", expect=8)
    refused = desk.promote("--yes", expect=5)
    assert f"staging: deploy of {held}" in refused.err
    assert "is being held as a canary" in refused.err
    desk.project.inv("canary.set", "100", "--env=staging", "--yes")
    desk.promote("--yes")
    assert desk.serves("production") == held


def test_a_release_that_was_never_noted_as_verified_is_refused_until_a_deploy_notes_it(desk: Desk) -> None:
    """The bucket was out of reach when the deploy ended: the deploy stands, and the note comes with the next."""
    release = desk.build("1.3.0")
    endpoint = desk.project.environment["S3_ENDPOINT"]
    desk.project.environment["S3_ENDPOINT"] = "http://127.0.0.1:9"
    try:
        stands = desk.deploy(release)
    finally:
        desk.project.environment["S3_ENDPOINT"] = endpoint
    assert "verified failed, the outcome of deploy stands" in stands.err
    refused = desk.promote("--yes", expect=5)
    assert f"staging serves {release} but has not verified it" in refused.err
    assert f"inv deploy --release={release} --env=staging" in refused.err
    assert "noted that staging verified" in desk.deploy(release).err
    desk.promote("--yes")
    assert desk.serves("production") == release


def test_an_archive_that_was_built_again_is_refused_and_told_which_is_which(
    desk: Desk, verified: str, dist: Path
) -> None:
    before = desk.serves("production")
    digest = desk.digest_on_host("staging", verified)
    other = rebuild(dist, verified)
    refused = desk.promote("--yes", expect=5)
    assert f"{verified} was built again: dist/{verified}.tar.zst has other bytes" in refused.err
    assert f"{digest}: verified in staging" in refused.err
    assert f"{other}: dist/{verified}.tar.zst" in refused.err
    assert desk.serves("production") == before
    (dist / f"{verified}.tar.zst").unlink()
    desk.promote("--yes")
    assert desk.digest_on_host("production", verified) == digest


def test_a_promotion_that_died_is_finished_with_the_bytes_that_it_began_with(
    desk: Desk, verified: str, dist: Path
) -> None:
    digest = desk.digest_on_host("staging", verified)
    killed_at(desk.project, "start", "promote", "--from=staging", "--env=production", "--yes")
    other = rebuild(dist, verified)
    desk.project.inv("deploy.resume", "--env=production", "--yes")
    assert desk.serves("production") == verified
    assert desk.digest_on_host("production", verified) == digest
    assert desk.history("production")[-1]["promoted_from"] == "staging"
    listed = {one["digest"]: one for one in desk.project.inv("artifacts", "--env=production", "--json").document}
    assert listed[other]["verified"] is None


def test_production_takes_only_what_its_builders_have_signed(desk: Desk, verified: str, tmp_path: Path) -> None:
    for name in ("ci", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    public = (tmp_path / "ci.pub").read_text().split()
    signers = tmp_path / "builders"
    signers.write_text(f'ci@example.com namespaces="turnout" {public[0]} {public[1]}\n')
    before = desk.serves("production")
    desk.configure("production", artifacts={"push": True, "signers": str(signers)})
    refused = desk.promote("--yes", expect=5)
    assert f"{verified} is not signed" in refused.err
    assert "ssh-keygen -Y sign -n turnout" in refused.err
    desk.configure("staging", artifacts={"push": True, "signers": str(signers), "key": str(tmp_path / "eve")})
    forged = desk.build("1.4.0")
    wrong = desk.deploy(forged, expect=5)
    assert "signed by a key that builders has not" in wrong.err
    assert (desk.serves("staging"), desk.serves("production")) == (verified, before)
    lies = desk.project.lab.execute(desk.hosts["staging"], "ls", "/var/app/small/releases")
    assert forged not in lies, "nothing was sent"
    desk.configure("staging", artifacts={"push": True, "signers": str(signers), "key": str(tmp_path / "ci")})
    release = desk.build("1.5.0")
    assert f"{release} is signed by ci@example.com" in desk.deploy(release).err
    shutil.rmtree(desk.project.folder / "dist")
    assert f"{release} is signed by ci@example.com" in desk.promote("--yes").err
    assert desk.serves("production") == release


def test_another_machine_deploys_a_release_by_its_id(desk: Desk, dist: Path) -> None:
    release = desk.build("1.6.0")
    shutil.rmtree(dist)
    desk.deploy(release)
    assert desk.serves("staging") == release
