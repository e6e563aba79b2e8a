"""The demo's releases are what the story says, whatever becomes of the example application."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path

import pytest

from fabfile.errors import TurnoutError
from fabfile.lab.demo import APPLICATION
from fabfile.lab.variants import BROKEN, SECOND, Edit, make_variant


def differing(left: Path, right: Path) -> set[str]:
    names = {str(path.relative_to(right)) for path in right.rglob("*") if path.is_file()}
    _, mismatch, errors = filecmp.cmpfiles(left, right, names, shallow=False)
    return {*mismatch, *errors}


def test_the_second_release_has_another_version_page_and_asset(tmp_path: Path) -> None:
    made = make_variant(APPLICATION, tmp_path / "v2", SECOND)
    assert differing(APPLICATION, made) == {"package.json", "web/index.html", "web/app.css"}
    assert json.loads((made / "package.json").read_text())["version"] == "2.0.0"
    assert not (made / "node_modules").exists()


def test_the_broken_release_answers_500_when_all_is_well(tmp_path: Path) -> None:
    made = make_variant(APPLICATION, tmp_path / "v3", BROKEN)
    assert differing(APPLICATION, made) == {"package.json", "web/index.html", "web/app.css", "server.js"}
    assert "report.status === 'ok' ? 500" in (made / "server.js").read_text()


def test_an_edit_that_no_longer_fits_is_said(tmp_path: Path) -> None:
    with pytest.raises(TurnoutError, match=r"server\.js: does not hold 'gone'"):
        make_variant(APPLICATION, tmp_path / "v", (Edit("server.js", "gone", "new"),))
