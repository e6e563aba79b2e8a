"""A server's directory exchanged with a copy of it, on real directories: repeats, breaks, and what is left beside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fabfile.commands import server_copy
from fabfile.errors import RemoteError
from fabfile.model.cluster import Beside, Place
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost

RUN, NEXT = "20250131T030000-0a1b", "20250201T030000-0a1b"
SUDO = """#!/bin/bash
while :; do case "$1" in -n) shift ;; -u) shift 2 ;; --) shift; break ;; -l) exit 0 ;; *) break ;; esac; done
exec "$@"
"""
TOOLS = {"sudo": SUDO, "psql": "#!/bin/bash\n", "systemctl": '#!/bin/bash\necho "$1" >> "$STARTS"\n'}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A live server's directory that says `live`, and beside it a copy that says `then`; commands do as little."""
    (tmp_path / "bin").mkdir()
    for name, text in TOOLS.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    (tmp_path / "postgresql").mkdir()
    found = Place(15, "main", 5432, str(tmp_path / "postgresql" / "ma in"))
    for directory, text in ((found.data_directory, "live"), (found.beside("restore", RUN), "then")):
        Path(directory).mkdir()
        Path(directory, "rows").write_text(text)
    return found


def run(script: Script) -> str:
    return LocalHost("db").run(script).stdout


def rows(place: Place) -> dict[str, str]:
    """What every server's directory says, by what is behind the live one's name."""
    folders = sorted(Path(place.data_directory).parent.iterdir())
    return {folder.name.removeprefix("ma in"): (folder / "rows").read_text() for folder in folders}


def exchange(place: Place) -> Script:
    return server_copy.exchange(place, place.beside("restore", RUN), place.beside("before", RUN))


def back(place: Place) -> Script:
    return server_copy.exchange_back(place, place.beside("restore", RUN), place.beside("before", RUN))


def starts(tmp_path: Path) -> list[str]:
    return (tmp_path / "starts").read_text().split()


def test_the_copy_takes_the_servers_place_which_is_kept_and_twice_is_the_same_as_once(
    place: Place, tmp_path: Path
) -> None:
    for _ in range(2):
        began, ended = run(exchange(place)).split()
        assert float(ended) >= float(began)
        assert rows(place) == {"": "then", f".before-{RUN}": "live"}
    assert starts(tmp_path) == ["stop", "start", "start"]


def test_an_exchange_is_taken_back_wherever_it_was(place: Place, tmp_path: Path) -> None:
    before = rows(place)
    live, copy, kept = place.data_directory, place.beside("restore", RUN), place.beside("before", RUN)
    run(back(place))
    assert rows(place) == before
    Path(live).rename(kept)
    run(back(place))
    assert rows(place) == before
    run(exchange(place))
    run(back(place))
    assert rows(place) == before
    run(exchange(place))
    Path(live).rename(copy)  # half of taking it back
    run(back(place))
    assert rows(place) == before
    assert starts(tmp_path)[-1] == "start"


def test_an_exchange_that_broke_off_between_its_renames_goes_on(place: Place) -> None:
    Path(place.data_directory).rename(place.beside("before", RUN))
    run(exchange(place))
    assert rows(place) == {"": "then", f".before-{RUN}": "live"}


def test_what_an_exchange_kept_comes_back_by_another_one(place: Place) -> None:
    run(exchange(place))
    kept = place.beside("before", RUN)
    run(server_copy.exchange(place, kept, place.beside("before", NEXT)))
    assert rows(place) == {"": "live", f".before-{NEXT}": "then"}
    run(server_copy.exchange_back(place, kept, place.beside("before", NEXT)))
    assert rows(place) == {"": "then", f".before-{RUN}": "live"}


def test_without_a_copy_the_server_is_not_stopped(place: Place, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="is not there"):
        run(server_copy.exchange(place, place.beside("restore", NEXT), place.beside("before", NEXT)))
    assert not (tmp_path / "starts").exists()


def test_a_former_server_loses_its_name_before_its_files_and_a_broken_removal_is_ended_by_the_next(
    place: Place,
) -> None:
    run(exchange(place))
    listed = server_copy.parse_beside(run(server_copy.list_beside(place)))
    assert [(one.purpose, one.run, one.size > 0) for one in listed] == [("before", RUN, True)]
    Path(place.beside("before", RUN)).rename(place.beside("dropped", RUN))  # and the power goes
    listed = server_copy.parse_beside(run(server_copy.list_beside(place)))
    assert [(one.purpose, one.run) for one in listed] == [("dropped", RUN)]
    run(server_copy.drop_kept(place, RUN))
    run(server_copy.drop_kept(place, RUN))
    assert rows(place) == {"": "then"}
    assert run(server_copy.list_beside(place)) == ""


def test_what_somebody_else_put_beside_is_left_out() -> None:
    text = f"old 5\nbefore-x 6\nrestore-{NEXT} 7\nverify-{RUN} 8\nbefore-{RUN}.log 9\n"
    assert server_copy.parse_beside(text) == (Beside("verify", RUN, 8), Beside("restore", NEXT, 7))


def test_a_copy_is_removed_with_its_log_and_the_live_server_stays(place: Place) -> None:
    copy = place.beside("restore", RUN)
    Path(f"{copy}.log").write_text("started")
    for _ in range(2):
        run(server_copy.drop_beside(place, copy))
        assert rows(place) == {"": "live"}
