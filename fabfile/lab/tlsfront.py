"""Https in front of a server that speaks plain HTTP: a program of its own, for the lab's S3 node."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys

CHUNK = 1 << 16


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def serve(address: str, port: int, behind: int, certificate: str) -> None:
    """Pass what comes to `address:port` on to `address:behind`, for ever; `certificate` is a PEM with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(address, behind)
            with contextlib.suppress(OSError):
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
            back.close()
        writer.close()

    server = await asyncio.start_server(relay, address, port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
