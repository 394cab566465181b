"""The wire between supervisor and child: length-prefixed frames. Pure; the sockets are elsewhere."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple

HEADER: Final = struct.Struct("!BQ")
"""One byte of kind, eight of length."""

FRAME_LIMIT_BYTES: Final = 512 * 1024 * 1024
"""Redis stores no larger string, and no graph store takes a larger body: a longer frame is a broken child."""


class Kind(IntEnum):
    """What a frame says. Below 16 the supervisor speaks, from 16 on the child."""

    JOB = 1
    """JSON {name}: the job's name."""
    PAYLOAD = 2
    """The payload's bytes as they lie in Redis; the child starts to work."""
    ANSWER = 3
    """JSON {status}: the store took the write; the child makes the value of it."""
    TOLD = 4
    """JSON: the answer to an ASK."""
    READY = 16
    """The processor is imported."""
    MISCONFIGURED = 17
    """JSON {reason}: it can't be: a fault of the image or the configuration."""
    PROGRESS = 18
    """JSON: a number or an object."""
    LINE = 19
    """Text: a line of the job's log."""
    RECORD = 20
    """JSON {level, ns, msg}: what a library logged."""
    WRITE = 21
    """What goes to the graph; comes before its RESULT."""
    RESULT = 22
    """JSON {value, used}: JSON text, or null when it is made from the store's answer; bytes and seconds so far."""
    FAILURE = 23
    """JSON {kind, reason, stack, used}."""
    ASK = 24
    """JSON {do, ...}: what is asked of the commons (shared.py); the child waits for a TOLD."""


class Frame(NamedTuple):
    """One message."""

    kind: Kind
    body: bytes

    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


class FrameError(ValueError):
    """The stream holds no frame: the child overwrote its own channel."""


def header(kind: Kind, body: bytes) -> bytes:
    """Return what goes before *body* on the wire."""
    return HEADER.pack(kind, len(body))


def encode_json(value: Any) -> bytes:
    """Render a small body; ASCII, so that no lone surrogate can break it."""
    return json.dumps(value).encode("ascii")


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; yield each frame that is complete. Raises FrameError."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            code, length = HEADER.unpack_from(self._buffer)
            kind = self._kind(code, length)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(memoryview(self._buffer)[HEADER.size : end])
            del self._buffer[:end]
            yield Frame(kind, body)

    @staticmethod
    def _kind(code: int, length: int) -> Kind:
        try:
            kind = Kind(code)
        except ValueError:
            raise FrameError("the processor's process wrote to the runner's channel") from None
        if length > FRAME_LIMIT_BYTES:
            raise FrameError(
                f"the processor's process sent {length:,} bytes; at most {FRAME_LIMIT_BYTES:,} are accepted"
            )
        return kind
