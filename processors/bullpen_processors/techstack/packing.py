"""Records as text that jobs hand on to each other: small, and checked when it is read. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Final

from bullpen_processors.api import Json

MOST_BYTES: Final = 4 * 1024 * 1024
"""Packed; what is larger is asked for again: it would crowd the queues out of their Redis."""
_UNPACKED_MOST: Final = 256 * 1024 * 1024


def pack(found: list[Json]) -> str | None:
    """Return text for trimmed records; None when it would be too large."""
    packed = base64.b64encode(zlib.compress(json.dumps(found, separators=(",", ":")).encode(), 6)).decode()
    return packed if len(packed) <= MOST_BYTES else None


def unpack(text: str | None) -> list[Json] | None:
    """Read it back; None for what is not there, or not ours."""
    if not text:
        return None
    try:
        stream = zlib.decompressobj()
        found = json.loads(stream.decompress(base64.b64decode(text, validate=True), _UNPACKED_MOST))
    except (ValueError, zlib.error, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) and "id" in one for one in found) else None
