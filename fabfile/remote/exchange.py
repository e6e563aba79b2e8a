"""One program on one SSH channel: what goes in, what comes out, and when it is over."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Iterator

import paramiko

from fabfile.errors import Interrupted, Unreachable
from fabfile.model.script import Script
from fabfile.remote.program import CHUNK, GRACE, Announced, failure

SILENCE = 60.0
"""Seconds after which a channel that takes no input is given up."""


class Exchange:
    """One program on one channel: what goes in, what comes out, and its process group's id."""

    def __init__(
        self, host: str, channel: paramiko.Channel, script: Script, stderr: bytearray, interrupted: threading.Event
    ) -> None:
        self._announced = Announced()
        self._host, self._channel, self._script, self._stderr = host, channel, script, stderr
        self._interrupted = interrupted
        self._feed_error: list[BaseException] = []
        self._channel.settimeout(SILENCE)

    def chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        feeder = threading.Thread(target=self._feed, args=(chunks,), daemon=True)
        feeder.start()
        started = time.monotonic()
        deadline = started + self._script.timeout + GRACE + SILENCE
        tail = b""
        while not self._done():
            if self._interrupted.is_set():
                raise Interrupted(f"{self._host}: interrupted")
            if self._feed_error:
                raise self._feed_error[0]
            if time.monotonic() > deadline or not self._channel.get_transport().is_active():
                raise Unreachable(self._host, "the connection went silent", "look again: inv status")
            data = self._announced.strip(self._read())
            if data:
                tail = (tail + data)[-CHUNK:]
                yield data
        status = self._channel.recv_exit_status()
        if status == -1 and not self._channel.get_transport().is_active():
            raise Unreachable(self._host, "the connection broke before the command ended", "look again: inv status")
        if status:
            seconds = time.monotonic() - started
            raise failure(self._host, self._script, status if status > 0 else 137, seconds, tail, bytes(self._stderr))
        if self._feed_error:
            raise self._feed_error[0]

    def learn_group(self) -> str:
        """The group's id, waited for if need be: input that just ends would look complete to the program."""
        deadline = time.monotonic() + GRACE
        with contextlib.suppress(OSError, EOFError):
            while not self._announced.group and not self._done() and time.monotonic() < deadline:
                self._announced.strip(self._read())
        return self._announced.group

    def _done(self) -> bool:
        channel = self._channel
        unread = channel.recv_ready() or channel.recv_stderr_ready()
        return channel.exit_status_ready() and bool(channel.eof_received) and not unread

    def _read(self) -> bytes:
        channel = self._channel
        if channel.recv_stderr_ready():
            self._stderr += channel.recv_stderr(1 << 16)
            del self._stderr[: max(0, len(self._stderr) - (1 << 20))]
        if channel.recv_ready():
            return channel.recv(1 << 18)
        if not channel.recv_stderr_ready() and not self._done():
            select.select([channel], [], [], 0.1 if channel.eof_received else 0.2)
            if channel.eof_received and not channel.exit_status_ready():
                channel.status_event.wait(0.05)
        return b""

    def _feed(self, chunks: Iterator[bytes]) -> None:
        try:
            for chunk in chunks:
                self._channel.sendall(chunk)
            self._channel.shutdown_write()
        except TimeoutError:
            self._feed_error.append(
                Unreachable(self._host, f"took no input for {SILENCE:.0f} s", "look again: inv status")
            )
        except (OSError, EOFError):
            pass  # the program or the connection ended first; the reading side says which
        except BaseException as error:
            self._feed_error.append(error)
