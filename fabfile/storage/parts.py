"""How a stream is weighed and cut into equal parts while it passes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from io import BytesIO

from fabfile.storage.port import Stored


class Halted(BaseException):
    """Ends a part that is being sent when its upload has failed elsewhere.

    Not an `Exception`: an HTTP client takes those for a passing trouble of the network and sends the part again.
    """


class Part(BytesIO):
    """Up to one part of a stream, in memory; reading it ends with `Halted` once the upload has been given up."""

    def __init__(self, halt: threading.Event) -> None:
        super().__init__()
        self._halt = halt

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads on, or raises `Halted`."""
        if self._halt.is_set():
            raise Halted
        return super().read(size)

    @property
    def size(self) -> int:
        """The number of bytes in the part."""
        return self.getbuffer().nbytes


class Tally:
    """Counts and digests a stream on its way."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    def weighed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, each counted before it is passed on."""
        for chunk in chunks:
            self.size += len(chunk)
            self._sha256.update(chunk)
            yield chunk

    def stored(self, key: str) -> Stored:
        """What has passed so far, as stored under `key`."""
        return Stored(key, self.size, self._sha256.hexdigest())


def cut(chunks: Iterable[bytes], size: int, halt: threading.Event) -> Iterator[Part]:
    """The stream in parts of `size` bytes, rewound; the last one may be shorter, and an empty stream has none."""
    part = Part(halt)
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            room = size - part.tell()
            part.write(rest[:room])
            rest = rest[room:]
            if part.tell() == size:
                part.seek(0)
                yield part
                part = Part(halt)
    if part.tell():
        part.seek(0)
        yield part
