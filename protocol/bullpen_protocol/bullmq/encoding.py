"""Text as Node writes it: JSON without escapes, msgpack of the arguments of scripts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def to_json(value: Any) -> str:
    """Render like JSON.stringify: no spaces, non-ASCII as it is, NaN and infinity as null, lone surrogates escaped.

    Raises TypeError or RecursionError for what JSON can't hold.
    """
    try:
        text = _WRITER.encode(value)
    except ValueError:
        text = _WRITER.encode(_finite(value))
    return escape_surrogates(text)


_WRITER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""Made once: json.dumps() makes one a call when told how to write, a fiftieth of a finish."""


def escape_surrogates(text: str) -> str:
    """Make JSON text encodable: a lone surrogate can only be sent as an escape."""
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def plain(text: str) -> str:
    """Make any text encodable: a lone surrogate, and a byte that was no UTF-8, becomes U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def from_json(text: str | None, default: Any) -> Any:
    """Parse what a producer wrote; *default* when there is none, or it is no JSON, or nested beyond reason."""
    try:
        return default if text is None else _READER.decode(text)
    except (ValueError, RecursionError):
        return default


def _as_node_reads(digits: str) -> int | float:
    """A double where it is more than one holds exactly: msgpack takes no integer above 64 bits."""
    return int(digits) if len(digits) < 16 else float(digits)


_READER: Final = json.JSONDecoder(parse_int=_as_node_reads)


def json_object(text: str | None) -> dict[str, Any]:
    """Parse a JSON object; anything else is an empty one."""
    value = from_json(text, None)
    return value if isinstance(value, dict) else {}


def pack(value: Any) -> bytes:
    """Pack for cmsgpack in a script, which reads text but no binary; ids of foreign bytes go through unchanged."""
    packed: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return packed


def pack_fields(fields: Mapping[str, str]) -> bytes:
    """Pack hash fields as the flat list that the scripts hand to HMSET; none at all is empty."""
    flat = [part for item in fields.items() for part in item]
    return pack(flat) if flat else b""


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
