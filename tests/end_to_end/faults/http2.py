"""HTTP/2 by hand: frames that no client library would send."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from tests.end_to_end.faults.sender import EXPORT

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_HEADERS = 0x4
CANCEL = struct.pack(">I", 8)
ENHANCE_YOUR_CALM = 0xB


def frame(kind: int, stream: int = 0, payload: bytes = b"", *, flags: int = 0) -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name: str, value: str) -> bytes:
    """Return one header, spelled out."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


EXPORT_HEADERS = b"".join(
    field(name, value)
    for name, value in (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", EXPORT),
        (":authority", "receiver"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    )
)


def rapid_reset() -> Iterator[bytes]:
    """Open streams and cancel each at once (CVE-2023-44487)."""
    for stream in range(1, 200_001, 2):
        yield frame(HEADERS, stream, EXPORT_HEADERS, flags=END_HEADERS) + frame(RST_STREAM, stream, CANCEL)


def pings() -> Iterator[bytes]:
    """Ask for an answer, again and again."""
    for number in range(200_000):
        yield frame(PING, payload=struct.pack(">Q", number))


def continuations() -> Iterator[bytes]:
    """Send headers without end."""
    yield frame(HEADERS, 1, EXPORT_HEADERS)
    for number in range(100_000):
        yield frame(CONTINUATION, 1, field(f"x-{number}", "y" * 100))


def settings() -> Iterator[bytes]:
    """Change settings, again and again."""
    for number in range(200_000):
        yield frame(SETTINGS, payload=struct.pack(">HI", 4, 65_535 + number))


async def flood(
    address: str, frames: Iterator[bytes], *, at_once: int = 100, pause_s: float = 0, longest_s: float = 5
) -> bytes:
    """Send frames, as fast as they are taken unless told otherwise; return what the other side said, if it hung up."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    said = bytearray()
    listening = asyncio.create_task(_listen(reader, said))
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(longest_s):
            writer.write(PREFACE + frame(SETTINGS))
            while not said:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
            for number, one in enumerate(frames):
                writer.write(one)
                if number % at_once == 0:
                    await writer.drain()
                    await asyncio.sleep(pause_s)
                    if listening.done():
                        break
    has_hung_up = listening.done()
    writer.close()
    await listening
    return bytes(said) if has_hung_up else b""


async def _listen(reader: asyncio.StreamReader, said: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            said += piece


def goaway_codes(said: bytes) -> list[int]:
    """Return the error codes of the GOAWAY frames in what a server said."""
    codes, at = [], 0
    while at + 9 <= len(said):
        length, kind = int.from_bytes(said[at : at + 3]), said[at + 3]
        if kind == GOAWAY:
            codes.append(int.from_bytes(said[at + 13 : at + 17]))
        at += 9 + length
    return codes
