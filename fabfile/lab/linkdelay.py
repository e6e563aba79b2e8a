"""Carry Ethernet frames between two interfaces, late: `linkdelay.py IF_A IF_B MILLISECONDS`.

For kernels without sch_netem. It ends when one of the interfaces is gone, so nobody has to remember its pid.
"""

from __future__ import annotations

import collections
import contextlib
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL, OUTGOING = 263, 15, 3, 4
LARGEST_FRAME = 70_000
BUFFER_BYTES = 8 << 20
LOOK_SECONDS = 0.2

Queue = collections.deque[tuple[float, socket.socket, bytes]]


def opened(interface: str) -> socket.socket:
    """A raw socket on the interface; PACKET_VNET_HDR keeps checksum and segmentation offload, so TCP stays right."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    raw.bind((interface, ETH_P_ALL))
    raw.setblocking(False)
    return raw


def take_in(source: socket.socket, target: socket.socket, queue: Queue, delay: float) -> None:
    """Queue every frame that waits at `source` for `target`."""
    with contextlib.suppress(OSError):  # drained, or the link is down
        while True:
            frame, (_, _, kind, *_) = source.recvfrom(LARGEST_FRAME)
            if kind != OUTGOING:
                queue.append((time.monotonic() + delay, target, frame))


def let_out(queue: Queue) -> None:
    """Send the frames whose time has come; one delay for all keeps the queue in order."""
    while queue and queue[0][0] <= time.monotonic():
        _, target, frame = queue.popleft()
        with contextlib.suppress(OSError):  # full or down: lost, as on a wire
            target.send(frame)


def relay(first: str, second: str, delay: float) -> None:
    """Carry frames both ways, `delay` seconds late, until an interface is gone."""
    with opened(first) as left, opened(second) as right:
        numbers = {name: socket.if_nametoindex(name) for name in (first, second)}
        queue: Queue = collections.deque()
        looked = time.monotonic()
        while True:
            wait = max(0.0, min(LOOK_SECONDS, queue[0][0] - time.monotonic())) if queue else LOOK_SECONDS
            for source in select.select([left, right], [], [], wait)[0]:
                take_in(source, right if source is left else left, queue, delay)
            let_out(queue)
            if time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                if not all(_still(name, number) for name, number in numbers.items()):
                    return


def _still(name: str, number: int) -> bool:
    try:
        return socket.if_nametoindex(name) == number
    except OSError:
        return False


if __name__ == "__main__":
    relay(sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000)
