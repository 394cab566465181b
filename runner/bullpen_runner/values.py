"""Payload and return value: JSON in, JSON out, as Node reads and writes it. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

PAYLOAD_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""Twice what OntoWeb-PT's API accepts as a request body."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class PayloadError(ValueError):
    """The payload can never be processed; one sentence, without any of it."""


class ValueNotJsonError(ValueError):
    """A processor returned what JSON can't hold; one sentence, without any of it."""


def check_size(size: int) -> None:
    """Refuse a payload of *size* bytes when it is too large to be handed on."""
    if size > PAYLOAD_LIMIT_BYTES:
        raise PayloadError(f"the payload is {size:,} bytes; at most {PAYLOAD_LIMIT_BYTES:,} are accepted")


def parse_payload(body: bytes) -> Any:
    """Read a payload; raises PayloadError."""
    check_size(len(body))
    try:
        return parse_json(body.decode())
    except RecursionError:
        raise PayloadError("the payload is nested too deep") from None
    except json.JSONDecodeError as error:
        raise PayloadError(f"the payload is not JSON: {error.msg} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise PayloadError(f"the payload is not UTF-8: byte {error.start}") from None


def parse_json(text: str) -> Any:
    """Read JSON, in which NaN and Infinity are none; raises JSONDecodeError, PayloadError, RecursionError."""
    return json.loads(text, parse_constant=_refuse_constant)


def holds_half_a_pair(body: bytes, payload: Any) -> bool:
    """Tell whether *body*, read as *payload*, holds half a surrogate pair: JSON allows it, Unicode does not."""
    if not _ESCAPED_SURROGATE.search(body):
        return False
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"the payload is not JSON: it holds {name}")


def dump_value(value: Any) -> str:
    """Render a return value as JSON.stringify does: NaN and infinities as null, half a surrogate pair escaped.

    Raises ValueNotJsonError.
    """
    try:
        return _escape_surrogates(_dump(value))
    except RecursionError:
        raise ValueNotJsonError("the processor's return value is nested too deep for JSON") from None
    except TypeError as error:
        raise ValueNotJsonError(f"the processor's return value is not JSON: {error}") from None
    except ValueError:  # json's word for a circular reference
        raise ValueNotJsonError("the processor's return value contains itself") from None


def _dump(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value, ()), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _without_nan(value: Any, above: tuple[int, ...]) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if id(value) in above:
        raise ValueError("circular")
    inside = (*above, id(value))
    if isinstance(value, dict):
        return {_key(key): _without_nan(item, inside) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item, inside) for item in value]
    return value


def _key(key: Any) -> Any:
    """JavaScript's names of the numbers that JSON lacks."""
    if isinstance(key, float) and not math.isfinite(key):
        return "NaN" if math.isnan(key) else f"{'-' if key < 0 else ''}Infinity"
    return key


def _escape_surrogates(text: str) -> str:
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def progress_text(value: Any) -> str | None:
    """Render a progress as JSON, or None for what is none: it has to be a finite number or an object."""
    if isinstance(value, bool) or not isinstance(value, int | float | dict):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        return dump_value(value)
    except ValueNotJsonError:
        return None
