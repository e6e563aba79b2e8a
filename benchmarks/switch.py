"""The switch: the product's renamed share beside the peer, an upstream rewritten, `nginx -t` and a reload; a canary.

All on one host of a lab (root), in the product's own nginx site, in turns, under all that wrk asks on 50 connections.

python -m benchmarks.switch [--json] [--rounds=N] [--switches=N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.switch_clients import SOCKETS, Load, Visitors, alive, sockets, wrk
from benchmarks.switch_stage import COOKIE, Stage, Switched, stage
from fabfile.model.observed import Slot, other
from fabfile.model.share import Share

NONE, SHARE, RELOAD = "none", "share", "reload"
PACE_SECONDS = 2.0
"""From one switch to the next, in every way: a quicker one must not switch more often in the same time."""
VISITORS = 2000
STEPS = (Share("blue"), Share("blue", 10), Share("blue", 50), Share("green"))


@dataclass
class Way:
    """What was measured of one way to switch, in all rounds."""

    switched: list[Switched] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    relative: list[float] = field(default_factory=list)
    """Requests per second in each round, as a share of those without switches in the same one."""
    survived: int = 0
    opened: int = 0
    lingering: int = 0
    """The most nginx workers that waited for their last connections to end."""


@dataclass
class Step:
    """One step of the canary, in all rounds."""

    asked: float
    found: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    went_back: int = 0
    failed: int = 0


def switch_once(host: Stage, way: str, old: Slot) -> Switched | None:
    """Away from `old` in this way; None where nothing is switched."""
    new = other(old)
    if way == SHARE:
        return host.share(Share(new), Share(old))
    if way == RELOAD:
        return host.reload(new, old)
    return None


def measure_round(host: Stage, ways: dict[str, Way], switches: int) -> None:
    """Each way in turn, so that a busy machine is busy for all; every one ends on blue, where it began."""
    for name, way in ways.items():
        with sockets(host.address) as opened:
            with wrk(host.address) as load:
                time.sleep(0.5)
                live: Slot = "blue"
                began = time.monotonic()
                for number in range(1, switches + 1):
                    switched = switch_once(host, name, live)
                    way.switched += [switched] if switched else []
                    live = other(live)
                    time.sleep(max(0.0, began + number * PACE_SECONDS - time.monotonic()))
            way.survived += sum(map(alive, opened))
            way.opened += SOCKETS
            way.lingering = max(way.lingering, host.lingering())
        way.loads.append(load)
        way.relative.append(load.per_second / ways[NONE].loads[-1].per_second)


def measure_canary(host: Stage, steps: list[Step]) -> None:
    """blue, blue-10, blue-50, green, with visitors who ask all the while; then blue again, unseen."""
    visitors = Visitors(host.address, COOKIE, VISITORS)
    with visitors.coming():
        visitors.on_green()
        for number, step in enumerate(steps, 1):
            back, failed = visitors.went_back, visitors.failed
            step.done.append(host.share(STEPS[number], STEPS[number - 1]).done)
            step.found.append(visitors.on_green())
            step.went_back += visitors.went_back - back
            step.failed += visitors.failed - failed
    host.share(STEPS[0], STEPS[-1])


def way_row(name: str, way: Way) -> dict[str, Any]:
    """The figures of one way: milliseconds, counts, and medians of rounds."""

    def milliseconds(of: Callable[[Switched], float]) -> dict[str, float]:
        values = [of(switched) * 1000 for switched in way.switched]
        return {"median": round(statistics.median(values), 1), "most": round(max(values), 1)} if values else {}

    return {
        "way": name,
        "switches": len(way.switched),
        "done_ms": milliseconds(lambda switched: switched.done),
        "first_new_ms": milliseconds(lambda switched: switched.first),
        "last_old_ms": milliseconds(lambda switched: switched.last),
        "both_ms": milliseconds(lambda switched: switched.both),
        "resets": sum(load.resets for load in way.loads),
        "other_errors": sum(load.other_errors for load in way.loads),
        "bad_answers": sum(load.bad for load in way.loads),
        "requests_per_second": round(statistics.median(load.per_second for load in way.loads)),
        "of_none": round(statistics.median(way.relative), 2),
        "of_none_rounds": [round(value, 2) for value in way.relative],
        "websockets": [way.survived, way.opened],
        "lingering_workers": way.lingering,
    }


def step_row(step: Step) -> dict[str, Any]:
    """The figures of one canary step."""
    return {
        "asked": step.asked,
        "found": round(statistics.median(step.found), 4),
        "found_rounds": [round(found, 4) for found in step.found],
        "done_ms": round(statistics.median(step.done) * 1000, 1),
        "went_back": step.went_back,
        "failed": step.failed,
    }


def show(found: dict[str, Any]) -> None:
    """Both tables; times as `median / most` in milliseconds from the word `go`."""

    def times(pair: dict[str, float]) -> str:
        return f"{pair['median']} / {pair['most']}" if pair else "-"

    print(f"{found['machine']}; {found['rounds']} rounds")
    heads = (
        "switches",
        "done, ms",
        "first new, ms",
        "last old, ms",
        "both, ms",
        "resets",
        "errors",
        "bad",
        "req/s",
        "of none",
    )
    print(f"{'':8}{heads[0]:>9}" + "".join(f"{head:>16}" for head in heads[1:5]), end="")
    print("".join(f"{head:>9}" for head in (*heads[5:], "sockets", "workers")))
    for row in found["ways"]:
        figures = "".join(f"{times(row[key]):>16}" for key in ("done_ms", "first_new_ms", "last_old_ms", "both_ms"))
        counts = (row["resets"], row["other_errors"], row["bad_answers"], row["requests_per_second"], row["of_none"])
        survived = "/".join(map(str, row["websockets"]))
        rest = "".join(f"{count:>9}" for count in (*counts, survived, row["lingering_workers"]))
        print(f"{row['way']:8}{row['switches']:>9}{figures}{rest}")
    print(f"\n{'canary':8}{'found':>9}{'done, ms':>10}{'went back':>11}{'failed':>8}   of {VISITORS} visitors")
    for row in found["canary"]:
        print(f"{row['asked']:<8.0%}{row['found']:>9.1%}{row['done_ms']:>10}{row['went_back']:>11}{row['failed']:>8}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--switches", type=int, default=6, help="in each round and way; an even number")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    if options.switches % 2 or options.switches < 2 or options.rounds < 1:
        parser.error("--switches takes an even number from 2, --rounds one from 1")
    ways = {name: Way() for name in (NONE, SHARE, RELOAD)}
    steps = [Step(share.percent / 100 or 1.0) for share in STEPS[1:]]
    with stage() as host:
        for _ in range(options.rounds):
            measure_round(host, ways, options.switches)
            measure_canary(host, steps)
        machine = host.release()
    found = {
        "machine": machine,
        "rounds": options.rounds,
        "ways": [way_row(name, way) for name, way in ways.items()],
        "canary": [step_row(step) for step in steps],
    }
    if options.json:
        json.dump(found, sys.stdout)
        print()
    else:
        show(found)


if __name__ == "__main__":
    main()
