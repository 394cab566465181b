"""One HTTP request of a processor, within one deadline and up to one size. No redirects, no proxy, no cookies."""

from __future__ import annotations

import http.client
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bullpen_processors.api import NoAnswerError, WebAnswer
from bullpen_runner.graph_http import cut_off_at, reason_of

_PIECE: Final = 1024 * 1024
_GZIP: Final = 31
"""wbits of zlib for gzip."""


class _TooLargeError(Exception):
    pass


class _UnknownEncodingError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may take, whatever the other side does."""

    deadline: float
    """Of time.monotonic()."""
    timeout_s: float
    """What the deadline was made of, for people."""
    limit_bytes: int

    @classmethod
    def of(cls, timeout_s: float, limit_bytes: int) -> Bounds:
        """Let the time begin now."""
        return cls(time.monotonic() + timeout_s, timeout_s, limit_bytes)

    @property
    def left_s(self) -> float:
        """What is left of the time; 0 at its end."""
        return max(0.0, self.deadline - time.monotonic())


def get(url: str, headers: Mapping[str, str], *, timeout_s: float, limit_bytes: int) -> WebAnswer:
    """Send one GET; raises NoAnswerError, which names the host and no more of the URL."""
    parts, bounds = parse(url), Bounds.of(timeout_s, limit_bytes)
    with no_answer_from(host_of(parts), bounds), closing(connection_to(parts, timeout_s)) as connection:
        connection.connect()
        with (
            cut_off_at(bounds.deadline, connection.sock),
            ask(connection, parts, {"Accept": "application/json", **headers}) as response,
        ):
            return read(response, limit_bytes)


def parse(url: str) -> SplitResult:
    """Split a URL that HTTP is spoken to; raises NoAnswerError."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise NoAnswerError("that is no http:// or https:// URL")


def host_of(parts: SplitResult) -> str:
    """Return the host of a URL that `parse` took."""
    return parts.hostname or ""


def connection_to(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    """Make a connection that is not open yet."""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    # without a port it would read one out of an IPv6 address
    return kind(host_of(parts), parts.port or kind.default_port, timeout=timeout_s)


@contextmanager
def no_answer_from(host: str, bounds: Bounds) -> Iterator[None]:
    """Say of whatever goes wrong that no answer came, and why."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NoAnswerError(f"the certificate of {host} is not trusted: {error.verify_message}") from None
    except _TooLargeError:
        raise NoAnswerError(f"{host} answered with more than {bounds.limit_bytes:,} bytes") from None
    except _UnknownEncodingError:
        raise NoAnswerError(f"{host} answered in an encoding that it was not asked for") from None
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        raise NoAnswerError(f"{host} gave no answer: {_why(error, bounds)}") from None


def ask(
    connection: http.client.HTTPConnection, parts: SplitResult, headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    """Send a GET over an open connection and return the answer up to its headers."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={**_HEADERS, **headers})
    return connection.getresponse()


_HEADERS: Final = {"Accept-Encoding": "gzip", "User-Agent": "bullpen-runner"}


def _why(error: Exception, bounds: Bounds) -> str:
    if not bounds.left_s:
        return f"nothing whole came within {bounds.timeout_s:g} s"
    if isinstance(error, OSError | http.client.HTTPException):
        return reason_of(error)
    return "a header has a line break in it" if isinstance(error, ValueError) else "its gzip is broken"


def read(response: http.client.HTTPResponse, limit_bytes: int) -> WebAnswer:
    """Read the rest of an answer, unpacked no further than the limit."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise _UnknownEncodingError
    unpack = zlib.decompressobj(_GZIP) if encoding.endswith("gzip") else None
    body = bytearray()
    while piece := response.read(_PIECE):
        body += piece if unpack is None else unpack.decompress(piece, limit_bytes + 1 - len(body))
        if len(body) > limit_bytes:
            raise _TooLargeError
    if response.length:
        raise http.client.IncompleteRead(b"")
    retry_after_s = _seconds(response.headers.get("Retry-After", ""))
    return WebAnswer(response.status, bytes(body), retry_after_s, response.headers.get("Content-Type", ""))


def _seconds(text: str) -> float | None:
    """Read a Retry-After of seconds; one that is a date is left out."""
    with suppress(ValueError):
        seconds = float(text)
        return seconds if 0 <= seconds < 86_400 else None
    return None
