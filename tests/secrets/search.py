"""Everywhere that a secret might have got to: hosts' files and journals, the bucket, the operator's files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import zstandard

from fabfile.lab.lab import Lab

ZSTD = b"\x28\xb5\x2f\xfd"
# The patterns lie in memory, where nothing is searched. What was not touched since the beginning is as it was.
ON_HOST = r"""
umask 077
patterns=$(mktemp -p /dev/shm)
trap 'rm -f "$patterns"' EXIT
cat > "$patterns"
fresh() {
    find / '(' -path /proc -o -path /sys -o -path /dev ')' -prune -o -type f -newerct "@$1" "${@:2}" -print0
}
fresh "$1" | xargs -0 -r grep -laF -f "$patterns" 2> /dev/null | while IFS= read -r file; do
    stat -c '%a %U %n' "$file"
done
fresh "$1" -name '*.zst' | while IFS= read -r -d '' file; do
    if zstd -qdc "$file" 2> /dev/null | grep -qaF -f "$patterns"; then echo "- - inside $file"; fi
done
if journalctl -a --no-pager -o export --since "@$1" 2> /dev/null | grep -qaF -f "$patterns"; then echo "- - journal"; fi
"""


def on_host(lab: Lab, node: str, since: float, forms: Iterable[bytes]) -> list[str]:
    """Files of a node with one of the forms in them, as `mode owner path`; its journal is one of them."""
    text = "".join(f"{form.decode()}\n" for form in forms)
    return lab.execute(node, "bash", "-c", ON_HOST, "search", str(int(since)), text=text).splitlines()


def in_bytes(data: bytes, forms: Mapping[bytes, str]) -> set[str]:
    """Whose secrets are in these bytes, or in what they are the compressed form of."""
    plain = _decompressed(data) if data[:4] == ZSTD else b""
    return {name for form, name in forms.items() if form in data or form in plain}


def in_folder(folder: Path, forms: Mapping[bytes, str], leave: Iterable[Path] = ()) -> Iterator[str]:
    """Files below a folder, but for those to leave, with somebody's secret in them."""
    left = set(leave)
    for path in folder.rglob("*"):
        if path.is_file() and path not in left:
            yield from (f"{name} in {path}" for name in in_bytes(path.read_bytes(), forms))


def client(environment: Mapping[str, str]) -> Any:
    """The lab's store, as boto3 speaks to it."""
    keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    return boto3.session.Session(*keys).client("s3", region_name="us-east-1", endpoint_url=environment["S3_ENDPOINT"])


def in_bucket(environment: Mapping[str, str], bucket: str, forms: Mapping[bytes, str]) -> Iterator[str]:
    """Objects with somebody's secret in them, or in their names or metadata."""
    store = client(environment)
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page.get("Contents", []):
            found = store.get_object(Bucket=bucket, Key=listed["Key"])
            about = repr((listed["Key"], found["Metadata"])).encode()
            names = in_bytes(found["Body"].read(), forms) | in_bytes(about, forms)
            yield from (f"{name} in s3:{listed['Key']}" for name in names)


def in_memory() -> list[str]:
    """What is left of folders that editors worked in."""
    return [str(path) for path in Path("/dev/shm").glob("turnout-*")]


def _decompressed(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def private(place: str) -> bool:
    """Whether a `mode owner path` is the file that the application reads its secrets from."""
    mode, owner, path = place.split(" ", 2)
    folder, name = os.path.split(path)
    slots = {f"/var/app/small/slots/{slot}/.turnout" for slot in ("blue", "green", ".blue.kept", ".green.kept")}
    return (mode, owner, name) == ("600", "deploy", "env") and folder in slots
