"""One HTTP request of a processor, within one deadline and up to one size. No redirects, no proxy, no cookies."""

from __future__ import annotations

import http.client
import ssl
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from bullpen_processors.api import NoAnswerError, WebAnswer
from bullpen_runner.graph_http import cut_off_at, reason_of

_PIECE: Final = 1024 * 1024
_GZIP: Final = 31
"""wbits of zlib for gzip."""


class _TooLargeError(Exception):
    pass


def get(url: str, headers: Mapping[str, str], *, timeout_s: float, limit_bytes: int) -> WebAnswer:
    """Send one GET; raises NoAnswerError, which names the host and no more of the URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise NoAnswerError("that is no http:// or https:// URL")
    deadline = time.monotonic() + timeout_s
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout_s)
    try:
        connection.connect()
        with cut_off_at(deadline, connection.sock):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={**_HEADERS, **headers})
            return _read(connection.getresponse(), limit_bytes)
    except ssl.SSLCertVerificationError as error:
        raise NoAnswerError(f"the certificate of {host} is not trusted: {error.verify_message}") from None
    except _TooLargeError:
        raise NoAnswerError(f"{host} answered with more than {limit_bytes:,} bytes") from None
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        raise NoAnswerError(f"{host} gave no answer: {_why(error, deadline, timeout_s)}") from None
    finally:
        connection.close()


_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "bullpen-runner"}


def _why(error: Exception, deadline: float, timeout_s: float) -> str:
    if time.monotonic() >= deadline:
        return f"nothing whole came within {timeout_s:g} s"
    if isinstance(error, OSError | http.client.HTTPException):
        return reason_of(error)
    return "a header has a line break in it" if isinstance(error, ValueError) else "its gzip is broken"


def _read(response: http.client.HTTPResponse, limit_bytes: int) -> WebAnswer:
    unpack = zlib.decompressobj(_GZIP) if response.headers.get("Content-Encoding", "").lower() == "gzip" else None
    body = bytearray()
    while piece := response.read(_PIECE):
        body += piece if unpack is None else unpack.decompress(piece, limit_bytes + 1 - len(body))
        if len(body) > limit_bytes:
            raise _TooLargeError
    if response.length:
        raise http.client.IncompleteRead(b"")
    return WebAnswer(response.status, bytes(body), _seconds(response.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    """Read a Retry-After of seconds; one that is a date is left out."""
    with suppress(ValueError):
        seconds = float(text)
        return seconds if 0 <= seconds < 86_400 else None
    return None
