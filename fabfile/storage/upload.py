"""How one object gets into S3: a single put, or equal parts of which some travel while the producer is read."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from fabfile.errors import StorageError
from fabfile.storage.parts import Part, Tally, cut
from fabfile.storage.port import AlreadyExists, NoConnection, NotFound, Stored, beside

MIB = 1 << 20
MOST_PARTS = 10_000
LEAST_PART = 5 * MIB
"""The limits of S3: how many parts an object has, and the bytes in each of them but the last."""
MEMORY = 384 * MIB
"""What the parts of one upload may take together, unless a single one and the next are more."""
MARK = "turnout-write"
"""The metadata by which a writer knows its own object again when the answer to its request was lost."""


class Call(Protocol):
    """One S3 operation on one key: its words in, the parsed answer with at least `needs` out, or `StorageError`."""

    def __call__(
        self, operation: str, key: str, words: Mapping[str, object], needs: Sequence[str] = ()
    ) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Terms:
    """What holds for every upload to one bucket: its address, bytes of the largest object, what this server knows."""

    address: str
    max_size: int
    encryption: Mapping[str, str]
    send_md5: bool

    @property
    def part_size(self) -> int:
        """Bytes of a part: whole MiB, so that the largest object has no more parts than S3 takes."""
        return max(LEAST_PART, -(-self.max_size // (MOST_PARTS * MIB)) * MIB)

    @property
    def in_flight(self) -> int:
        """How many parts travel at once while another is filled: 2 of 105 MiB for 1 TiB, 1 of 525 MiB for 5 TiB."""
        return min(4, max(1, MEMORY // self.part_size - 1))


class Upload:
    """One object on its way: it becomes visible whole, or everything of it is taken back."""

    def __init__(self, call: Call, terms: Terms, key: str, if_absent: bool) -> None:
        self._call = call
        self._terms = terms
        self._key = key
        self._name = f"{terms.address}/{key}"
        self._if_absent = if_absent
        self._mark = uuid.uuid4().hex
        self._upload_id = ""
        self._maybe_visible = False
        self._tally = Tally()
        self._halt = threading.Event()

    def run(self, chunks: Iterable[bytes]) -> Stored:
        """Reads the producer to its end and stores what it gave; see `Store.put_stream`. May be called once."""
        parts = cut(self._bounded(self._tally.weighed(chunks)), self._terms.part_size, self._halt)
        birth = {"Metadata": {MARK: self._mark}, **self._terms.encryption}
        first = next(parts, Part(self._halt))
        try:
            if first.size < self._terms.part_size:
                self._settle("put_object", {"Body": first, **self._digest(first), **birth})
            else:
                answer = self._call("create_multipart_upload", self._key, {**birth, **self._crc()}, ("UploadId",))
                self._upload_id = answer["UploadId"]
                queue = chain(iter([first]), parts)
                del first  # or it would stay in memory until the last part is sent
                sent = {"Parts": self._send(queue)}
                self._look_first()
                self._settle("complete_multipart_upload", {"UploadId": self._upload_id, "MultipartUpload": sent})
        except BaseException as error:
            self._withdraw(error)
            raise
        return self._tally.stored(self._key)

    def _bounded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._tally.size > self._terms.max_size:
                fact = f"{self._name}: is longer than backup.max_size, {self._terms.max_size >> 20} MiB"
                raise StorageError(fact, "raise backup.max_size: what was sent has been taken back")
            yield chunk

    def _send(self, parts: Iterable[Part]) -> Sequence[Mapping[str, object]]:
        sent: list[Future[Mapping[str, object]]] = []
        running: set[Future[Mapping[str, object]]] = set()
        with ThreadPoolExecutor(self._terms.in_flight) as pool:
            try:
                for number, part in enumerate(parts, 1):
                    free = len(running) < self._terms.in_flight
                    finished, running = wait(running, 0 if free else None, FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                    sent.append(pool.submit(self._send_part, number, part))
                    running.add(sent[-1])
                for future in as_completed(running):
                    future.result()
            except BaseException:
                self._halt.set()
                raise
        return [future.result() for future in sent]

    def _send_part(self, number: int, part: Part) -> Mapping[str, object]:
        words = {"UploadId": self._upload_id, "PartNumber": number, "Body": part, **self._crc(), **self._digest(part)}
        answer = self._call("upload_part", self._key, words, ("ETag",))
        return {"PartNumber": number, **{name: answer[name] for name in ("ETag", "ChecksumCRC32") if name in answer}}

    def _crc(self) -> Mapping[str, str]:
        """An upload that is created with a checksum wants that of every part again when it is completed."""
        return {} if self._terms.send_md5 else {"ChecksumAlgorithm": "CRC32"}

    def _digest(self, part: Part) -> Mapping[str, str]:
        if not self._terms.send_md5:
            return {}
        md5 = hashlib.md5(part.getbuffer(), usedforsecurity=False)
        return {"ContentMD5": base64.b64encode(md5.digest()).decode()}

    def _settle(self, operation: str, words: Mapping[str, object]) -> None:
        """Sends the request that makes the object visible, then looks at what the store has under the key."""
        condition = {"IfNoneMatch": "*"} if self._if_absent else {}
        self._maybe_visible = True
        try:
            self._call(operation, self._key, {**words, **condition})
        except NoConnection:
            self._maybe_visible = False
            raise
        except StorageError as error:
            # The answer to an attempt that succeeded may be lost; the next one meets our own object, or no upload.
            self._maybe_visible = self._is_ours(error)
            if not self._maybe_visible:
                raise
        mark, size = self._head()
        if mark == self._mark and size != self._tally.size:
            fact = f"{self._name}: {self._tally.size} bytes were sent and the store has {size}"
            raise StorageError(fact, "run it again; if it stays so, the store is not to be trusted")
        if mark != self._mark and (self._if_absent or not mark):
            fact = f"{self._name}: the store has something else under the key than was put there just now"
            raise StorageError(fact, "is it an S3 server that keeps metadata and knows If-None-Match?")

    def _look_first(self) -> None:
        """Ceph 16 ignores the condition on completing parts: there, only a writer within this moment goes unnoticed."""
        if not self._if_absent:
            return
        with suppress(NotFound):
            self._head()
            raise AlreadyExists(f"{self._name}: exists already", "choose another key, or see what is there")

    def _head(self) -> tuple[str, int]:
        answer = self._call("head_object", self._key, {}, ("ContentLength", "Metadata"))
        return answer["Metadata"].get(MARK, ""), answer["ContentLength"]

    def _is_ours(self, error: BaseException) -> bool:
        try:
            return self._head()[0] == self._mark
        except NotFound:
            return False
        except StorageError as second:
            beside(error, f"whether {self._name} is stored is not known: {second.fact}")
            return False

    def _withdraw(self, error: BaseException) -> None:
        try:
            if self._upload_id:
                with suppress(NotFound):
                    self._call("abort_multipart_upload", self._key, {"UploadId": self._upload_id})
        except StorageError as second:
            beside(error, f"unfinished upload {self._upload_id} is still there: {second.fact}")
        try:
            if self._maybe_visible and self._is_ours(error):
                self._call("delete_object", self._key, {})
        except StorageError as second:
            beside(error, f"{self._name} is still there: {second.fact}")
