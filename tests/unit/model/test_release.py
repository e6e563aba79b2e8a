"""Manifests: read back as written, and refused with the key that is wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fabfile.errors import BadInput
from fabfile.model.release import Manifest, ReleaseFile, ReleaseLink, release_id, unsafe_target

FILES = (ReleaseFile("lib/ä.js", 0o644, 3, "a" * 64), ReleaseFile("server.js", 0o755, 4, "b" * 64))
LINKS = (ReleaseLink("node_modules/.bin/x", "../x/cli.js"),)
MANIFEST = Manifest(
    format=1,
    id=release_id("1.0.0", FILES, LINKS),
    name="@team/shop",
    version="1.0.0",
    digest="c" * 64,
    size=10,
    unpacked=7,
    commit="d" * 40,
    dirty=True,
    builder="team@ci",
    built_at="2026-01-01T00:00:00Z",
    files=FILES,
    links=LINKS,
)


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(MANIFEST.to_json()), **changes})


def entry(**changes: Any) -> list[Any]:
    first, second = json.loads(MANIFEST.to_json())["files"]
    return [first, {**second, **changes}]


def test_a_manifest_reads_back_as_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "dist/x.json: Expecting"),
        ("[]", "format: expected 1"),
        ("[" * 100_000, "dist/x.json: "),
        (changed(format=2), "format: expected 1"),
        (changed(colour="red"), "colour: is no key"),
        (changed(id="1.0.0-0000000000"), "does not belong to these files"),
        (changed(version="2.0.0"), "does not belong to these files"),
        (changed(digest="C" * 64), "digest: expected a SHA-256"),
        (changed(size=-1), "size: expected a number of bytes"),
        (changed(size=True), "size: expected a number of bytes"),
        (changed(unpacked=8), "unpacked: is not the sum"),
        (changed(dirty="no"), "dirty: expected true or false"),
        (changed(builder="a\nb"), "builder: expected a line of text"),
        (changed(commit=5), "commit: expected a line of text"),
        (changed(files={}), "files: expected a list"),
        (changed(files=[5]), r"files\[0\]: expected an object"),
        (changed(files=entry(mode="0777")), r"files\[1\]\.mode: expected 0644 or 0755"),
        (changed(files=entry(path="../x")), r"files\[1\]\.path: '\.\./x' climbs"),
        (changed(files=entry(path=5)), r"files\[1\]\.path: 5 is no path"),
        (changed(files=entry(path="lib/ä.js")), "lib/ä.js is there twice"),
        (changed(files=entry(path="lib/ä.js/x")), "passes through lib/ä.js"),
        (changed(files=entry(path="node_modules/.bin/x/y")), "passes through node_modules/.bin/x"),
        (changed(links=[{"path": "a", "target": "../b"}]), r"links\[0\]: a points out of the release"),
        (changed(links=[{"path": "a", "target": None}]), r"links\[0\]: a has no target"),
        (changed(links=[{"path": "a"}]), r"links\[0\]\.target: is missing"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_key(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        Manifest.from_json(text, "dist/x.json")


def test_the_id_depends_on_every_path_mode_content_and_target_and_not_on_their_order() -> None:
    identity = release_id("1.0.0", FILES, LINKS)
    assert identity == release_id("1.0.0", reversed(FILES), LINKS)
    others = [
        release_id("1.0.1", FILES, LINKS),
        release_id("1.0.0", FILES[:1], LINKS),
        release_id("1.0.0", FILES, ()),
        release_id("1.0.0", FILES, [ReleaseLink(LINKS[0].path, "../y")]),
        release_id("1.0.0", [FILES[0], ReleaseFile("server.js", 0o644, 4, "b" * 64)], LINKS),
        release_id("1.0.0", [FILES[0], ReleaseFile("server.js", 0o755, 4, "c" * 64)], LINKS),
    ]
    assert len({identity, *others}) == 7


@pytest.mark.parametrize("version", ["", "../1", "1 0", "v" * 90, "-1", "1\n"])
def test_a_version_that_cannot_be_a_file_name_is_refused(version: str) -> None:
    if version:
        with pytest.raises(BadInput, match="cannot be part of a release id"):
            release_id(version, FILES, LINKS)
    else:
        with pytest.raises(BadInput):
            release_id(version, FILES, LINKS)


@pytest.mark.parametrize("target", ["x", "../x", "../../x", "./x", "..", "x/y/z"])
def test_a_target_inside_the_release_is_accepted(target: str) -> None:
    assert unsafe_target("a/b/link", target) is None


@pytest.mark.parametrize("target", ["", "/x", "../../../x", "x/..", "x/../../y", "../x/../..", "./../../../x"])
def test_a_target_that_may_lead_out_is_refused(target: str) -> None:
    assert unsafe_target("a/b/link", target)


def test_sha256sum_reads_the_checksums(tmp_path: Path) -> None:
    (tmp_path / "-x  y*").write_text("content")
    digest = subprocess.run(["sha256sum"], input=b"content", capture_output=True, check=True).stdout.decode()[:64]
    text = Manifest(**{**vars(MANIFEST), "files": (ReleaseFile("-x  y*", 0o644, 7, digest),)}).checksums()
    done = subprocess.run(["sha256sum", "--strict", "-c"], input=text.encode(), cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
