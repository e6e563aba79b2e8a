"""Streams sealed for age recipients and opened again with a private key; the only module that knows pyrage."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol

import pyrage
from pydantic import SecretStr

from fabfile.errors import BadInput, StorageError, TurnoutError

PIECE = 1 << 18
"""Bytes that pass between the two threads at once."""
DEPTH = 16
"""Pieces that may wait for the thread that works on them: 4 MiB, whatever the length of the stream."""


class _Halted(Exception):
    """Ends the work on a stream whose other end has failed or left."""


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Writes(Protocol):
    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


Work = Callable[[_Reads, _Writes], None]


def check_recipient(text: str) -> None:
    """Raises ValueError unless `text` is a public key that can be encrypted for."""
    try:
        _recipient(text)
    except pyrage.RecipientError:
        raise ValueError("expected a public key: age1…, ssh-ed25519 … or ssh-rsa …") from None


def sealed(chunks: Iterable[bytes], recipients: Sequence[str]) -> Generator[bytes, None, None]:
    """The chunks as an age file that each of the recipients can open, in constant memory.

    What `chunks` raises is raised here, unchanged, and what had been yielded by then is no whole age file.
    """
    keys = [_recipient(text) for text in recipients]
    return _through(chunks, lambda reader, writer: pyrage.encrypt_io(reader, writer, keys))


def opened(chunks: Iterable[bytes], identity: SecretStr, name: str, key: str = "backup.identity") -> Iterator[bytes]:
    """The plain bytes of an age file; `name` is what errors call it, and `key` what says which identity it is.

    Raises BadInput when the identity is no private key or not one that the file is for, StorageError when the file is
    damaged or cut anywhere. Every byte yielded is authentic; that none is missing is known at the end only.
    """
    keys = _identities(identity, key)

    def work(reader: _Reads, writer: _Writes) -> None:
        try:
            pyrage.decrypt_io(reader, writer, keys)
        except pyrage.DecryptError as error:
            raise _unopened(name, error, key) from error
        except OSError as error:
            raise _damaged(name, error) from error

    return _through(chunks, work)


def _recipient(text: str) -> object:
    if text.startswith("ssh-"):
        return pyrage.ssh.Recipient.from_str(text)
    return pyrage.x25519.Recipient.from_str(text)


def _identities(identity: SecretStr, key: str) -> list[object]:
    """The keys in an age identity file (comments and all), or the one in an OpenSSH private key."""
    text = identity.get_secret_value()
    try:
        if text.lstrip().startswith("-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(text.strip().encode() + b"\n")]
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        found: list[object] = [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError as error:
        locked = "must be decrypted" in str(error)
        hint = "it has a passphrase: use a copy without" if locked else "expected AGE-SECRET-KEY-1… or an OpenSSH key"
        raise BadInput(f"{key}: the value is not a private key that can be used", hint) from None
    if not found:
        raise BadInput(f"{key}: there is no key in the value", "age-keygen makes one")
    return found


def _unopened(name: str, error: Exception, key: str) -> TurnoutError:
    if "No matching keys" not in str(error):
        return _damaged(name, error)
    fact = f"{name}: is encrypted for other keys than {key}"
    return BadInput(fact, f"let {key} lead to the private key of one of its recipients")


def _damaged(name: str, error: Exception) -> StorageError:
    return StorageError(f"{name}: is damaged: {error}", "choose another backup: inv backup.list")


def _through(chunks: Iterable[bytes], work: Work) -> Generator[bytes, None, None]:
    """What `work` makes of the chunks in a thread of its own.

    The producer is read in the caller's thread: its failure is raised right here, and its end is passed on only when it
    ended well. The thread never sees a failure as an end: its next read raises.
    """
    link = _Link()
    thread = threading.Thread(target=link.run, args=(work,), daemon=True)
    thread.start()
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), PIECE):
                link.give(chunk[start : start + PIECE])
                yield from link.ready()
        link.give(None)
        yield from link.rest()
    finally:
        link.halt()
        thread.join()


class _Link:
    """The two ends of a worker: pieces in, bounded, and what it writes out, bounded by what went in."""

    def __init__(self) -> None:
        self._inbox: queue.Queue[bytes | None] = queue.Queue(DEPTH)
        self._outbox: deque[bytes] = deque()
        self._current = memoryview(b"")
        self._written = bytearray()
        self._ended = self._halted = False
        self._over = threading.Event()
        self._error: BaseException | None = None

    def run(self, work: Work) -> None:
        """The whole life of the worker's thread."""
        try:
            work(self, self)
        except BaseException as error:
            self._error = error
        else:
            self._outbox.append(bytes(self._written))
        self._over.set()

    def read(self, size: int, /) -> bytes:
        """For the worker: up to `size` bytes, none at the end; raises when there will be no good end."""
        while not self._current and not self._ended:
            piece = self._inbox.get()
            if self._halted:
                raise _Halted
            self._ended = piece is None
            self._current = memoryview(piece or b"")
        if self._halted:
            raise _Halted
        found, self._current = self._current[:size], self._current[size:]
        return bytes(found)

    def write(self, data: bytes, /) -> int:
        """For the worker: passes on what it made, in larger pieces than it comes in."""
        self._written += data
        if len(self._written) >= PIECE:
            self._outbox.append(bytes(self._written))
            self._written.clear()
        return len(data)

    def flush(self) -> None:
        """For the worker: nothing to do before the end."""

    def give(self, piece: bytes | None) -> None:
        """Hand over a piece, or None for a good end; waits while too many are in the queue."""
        while not self._over.is_set():
            try:
                self._inbox.put(piece, timeout=0.2)
            except queue.Full:
                continue
            return
        self._refuse()

    def ready(self) -> Iterator[bytes]:
        """What has been made so far."""
        while self._outbox:
            yield self._outbox.popleft()

    def rest(self) -> Iterator[bytes]:
        """All that is still to come; raises what the worker failed with."""
        self._over.wait()
        self._refuse()
        yield from self.ready()

    def halt(self) -> None:
        """Let the worker end wherever it is."""
        self._halted = True
        while not self._over.is_set():
            try:
                self._inbox.put_nowait(None)
            except queue.Full:
                self._over.wait(0.01)

    def _refuse(self) -> None:
        if self._error is not None:
            raise self._error
