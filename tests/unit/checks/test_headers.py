"""Which security headers an answer of the site must have."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Evidence
from fabfile.checks.headers import judge, missing
from fabfile.model.host_facts import Answer
from tests.unit.checks.seen import certified, environment, evidence, of, well

PAGE = {
    "content-type": "text/html; charset=utf-8",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


def answering(status: int, headers: dict[str, str], **sections: object) -> Evidence:
    named = environment(**{"site": {"server_name": "shop.example"}, **sections})
    facts = well("h1", answers=(Answer("/", status, headers),), tls=certified(60))
    return evidence(environment=named, hosts={"h1": facts})


@pytest.mark.parametrize("lacking", ["x-content-type-options", "content-security-policy", "referrer-policy"])
def test_each_of_them_is_missed_on_a_page(lacking: str) -> None:
    headers = {name: value for name, value in PAGE.items() if name != lacking}
    assert lacking in missing(headers, secure=False)
    assert missing(PAGE, secure=False) == []


def test_frames_are_forbidden_by_either_of_two() -> None:
    policy = {**PAGE, "content-security-policy": "default-src 'self'"}
    assert missing(policy, secure=False) == ["x-frame-options"]
    assert missing({**policy, "x-frame-options": "DENY"}, secure=False) == []


def test_hsts_is_wanted_with_tls_alone() -> None:
    assert missing(PAGE, secure=True) == ["strict-transport-security"]
    assert missing({**PAGE, "strict-transport-security": "max-age=31536000"}, secure=True) == []


def test_what_only_concerns_pages_is_not_asked_of_other_answers() -> None:
    data = {"content-type": "application/json", "x-content-type-options": "nosniff"}
    assert missing(data, secure=False) == []


def test_what_lacks_is_told_with_the_lines_that_add_it() -> None:
    found = of(judge, answering(200, PAGE))
    assert (found.verdict, found.seen) == ("warning", "GET / is answered without strict-transport-security")
    assert found.remedy
    assert 'add_header Strict-Transport-Security "max-age=31536000" always;' in found.remedy.note
    assert found.remedy.note.endswith("Then inv deploy")


@pytest.mark.parametrize("status", [0, 502, 503])
def test_an_answer_of_nginx_in_its_need_says_nothing(status: int) -> None:
    assert of(judge, answering(status, {})).verdict == "could not look"


def test_a_site_that_no_browser_comes_to_by_name_needs_none() -> None:
    assert of(judge, answering(200, {}, site={"server_name": "_"})).verdict == "not applicable"
