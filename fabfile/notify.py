"""News to the outside, in a process of their own: messages through Apprise, and the ping of a dead man's switch.

Neither ever hangs or raises. Time-outs of sockets do not suffice for that: names are looked up without any, slow
answers dribble in, and threads that hang keep Python from ending; a process can be killed. What libraries write about
addresses, which are secrets, nobody sees.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from fabfile.config.sources import Channel

SECONDS = 60.0
"""How long everything may take: most of it is for a machine so loaded that a process starts slowly."""
PING_SECONDS = 10.0
"""How long a connection may be silent."""
PROJECT = Path(__file__).parent.parent


def not_usable(channels: Sequence[Channel]) -> list[str]:
    """A sentence for each channel whose value is no address that Apprise knows; nothing is sent."""
    errands = [{"kind": "look", "url": channel.url.get_secret_value()} for channel in channels]
    failures = _carry_out(errands, SECONDS)
    return [f"{channel.source}: {why}" for channel, why in zip(channels, failures, strict=True) if why]


def tell(channels: Sequence[Channel], title: str, text: str, seconds: float = SECONDS) -> list[str]:
    """Send a message everywhere at once, and return a sentence for each channel that did not take it in time."""
    message = {"kind": "message", "title": title, "text": text}
    failures = _carry_out([{**message, "url": channel.url.get_secret_value()} for channel in channels], seconds)
    return [f"{at.source} was not told: {why}" for at, why in zip(channels, failures, strict=True) if why]


def ping(url: SecretStr, well: bool, seconds: float = SECONDS) -> str:
    """Get the URL, or after a failure the one with /fail behind it; why that did not work, or nothing."""
    target = url.get_secret_value()
    if not well:
        parts = urlsplit(target)
        target = urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
    [failure] = _carry_out([{"kind": "ping", "url": target}], seconds)
    return failure


def _carry_out(errands: Sequence[Mapping[str, str]], seconds: float) -> list[str]:
    """Why each errand failed, or nothing; all at once, and none for longer than this."""
    if not errands:
        return []
    reason = "internal error"
    try:
        words = [sys.executable, "-m", "fabfile.notify"]
        given = json.dumps(errands).encode()
        out = subprocess.run(words, cwd=PROJECT, input=given, capture_output=True, timeout=seconds).stdout
    except subprocess.TimeoutExpired as error:
        out, reason = error.stdout or b"", f"no answer within {seconds:g} s"
    except OSError as error:
        out, reason = b"", f"no process could be started: {error.strerror}"
    answers = {}
    for line in out.splitlines():
        with contextlib.suppress(ValueError, TypeError):  # a library may print, too
            place, failure = json.loads(line)
            answers[place] = str(failure)
    return [answers.get(place, reason) for place in range(len(errands))]


def _main() -> None:
    """Carry out what stands on standard input, each in a thread, and write how each ended as soon as it has."""
    lock = threading.Lock()

    def work(place: int, errand: Mapping[str, str]) -> None:
        failure = _get(errand["url"]) if errand["kind"] == "ping" else _send(errand)
        with lock:
            sys.stdout.write(json.dumps([place, failure]) + "\n")
            sys.stdout.flush()

    threads = [threading.Thread(target=work, args=found) for found in enumerate(json.load(sys.stdin))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(errand: Mapping[str, str]) -> str:
    import apprise

    found = apprise.Apprise()
    if not found.add(errand["url"]):
        return "its value is no address that Apprise knows"
    if errand["kind"] == "look" or found.notify(title=errand["title"], body=errand["text"]):
        return ""
    return "the message was not taken"


def _get(url: str) -> str:
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=PING_SECONDS):  # noqa: S310 - its scheme was looked at when it was read
            return ""
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except (OSError, http.client.HTTPException, ValueError):
        return "it could not be reached"  # what these say may have the address in it


if __name__ == "__main__":
    _main()
