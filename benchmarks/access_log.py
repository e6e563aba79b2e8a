"""How fast the access log is read: the script that hosts run, beside `wc -l` (the floor) and one json.loads per line.

python -m benchmarks.access_log [--json] [--lines=N] [--rounds=N]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fabfile.commands import access_log
from fabfile.model.traffic import Position
from fabfile.remote.local import LocalHost

WHOLE = 1 << 40
"""Bytes: more than any log that is generated here, so that nothing is left out."""


def generate(path: Path, lines: int) -> None:
    """A log of both slots, log-normal latencies, a few errors, retries and probes; the same for the same number."""
    rng = random.Random(1)
    with path.open("w", encoding="utf-8") as log:
        for number in range(lines):
            failed = rng.random() < 0.01
            seconds = rng.lognormvariate(-4, 0.8)
            upstream = ("502, 200", f"0.001, {seconds:.3f}") if failed else ("200", f"{seconds:.3f}")
            log.write(
                f'{{"at":{1763712000 + number / 20_000:.3f},"slot":"{rng.choice(("blue", "green"))}","status":200,'
                f'"upstream_status":"{upstream[0]}","upstream_seconds":"{upstream[1]}","seconds":{seconds + 0.001:.3f},'
                f'"bytes":{rng.randrange(100_000)},"type":"application/json; charset=utf-8","method":"GET",'
                f'"path":"{"/api/health" if number % 50 == 0 else f"/api/items/{number}/details"}"}}\n'
            )


def script(log: Path) -> int:
    """Lines that the hosts' own script read."""
    answer = LocalHost().run(access_log.tally(str(log), Position(0, 0), "/api/health", WHOLE))
    return access_log.parse(answer.stdout).lines


def wc(log: Path) -> int:
    """Lines that `wc -l` counted: no reader is faster."""
    return int(subprocess.run(["wc", "-l", str(log)], check=True, capture_output=True).stdout.split()[0])


def loads(log: Path) -> int:
    """Lines that Python parsed, and nothing more."""
    with log.open("rb") as file:
        return sum(1 for line in file if json.loads(line))


READERS: dict[str, Callable[[Path], int]] = {"tally": script, "wc -l": wc, "json.loads": loads}


def measure(log: Path, lines: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each reader, one after the other in each round, so that a busy machine is busy for all."""
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(rounds):
        for name, read in READERS.items():
            begun = time.perf_counter()
            found = read(log)
            seconds[name].append(time.perf_counter() - begun)
            if found != lines:
                raise SystemExit(f"{name} read {found} lines of {lines}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "access.json"
        generate(log, options.lines)
        size = log.stat().st_size
        seconds = measure(log, options.lines, options.rounds)
    rows = [
        {
            "reader": name,
            "lines_per_second": round(options.lines / statistics.median(times)),
            "slowest": round(options.lines / max(times)),
            "fastest": round(options.lines / min(times)),
        }
        for name, times in seconds.items()
    ]
    if options.json:
        json.dump({"lines": options.lines, "bytes": size, "rounds": options.rounds, "readers": rows}, sys.stdout)
        print()
        return
    print(f"{options.lines:,} lines, {size >> 20} MiB, lines per second in {options.rounds} rounds")
    print(f"{'':12}{'median':>12}{'slowest':>12}{'fastest':>12}")
    for row in rows:
        figures = (f"{row[key]:>12,}" for key in ("lines_per_second", "slowest", "fastest"))
        print(f"{row['reader']:12}{''.join(figures)}")


if __name__ == "__main__":
    main()
