"""Frames come out late, in order, and on the other side."""

from __future__ import annotations

import collections
import socket
import time

from fabfile.lab.linkdelay import Queue, let_out


def test_a_frame_waits_for_its_time_and_keeps_its_turn() -> None:
    inside, outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with inside, outside:
        outside.setblocking(False)
        now = time.monotonic()
        queue: Queue = collections.deque(
            [(now - 2, inside, b"first"), (now - 1, inside, b"second"), (now + 60, inside, b"later")]
        )
        let_out(queue)
        assert [outside.recv(100), outside.recv(100)] == [b"first", b"second"]
        assert [frame for _, _, frame in queue] == [b"later"]
