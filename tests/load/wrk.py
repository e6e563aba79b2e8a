"""wrk on one host: many kept connections at a bounded rate, and what it says of them in the end."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fabfile.lab.browser import PATIENCE_SECONDS
from tests.load.figures import Figures

SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 8
LONGEST_SECONDS = 7200
STOP_SECONDS = 30


@dataclass(frozen=True)
class Wrk:
    """One running wrk."""

    address: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, address: str) -> Wrk:
        """About 80 requests per second. It dies with whoever started it, however that ends."""
        limits = ("-t1", f"-c{CONNECTIONS}", f"-d{LONGEST_SECONDS}s", "--timeout", f"{PATIENCE_SECONDS:g}s")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "wrk", *limits, "-s", str(SCRIPT), f"http://{address}/"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        return cls(address, process)

    def stop(self) -> Figures:
        """Let it end and say what it met. Raises AssertionError where it had ended by itself, or does not end."""
        ended = self.process.poll()
        self.process.send_signal(signal.SIGINT)
        try:
            out, _ = self.process.communicate(timeout=STOP_SECONDS)
        finally:
            self.process.kill()
        assert ended is None, f"wrk on {self.address} ended by itself with {ended}:\n{out}"
        return parse(self.address, out)


def parse(address: str, text: str) -> Figures:
    """The last line of what wrk printed, which its script wrote.

    wrk counts an answer above 399 as `status`, one that took longer than its limit as `timeout` (both among its
    requests), and a connection that ended before an answer was whole as `read` or `write`.
    """
    found = json.loads(text.strip().splitlines()[-1])
    cut = found["read"] + found["write"]
    unanswered = cut + found["connect"]
    problems = [f"{kind} {found[kind]}" for kind in ("connect", "read", "write", "status", "timeout") if found[kind]]
    return Figures(
        requests=found["requests"] + unanswered,
        failed=unanswered + found["status"] + found["timeout"],
        resets=cut,
        details=(f"{address} wrk: {', '.join(problems)}",) if problems else (),
    )
