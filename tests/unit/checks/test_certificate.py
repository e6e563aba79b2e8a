"""The certificate that is shown: its time, as a part of its life, its names, and what renews it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fabfile.checks.certificate import is_for, judge
from fabfile.checks.evidence import Evidence
from tests.unit.checks.seen import NOW, certified, environment, evidence, of, well

NAMED = environment(site={"server_name": "shop.example"})


def showing(days: float, **change: Any) -> Evidence:
    return evidence(environment=NAMED, hosts={"h1": well("h1", tls=certified(days, **change))})


@pytest.mark.parametrize(
    ("days", "life", "verdict"),
    [
        (60, 90, "ok"),
        (18.1, 90, "ok"),
        (17.9, 90, "warning"),
        (6.1, 90, "warning"),
        (5.9, 90, "critical"),
        (5.9, 45, "warning"),
        (1.3, 6, "ok"),
        (0, 90, "critical"),
        (-1, 90, "critical"),
        (91, 90, "critical"),
    ],
)
def test_what_is_left_counts_as_a_part_of_its_life(days: float, life: float, verdict: str) -> None:
    assert of(judge, showing(days, life=life)).verdict == verdict


def test_a_certificate_for_another_name_is_critical() -> None:
    found = of(judge, showing(60, names=("www.shop.example",)))
    assert found.verdict == "critical"
    assert found.seen.endswith("it is not for shop.example")


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (("shop.example",), "shop.example", True),
        (("SHOP.example",), "shop.EXAMPLE", True),
        (("*.example",), "shop.example", True),
        (("*.shop.example",), "a.b.shop.example", False),
        (("*.shop.example",), "shop.example", False),
        (("*.shop.example",), "*.shop.example", True),
        (("shop.example",), ".shop.example", True),
        ((), "shop.example", False),
        (("localhost",), "localhost", True),
    ],
)
def test_names_are_compared_as_browsers_do(names: tuple[str, ...], wanted: str, expected: bool) -> None:
    assert is_for(names, wanted) is expected


def test_a_file_that_is_newer_only_has_to_be_read() -> None:
    newer = {"stored_until": NOW + timedelta(days=80)}
    found = of(judge, showing(-3, **newer))
    assert found.remedy
    assert found.remedy.command == "systemctl reload nginx"
    assert "newer" in found.remedy.note


def test_certbots_certificates_are_renewed_by_certbot() -> None:
    found = of(judge, showing(1, path="/etc/letsencrypt/live/shop.example/fullchain.pem"))
    assert found.remedy
    assert found.remedy.command == "certbot renew --cert-name shop.example && systemctl reload nginx"


def test_any_other_is_put_into_its_file_by_hand() -> None:
    found = of(judge, showing(1, stored_until=NOW + timedelta(days=1)))
    assert found.remedy
    assert found.remedy.note == "put a new certificate into /etc/ssl/shop.crt, then"


def test_without_tls_a_site_with_a_name_is_warned_of_and_one_without_is_not() -> None:
    assert of(judge, evidence(environment=NAMED)).verdict == "warning"
    assert of(judge, evidence(environment=environment(protected=True))).verdict == "warning"
    assert of(judge, evidence()).verdict == "not applicable"


def test_a_listener_that_shows_nothing_is_told() -> None:
    silent = replace(certified(60), certificate=None)
    assert of(judge, evidence(hosts={"h1": well("h1", tls=silent)})).verdict == "could not look"
