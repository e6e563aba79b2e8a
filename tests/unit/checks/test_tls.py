"""The protocols that are spoken."""

from __future__ import annotations

import pytest

from fabfile.checks.tls import judge
from tests.unit.checks.seen import certified, evidence, facing, of


@pytest.mark.parametrize(
    ("protocols", "verdict"),
    [
        (("tls1_2", "tls1_3"), "ok"),
        (("tls1_3",), "ok"),
        (("tls1", "tls1_1", "tls1_2", "tls1_3"), "warning"),
        (("tls1_1", "tls1_2"), "warning"),
        (("tls1", "tls1_1"), "critical"),
        ((), "critical"),
    ],
)
def test_old_ones_are_too_many_and_new_ones_must_be_there(protocols: tuple[str, ...], verdict: str) -> None:
    found = of(judge, facing(tls=certified(60, protocols=protocols)))
    assert found.verdict == verdict
    assert (found.remedy is not None) == (verdict != "ok")


def test_a_site_without_tls_speaks_none() -> None:
    assert of(judge, evidence()).verdict == "not applicable"
