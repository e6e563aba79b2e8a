"""This machine as a host, through bash: for an environment that is local only, and the fake of the contract suite."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator

from fabfile.errors import Interrupted, RemoteError
from fabfile.model.script import Result, Script
from fabfile.remote.program import CHUNK, Announced, command, failure, payload


class LocalHost:
    """Runs scripts here, exactly as they would run over SSH."""

    def __init__(self, name: str = "localhost") -> None:
        self.name = name
        self._interrupted = threading.Event()

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        started = time.monotonic()
        stderr = bytearray()
        stdout = b"".join(self._chunks(script, stdin, stderr))
        return Result(stdout.decode(errors="replace"), stderr.decode(errors="replace"), time.monotonic() - started)

    def stream(self, script: Script, stdin: Iterable[bytes] | None = None) -> Iterator[bytes]:
        return self._chunks(script, stdin, bytearray())

    @contextlib.contextmanager
    def forward(self, address: str, port: int) -> Iterator[int]:
        if address not in ("127.0.0.1", "localhost"):
            raise RemoteError(self.name, f"cannot forward to {address}: this machine reaches it directly")
        yield port

    def interrupt(self) -> None:
        self._interrupted.set()

    def resume(self) -> None:
        self._interrupted.clear()

    def close(self) -> None:
        """Nothing is held open."""

    def _chunks(self, script: Script, stdin: Iterable[bytes] | None, stderr: bytearray) -> Iterator[bytes]:
        started = time.monotonic()
        process = subprocess.Popen(
            ["bash", "-c", command(script.timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin and process.stdout and process.stderr
        errors: list[Exception] = []
        feeder = threading.Thread(target=_feed, args=(process, payload(script, stdin), errors), daemon=True)
        feeder.start()
        announced, tail = Announced(), b""
        streams = {process.stdout.fileno(), process.stderr.fileno()}
        try:
            while streams:
                if self._interrupted.is_set():
                    raise Interrupted(f"{self.name}: interrupted")
                for ready in select.select(list(streams), [], [], 0.1)[0]:
                    data = os.read(ready, 1 << 16)
                    if not data:
                        streams.discard(ready)
                    elif ready == process.stderr.fileno():
                        stderr += data
                        del stderr[: max(0, len(stderr) - (1 << 20))]
                    elif data := announced.strip(data):
                        tail = (tail + data)[-CHUNK:]
                        yield data
            status = process.wait()
            seconds = time.monotonic() - started
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            feeder.join(1)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.stderr.close()
        if errors:
            raise errors[0]
        if status:
            raise failure(self.name, script, status if status > 0 else 128 - status, seconds, tail, bytes(stderr))


def _feed(process: subprocess.Popen[bytes], chunks: Iterator[bytes], errors: list[Exception]) -> None:
    assert process.stdin
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
            process.stdin.flush()
        process.stdin.close()
    except (BrokenPipeError, ValueError):
        pass  # the program ended first; its status says why
    except Exception as error:
        errors.append(error)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
