"""Literals as N-Triples and SPARQL write them, in ASCII, whatever a text holds. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

XSD: Final = "http://www.w3.org/2001/XMLSchema#"

TEXT_LIMIT: Final = 1_024
"""Characters of a literal: names and ids come from producers."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def literal(text: str, limit: int = TEXT_LIMIT) -> str:
    """Render *text* as a string of N-Triples and SPARQL in ASCII, cut at *limit* characters."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    kept = whole if len(whole) <= limit else whole[: limit - 1] + "…"
    return f'"{"".join(map(_escaped, kept))}"'


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
# SPARQL replaces \u escapes before it looks for the end of a string: these must not be written as such


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0x20 <= code < 0x7F:
        return character
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def integer(number: int | None) -> str | None:
    """Render as xsd:integer; None for None."""
    return None if number is None else f'"{number}"^^<{XSD}integer>'


def decimal(number: float | None) -> str | None:
    """Render as xsd:decimal, to a millionth; None for None."""
    if number is None:
        return None
    text = f"{number:.6f}".rstrip("0")
    return f'"{text}{"0" if text.endswith(".") else ""}"^^<{XSD}decimal>'


def instant(milliseconds: int | None) -> str | None:
    """Render milliseconds since 1970 as xsd:dateTime; None for what it cannot hold: producers write what they like."""
    if milliseconds is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f'"{text}Z"^^<{XSD}dateTime>'
