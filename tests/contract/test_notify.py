"""Messages and pings over a real connection: delivered, or told why not, in time and without the address."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import SecretStr

from fabfile.config.sources import Channel
from fabfile.notify import not_usable, ping, tell
from tests.listener import listening


def channel(url: str, source: str = "env:TEAM") -> Channel:
    return Channel(source, SecretStr(url))


def test_a_message_reaches_every_channel_with_its_title_and_text() -> None:
    with listening() as one, listening() as other:
        both = [channel(heard.url("/hook", "json")) for heard in (one, other)]
        assert tell(both, "shop in eu: backup failed", "a fact\nand more") == []
    for heard in (one, other):
        [body] = map(json.loads, heard.bodies)
        assert (body["title"], body["message"]) == ("shop in eu: backup failed", "a fact\nand more")


def test_nobody_to_tell_is_no_failure() -> None:
    assert tell([], "title", "text") == []
    assert not_usable([]) == []


@pytest.mark.slow
def test_one_channel_that_refuses_one_unknown_and_one_unreachable_keep_no_other_from_being_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with listening() as well, listening(status=500) as refusing:
        channels = [
            channel(refusing.url("/hunter2", "json"), "env:REFUSING"),
            channel("hunter2-is-no-url", "env:UNKNOWN"),
            channel("json://127.0.0.1:1/hunter2", "env:UNREACHABLE"),
            channel(well.url("/hook", "json")),
        ]
        failures = tell(channels, "title", "text")
        assert [failure.split()[0] for failure in failures] == ["env:REFUSING", "env:UNKNOWN", "env:UNREACHABLE"]
        assert not_usable(channels) == ["env:UNKNOWN: its value is no address that Apprise knows"]
        assert len(well.requests) == 1
    written = capfd.readouterr()
    assert "hunter2" not in " ".join(failures) + written.out + written.err


@pytest.mark.slow
def test_one_that_never_answers_is_left_after_its_time() -> None:
    with listening(silent=True) as silent:
        began = time.monotonic()
        never = channel(silent.url("/", "json") + "?rto=60")
        assert tell([never], "title", "text", seconds=4) == ["env:TEAM was not told: no answer within 4 s"]
        assert time.monotonic() - began < 40


@pytest.mark.parametrize(
    ("path", "well", "got"),
    [
        ("/u-u-i-d", True, "/u-u-i-d"),
        ("/u-u-i-d", False, "/u-u-i-d/fail"),
        ("/u-u-i-d/", False, "/u-u-i-d/fail"),
        ("/u?create=1", False, "/u/fail?create=1"),
    ],
)
def test_a_ping_gets_its_url_and_after_a_failure_the_one_for_that(path: str, well: bool, got: str) -> None:
    with listening() as heard:
        assert ping(SecretStr(heard.url(path)), well) == ""
    assert heard.requests == [f"GET {got}"]


def test_a_ping_that_does_not_get_through_says_why_without_the_url() -> None:
    with listening(status=404) as heard:
        assert ping(SecretStr(heard.url("/hunter2")), True) == "it answered 404"
    assert ping(SecretStr(heard.url("/hunter2")), True) == "it could not be reached"
