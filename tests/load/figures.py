"""What users met under load: sums of what each of them counted, and which errors are a connection reset."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

KEPT_DETAILS = 40
# RemoteDisconnected is a ConnectionError; EOFError is how the WebSocket library puts it.
CUT = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, http.client.IncompleteRead, EOFError)


@dataclass(frozen=True)
class Figures:
    """Counts that can be added up.

    `failed` are requests without the answer they should have had, whatever came instead; those whose connection was
    cut are among the `resets` too, as is a WebSocket that ends without a closing frame. `dropped` are WebSockets that
    ended before the drain limit of their slot; `moved` ones were closed later, with a frame that says so.
    """

    requests: int = 0
    failed: int = 0
    resets: int = 0
    dropped: int = 0
    moved: int = 0
    details: tuple[str, ...] = ()

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.requests + other.requests,
            self.failed + other.failed,
            self.resets + other.resets,
            self.dropped + other.dropped,
            self.moved + other.moved,
            (self.details + other.details)[:KEPT_DETAILS],
        )

    @property
    def clean(self) -> bool:
        return self.failed == self.resets == self.dropped == 0

    def __str__(self) -> str:
        return (
            f"requests {self.requests}, failed {self.failed}, connection resets {self.resets}, "
            f"sockets dropped before their drain limit {self.dropped}"
        )


def failure(error: BaseException, where: str) -> Figures:
    """One request that got no answer."""
    return Figures(1, failed=1, resets=int(is_cut(error)), details=(f"{where}: {type(error).__name__}: {error}",))


def is_cut(error: BaseException) -> bool:
    """Whether the connection was there and the other side took it away, by the error or by what caused it."""
    return isinstance(error, CUT) or (error.__cause__ is not None and is_cut(error.__cause__))
