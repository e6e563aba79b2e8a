"""When each host left which release, as its users can see it."""

from __future__ import annotations

import threading


class Switches:
    """One host's switches, told by one visitor who asks again and again, one request after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._live: str | None = None
        self._asked = 0.0
        self._left: dict[str, float] = {}

    def saw(self, release: str, asked: float) -> None:
        """A request that was sent at `asked` (monotonic seconds) was answered by `release`."""
        with self._lock:
            if self._live is not None and self._live != release:
                # The switch cannot have been before the last request that the release still answered.
                self._left[self._live] = self._asked
                self.count += 1
            self._live, self._asked = release, asked

    def early(self, release: str, at: float, limit: float) -> bool:
        """Whether less than `limit` seconds had passed since the host left `release`, or it was live there, at `at`."""
        with self._lock:
            return release == self._live or release not in self._left or at - self._left[release] < limit
