"""Whether two environments share a secret: found by value and by the password in a URL, and told without either."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fabfile.config.load import load
from fabfile.config.separation import Comparison, compare, shared
from fabfile.config.sources import resolve_all
from fabfile.errors import BadInput
from tests.unit.config.test_layers import project

VALUES = st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["x1", "x2", "x3", "postgres://u:x1@h/d"]))
LIVE = "app: shop\nhosts: {h1: {}}\ncustody: {differs_from: staging}\n"
STAGING = "app: shop\nhosts: {s1: {}}\n"


def secret(values: dict[str, str]) -> dict[str, SecretStr]:
    return {name: SecretStr(value) for name, value in values.items()}


@given(VALUES, VALUES, st.binary(min_size=32, max_size=32))
def test_pairs_are_those_of_one_value_or_of_one_password(
    ours: dict[str, str], theirs: dict[str, str], key: bytes
) -> None:
    def parts(value: str) -> set[str]:
        return {value, "x1"} if "x1" in value else {value}

    expected = {(a, b) for a, one in ours.items() for b, other in theirs.items() if parts(one) & parts(other)}
    assert shared(secret(ours), secret(theirs), key) == tuple(sorted(expected))


def compared(folder: Path, live: str, staging: str, environ: dict[str, str]) -> Comparison | None:
    project(folder, live=LIVE + live, staging=STAGING + staging)
    environment = load("live", folder)
    values = resolve_all(environment, folder, environ).application
    return compare("live", environment, values, folder, environ)


def test_the_same_value_is_found_under_another_name(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        "secrets: {A: 'env:A', URL: 'env:URL'}\n",
        "secrets: {B: 'env:B', PASSWORD: 'env:PASSWORD', C: 'env:C'}\n",
        {"A": "hunter2", "B": "hunter2", "URL": "postgres://u:hunter3@h/d", "PASSWORD": "hunter3", "C": "own"},
    )
    assert found == Comparison("staging", (("A", "B"), ("URL", "PASSWORD")), {})
    assert "hunter" not in repr(found)


def test_what_may_be_the_same_is_not_found(tmp_path: Path) -> None:
    live = LIVE.replace("staging}", "staging, common: [A]}") + "secrets: {A: 'env:A', B: 'env:B'}\n"
    project(tmp_path, live=live, staging=STAGING + "secrets: {C: 'env:C'}\n")
    environment = load("live", tmp_path)
    environ = {"A": "x", "B": "y", "C": "x"}
    values = resolve_all(environment, tmp_path, environ).application
    found = compare("live", environment, values, tmp_path, environ)
    assert found is not None
    assert found.shared == ()


def test_one_variable_for_both_and_what_cannot_be_read_tell_nothing_and_are_told(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        "secrets: {A: 'env:KEY'}\n",
        "secrets: {A: 'env:KEY', B: 'env:ABSENT'}\n",
        {"KEY": "hunter2"},
    )
    assert found is not None
    assert found.shared == ()
    assert found.sentence() == (
        "not compared with the secrets of staging: A (env:KEY is one variable for both), "
        "B (the environment variable ABSENT is not set)"
    )


def test_an_environment_that_asks_for_nothing_is_compared_with_none(tmp_path: Path) -> None:
    project(tmp_path, staging=STAGING)
    assert compare("staging", load("staging", tmp_path), {}, tmp_path, {}) is None


@pytest.mark.parametrize(
    ("other", "fact"), [("live", "cannot differ from itself"), ("stagin", "there is no hosts/stagin")]
)
def test_an_environment_that_is_not_another_one_is_refused(tmp_path: Path, other: str, fact: str) -> None:
    project(tmp_path, live=LIVE.replace("staging", other), staging=STAGING)
    with pytest.raises(BadInput, match=fact):
        compare("live", load("live", tmp_path), {}, tmp_path, {})
