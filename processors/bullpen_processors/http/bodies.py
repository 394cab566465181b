"""The body of a message as text: base64 as JavaScript reads it, content codings undone, all within bounds. Pure."""

from __future__ import annotations

import binascii
import zlib
from dataclasses import dataclass
from typing import Final

LIMIT: Final = 8 * 2**20
"""Bytes of a body that are looked at, before and after content codings are undone; more is cut, and said."""

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_NO_BASE64: Final = bytes(byte for byte in range(256) if byte not in _ALPHABET + b"-_")
_GZIP: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 47
_RAW_DEFLATE: Final = -15


@dataclass(frozen=True, slots=True)
class Body:
    """What a message carried."""

    text: str
    cut: bool = False
    """There was more than LIMIT."""


def body_of(base64: str | None, codings: str = "") -> Body:
    """Decode a body; *codings* is its Content-Encoding. Text is read as UTF-8, what isn't becomes U+FFFD."""
    if base64 is None:
        return Body("")
    data, cut = _bytes(base64)
    data, inflated_cut = _uncoded(data, codings.lower())
    return Body(data.decode("utf-8", "replace"), cut or inflated_cut)


def _bytes(base64: str) -> tuple[bytes, bool]:
    """Decode as Buffer.from(text, "base64") does: up to the first `=`, whatever is no base64 left out."""
    most = -(-LIMIT * 4 // 3)
    digits = base64.partition("=")[0].encode("ascii", "ignore").translate(_URL_SAFE, _NO_BASE64)
    whole = digits[:most]
    if len(whole) % 4 == 1:
        whole = whole[:-1]
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))[:LIMIT], len(digits) > most


def _uncoded(data: bytes, codings: str) -> tuple[bytes, bool]:
    """Undo gzip and deflate. Recorders keep the header beside a body that is plain already: that is left as it is."""
    if data.startswith(_GZIP):
        return _inflated(data, _GZIP_OR_ZLIB)
    if "deflate" not in codings:
        return data, False
    for window in (_GZIP_OR_ZLIB, _RAW_DEFLATE):
        plain, cut = _inflated(data, window)
        if plain is not data:
            return plain, cut
    return data, False


def _inflated(data: bytes, window: int) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(data, LIMIT)
    except zlib.error:
        return data, False
    return plain, bool(inflater.unconsumed_tail)
