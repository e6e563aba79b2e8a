"""Streams sealed and opened again: all of it, or an error; a producer that dies is never taken for one that ended."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fabfile.encryption import DEPTH, PIECE, check_recipient, opened, sealed
from fabfile.errors import BadInput, StorageError, TurnoutError

KEY = pyrage.x25519.Identity.generate()
RECIPIENT, IDENTITY = str(KEY.to_public()), SecretStr(str(KEY))
OTHER = SecretStr(str(pyrage.x25519.Identity.generate()))
BLOCK = 1 << 16
"""Bytes that age encrypts at once."""
WHOLE = b"".join(sealed([bytes(2 * BLOCK)], [RECIPIENT]))


def unsealed(data: bytes, identity: SecretStr = IDENTITY) -> bytes:
    return b"".join(opened([data], identity, "dump"))


def ssh_key(folder: Path, kind: str, passphrase: str = "", name: str = "key") -> tuple[str, SecretStr]:
    path = folder / f"{kind}-{name}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f", str(path)], check=True)
    return Path(f"{path}.pub").read_text().strip(), SecretStr(path.read_text().strip())


@given(
    st.lists(st.one_of(st.binary(max_size=50), st.integers(0, 3 * BLOCK).map(bytes)), max_size=6),
    st.integers(1, 3 * BLOCK),
)
def test_what_was_sealed_comes_back_however_it_is_cut_into_chunks(chunks: list[bytes], size: int) -> None:
    sealed_bytes = b"".join(sealed(chunks, [RECIPIENT]))
    pieces = [sealed_bytes[start : start + size] for start in range(0, len(sealed_bytes), size)]
    assert b"".join(opened(pieces, IDENTITY, "dump")) == b"".join(chunks)


def test_every_recipient_can_open_it_and_nobody_else(tmp_path: Path) -> None:
    ed25519, rsa = ssh_key(tmp_path, "ed25519"), ssh_key(tmp_path, "rsa")
    data = b"".join(sealed([b"secret"], [RECIPIENT, ed25519[0], rsa[0]]))
    file = SecretStr(f"# created: today\n# public key: {RECIPIENT}\n{KEY}\n")
    for identity in (IDENTITY, file, ed25519[1], rsa[1]):
        assert unsealed(data, identity) == b"secret"
    for identity in (OTHER, ssh_key(tmp_path, "ed25519", name="other")[1]):
        with pytest.raises(BadInput, match="dump: is encrypted for other keys than"):
            unsealed(data, identity)


@pytest.mark.parametrize("size", [0, 1, BLOCK, 3 * BLOCK + 5])
def test_a_file_cut_at_any_kind_of_place_is_damaged(size: int) -> None:
    data = b"".join(sealed([bytes(size)], [RECIPIENT]))
    header = len(data) - size - 16 * max(1, -(-size // BLOCK))
    inside = [0, 1, header // 2, header - 17, header - 1, header, header + 1, len(data) - 17, len(data) - 1]
    for length in {*inside, header + BLOCK + 16, header + BLOCK + 17} - {len(data)}:
        if 0 <= length < len(data):
            with pytest.raises(StorageError, match="dump: is damaged"):
                unsealed(data[:length])


@given(st.data())
def test_a_file_with_one_wrong_byte_is_never_opened_whole(draw: st.DataObject) -> None:
    data = bytearray(WHOLE)
    place = draw.draw(st.one_of(st.integers(0, 400), st.integers(0, len(data) - 1)))
    data[place] ^= draw.draw(st.sampled_from([1, 32, 128]))
    with pytest.raises(TurnoutError):
        unsealed(bytes(data))


def test_bytes_after_the_end_are_damage() -> None:
    with pytest.raises(StorageError, match="is damaged"):
        unsealed(b"".join(sealed([b"x"], [RECIPIENT])) + b"y")


@pytest.mark.parametrize("size", [0, 1, BLOCK, 2 * DEPTH * PIECE])
@pytest.mark.parametrize("error", [OSError("pg_dump died"), EOFError(), KeyboardInterrupt()], ids=repr)
def test_a_producer_that_dies_is_raised_as_it_is_and_leaves_no_whole_file(size: int, error: BaseException) -> None:
    def dying() -> Iterator[bytes]:
        yield bytes(size)
        raise error

    received = bytearray()
    before = threading.active_count()
    with pytest.raises(type(error)) as raised:
        for piece in sealed(dying(), [RECIPIENT]):
            received += piece
    assert raised.value is error
    assert threading.active_count() == before
    with pytest.raises(StorageError):
        unsealed(bytes(received))


def test_a_store_that_fails_while_it_is_read_is_raised_as_it_is() -> None:
    data = b"".join(sealed([bytes(3 * BLOCK)], [RECIPIENT]))
    error = OSError("the disk is gone")

    def failing() -> Iterator[bytes]:
        yield data[: 2 * BLOCK]
        raise error

    with pytest.raises(OSError, match="the disk is gone") as raised:
        list(opened(failing(), IDENTITY, "dump"))
    assert raised.value is error


def test_who_stops_reading_leaves_no_thread_and_reads_only_a_little_ahead() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += PIECE
            yield bytes(PIECE)

    before = threading.active_count()
    stream = sealed(endless(), [RECIPIENT])
    received = sum(len(next(stream)) for _ in range(3))
    assert taken - received <= 2 * DEPTH * PIECE
    stream.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "text",
    ["", "age1", RECIPIENT[:-1], str(KEY), "ssh-ed25519 AAAA", "ssh-dss AAAA", "a@b"],
    ids=["empty", "start", "cut", "private", "short", "dss", "name"],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a public key"):
        check_recipient(text)


@pytest.mark.parametrize(
    "text",
    ["", "# only a comment", "AGE-SECRET-KEY-1QQ", RECIPIENT, "-----BEGIN NOTHING-----"],
    ids=["empty", "comment", "short", "public", "armour"],
)
def test_what_is_no_private_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(BadInput, match=r"^backup\.identity") as refused:
        unsealed(b"", SecretStr(text))
    assert text == "" or text not in str(refused.value)


def test_a_private_key_with_a_passphrase_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="passphrase"):
        unsealed(b"", ssh_key(tmp_path, "ed25519", "open sesame")[1])
