"""Backup and restore: the product's way beside PostgreSQL's own tools, and the memory that a long stream takes.

Everything on this machine, in turns: the floor `pg_dump -Fc -Z0 | zstd -3 > /dev/null`, the product to a folder, to an
S3 server, and there encrypted; the peer `pg_dump -Fc` into boto3's upload_fileobj; `pg_restore -j2` of a local file
that is unpacked already, the product's restore from S3, and the same with one tool after the other: boto3's
get_object, `zstd -d`, `pg_restore -j2`, `ANALYZE`. Needs PostgreSQL's server programs and pg_config.

python -m benchmarks.backup [--json] [--rounds=N] [--megabytes=N] [--streams=MB,MB]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import boto3.session
import pyrage
from botocore.config import Config

from benchmarks.backup_stage import BUCKET, REGION, Stage, stage
from fabfile.encryption import sealed
from fabfile.model.recovery_point import StoredPart
from fabfile.recovery.integrity import Checked
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Store, Stored
from fabfile.storage.s3 import S3Store

MIB = 1 << 20
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
NEW = "app_new"
FLOOR, FOLDER, S3, AGE, PEER = "pg_dump | zstd", "to a folder", "to S3", "to S3, age", "pg_dump, boto3"
LOCAL, RESTORE, BY_HAND = "pg_restore -j2", "from S3", "from S3 by hand"


def pg_dump(place: Stage, *words: str) -> subprocess.Popen[bytes]:
    """PostgreSQL's own, its output in a pipe."""
    return subprocess.Popen(["pg_dump", "-Fc", *words, "app"], stdout=subprocess.PIPE, env=place.environment)


def floor(place: Stage) -> None:
    """No backup at all: what the host has to do at least."""
    with pg_dump(place, "-Z0") as dump:
        subprocess.run(["zstd", "-3", "-q", "-c"], stdin=dump.stdout, stdout=subprocess.DEVNULL, check=True)


def product(place: Stage, store: Store, key: str, encrypt: bool = False) -> Stored:
    """What `inv backup` does with a database, the facts that it writes down included."""
    with place.database.dump("app") as dump:
        if not encrypt:
            return store.put_stream(key, dump.chunks)
        with closing(sealed(dump.chunks, [RECIPIENT])) as age:
            return store.put_stream(key, age)


def boto(place: Stage) -> Any:
    """The client of most scripts."""
    config = Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"})
    return boto3.session.Session().client("s3", region_name=REGION, endpoint_url=place.endpoint, config=config)


def peer(place: Stage) -> None:
    """What most scripts do."""
    with pg_dump(place) as dump:
        boto(place).upload_fileobj(dump.stdout, BUCKET, "peer")


def local(place: Stage, file: Path) -> None:
    """PostgreSQL's own, from a file that is already there."""
    subprocess.run(["pg_restore", "-j2", "-d", NEW, str(file)], check=True, env=place.environment)


def restore(place: Stage, store: Store, stored: Stored) -> None:
    """What a rollback does with the dump, the planner's statistics included."""
    part = StoredPart("database", stored.key, stored.size, stored.sha256)
    place.database.load(NEW, Checked(store, part))


def by_hand(place: Stage, stored: Stored) -> None:
    """What whoever has a runbook does, as fast as they can type."""
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        fetched, plain = Path(folder) / "fetched", Path(folder) / "plain"
        with fetched.open("wb") as file:
            shutil.copyfileobj(boto(place).get_object(Bucket=BUCKET, Key=stored.key)["Body"], file, MIB)
        subprocess.run(["zstd", "-d", "-q", str(fetched), "-o", str(plain)], check=True)
        local(place, plain)
        subprocess.run(["psql", "-q", "-d", NEW, "-c", "ANALYZE"], check=True, env=place.environment)


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(place: Stage, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Seconds of each way, one after the other in each round, and the bytes of a dump."""
    store, folder = s3(place.endpoint), DirectoryStore(place.folder / "folder")
    plain = place.folder / "plain"
    with pg_dump(place, "-Z0", "-f", str(plain)):
        pass
    stored = product(place, store, "restored")
    ways: dict[str, Callable[[], object]] = {
        FLOOR: partial(floor, place),
        FOLDER: partial(product, place, folder, "key"),
        S3: partial(product, place, store, "key"),
        AGE: partial(product, place, store, "key-age", encrypt=True),
        PEER: partial(peer, place),
        LOCAL: partial(local, place, plain),
        RESTORE: partial(restore, place, store, stored),
        BY_HAND: partial(by_hand, place, stored),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            place.database.drop(NEW)
            place.database.create_beside(NEW, "app")
            found[name].append(seconds(way))
    return found, plain.stat().st_size


def s3(endpoint: str) -> S3Store:
    """The product's store, as it is configured by default."""
    return S3Store(BUCKET, REGION, endpoint)


def noise(size: int) -> Iterator[bytes]:
    """That many bytes which nothing can compress, in chunks as SSH gives them."""
    block = os.urandom(1 << 18)
    for start in range(0, size, len(block)):
        yield block[: size - start]


def peak(endpoint: str, size: int) -> int:
    """The most bytes that a process had in memory when it encrypted and stored a stream of `size` bytes."""
    words = [sys.executable, "-m", "benchmarks.backup", f"--only-stream={size}", f"--endpoint={endpoint}"]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def stream(endpoint: str, size: int) -> None:
    """In the process that is measured."""
    with closing(sealed(noise(size), [RECIPIENT])) as age:
        s3(endpoint).put_stream(f"stream-{size}", age)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(found[1]) << 10 if found else 0)


def ratios(found: dict[str, list[float]], of: str, to: str) -> dict[str, Any]:
    """How many times as fast as `to` the way `of` is, in each round and in the middle."""
    each = [theirs / ours for ours, theirs in zip(found[of], found[to], strict=True)]
    return {"median": round(statistics.median(each), 2), "rounds": [round(value, 2) for value in each]}


def report(found: dict[str, list[float]], size: int, peaks: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """All figures: seconds, MB of the dump per second, ratios within a round, and peaks in MiB."""
    compared = [(FOLDER, FLOOR), (S3, FLOOR), (AGE, FLOOR), (S3, PEER), (AGE, PEER)]
    compared += [(RESTORE, LOCAL), (RESTORE, BY_HAND)]
    return {
        "dump_mb": round(size / 1e6),
        "ways": [
            {
                "way": name,
                "seconds": round(statistics.median(times), 2),
                "rounds": [round(value, 2) for value in times],
                "mb_per_second": round(size / 1e6 / statistics.median(times)),
            }
            for name, times in found.items()
        ],
        "ratios": [{"of": of, "to": to, **ratios(found, of, to)} for of, to in compared],
        "memory": [{"stream_mib": length // MIB, "peak_mib": round(most / MIB)} for length, most in peaks],
    }


def show(figures: dict[str, Any]) -> None:
    """Three small tables."""
    print(f"a dump of {figures['dump_mb']} MB, {len(figures['ways'][0]['rounds'])} rounds")
    print(f"{'':16}{'median, s':>11}{'MB/s':>7}   rounds, s")
    for row in figures["ways"]:
        print(f"{row['way']:16}{row['seconds']:>11}{row['mb_per_second']:>7}   {row['rounds']}")
    print(f"\n{'speed of':16}{'beside':18}{'median':>7}   rounds")
    for row in figures["ratios"]:
        print(f"{row['of']:16}{row['to']:18}{row['median']:>7}   {row['rounds']}")
    print(f"\n{'stream, MiB':16}{'peak memory, MiB':>18}")
    for row in figures["memory"]:
        print(f"{row['stream_mib']:<16}{row['peak_mib']:>18}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=200, help="of the database, about")
    parser.add_argument("--streams", default="500,2500", help="MiB of the streams whose memory is measured")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--only-stream", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "benchmark"))
    if options.only_stream is not None:
        stream(options.endpoint, options.only_stream)
        return
    with stage(options.megabytes) as place:
        found, size = measure(place, options.rounds)
        lengths = [int(length) * MIB for length in options.streams.split(",") if length]
        figures = report(found, size, [(length, peak(place.endpoint, length)) for length in lengths])
    if options.json:
        json.dump(figures, sys.stdout)
        print()
    else:
        show(figures)


if __name__ == "__main__":
    main()
