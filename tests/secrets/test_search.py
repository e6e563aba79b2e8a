"""The search finds a value however it is written; what it does not know it would miss."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tests.secrets import search
from tests.secrets.planted import Planted, compressed, made_up
from tests.secrets.watch import watching

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=12, max_size=60)


@given(VALUES, st.binary(max_size=5), st.binary(max_size=5))
def test_a_value_is_found_in_whatever_form_and_anywhere_in_base64(value: str, before: bytes, after: bytes) -> None:
    data = value.encode()
    written = {
        "plain": before + data + after,
        "json": json.dumps({"a": f"x{value}y"}).encode(),
        "url": f"https://h/?a={quote(value, safe='')}&b".encode(),
        "path": f"https://h/{quote(value)}/b".encode(),
        "base64": base64.b64encode(before + data + after),
        "python": repr(value).encode(),
        "compressed": compressed(before + data + after),
    }
    assert data not in written["compressed"]
    forms = Planted({"A": value}, {}).forms()
    assert {name for name, text in written.items() if search.in_bytes(text, forms) != {"A"}} == set()


@given(VALUES, st.binary(max_size=200))
def test_another_text_is_not_taken_for_it(value: str, other: bytes) -> None:
    forms = Planted({"A": f"{value}-and-more-of-it"}, {}).forms()
    assert search.in_bytes(other, forms) == set()


def test_processes_and_passing_files_are_seen_while_they_are_there(tmp_path: Path) -> None:
    value = made_up()
    with watching(tmp_path) as watch:
        (tmp_path / "passing").write_text(value)
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", value], check=True)
        (tmp_path / "passing").unlink()
        time.sleep(0.1)
    forms = Planted({"A": value}, {}).forms()
    found = {where.split()[1] for data, where in watch.seen.items() if search.in_bytes(data, forms)}
    assert found == {"arguments", "temporary"}


def test_folders_that_come_and_go_do_not_end_the_watch(tmp_path: Path) -> None:
    """A watch that died would find nothing more, as if there were nothing."""
    value = made_up()
    with watching(tmp_path) as watch:
        for number in range(300):
            inner = tmp_path / str(number) / "inner"
            inner.mkdir(parents=True)
            inner.rmdir()
            inner.parent.rmdir()
        (tmp_path / "passing").write_text(value)
        time.sleep(0.3)
    assert any(search.in_bytes(data, Planted({"A": value}, {}).forms()) for data in watch.seen)


def test_only_the_file_of_a_slot_may_hold_them() -> None:
    assert search.private("600 deploy /var/app/small/slots/blue/.turnout/env")
    for place in (
        "640 deploy /var/app/small/slots/blue/.turnout/env",
        "600 root /var/app/small/slots/blue/.turnout/env",
        "600 deploy /var/app/small/slots/blue/.turnout/ecosystem.json",
        "600 deploy /tmp/.turnout/env",
        "- - journal",
    ):
        assert not search.private(place)
