"""One HTTP request to a graph store within one deadline; http.client: 35 ms to import where requests takes 100."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from bullpen_runner.graph_errors import Answer, StoreAccessError, StoreAwayError

BLOCK: Final = 64 * 1024
"""Bytes sent between two looks at the clock: a sender that was stopped past its deadline sends no more."""

ANSWER_LIMIT: Final = 64 * 1024
"""Bytes read of an answer: the client reads statuses, locations and complaints, never results."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL with its credentials. Neither is ever part of a message."""

    url: SplitResult
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, username: str | None = None, password: str | None = None) -> Endpoint:
        """Check *url*; raises ValueError with the end of a sentence."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            parts, usable = urlsplit(""), False
        if not usable or not url.isascii():
            raise ValueError("is not an http:// or https:// URL")
        if "@" in parts.netloc:
            raise ValueError("holds credentials; set BULLPEN_GRAPH_USERNAME and BULLPEN_GRAPH_PASSWORD instead")
        if username is None:
            return cls(parts)
        return cls(parts, "Basic " + b64encode(f"{username}:{password or ''}".encode()).decode())

    def at(self, path: str) -> Endpoint:
        """Return another path of the same server, with the same credentials."""
        return replace(self, url=self.url._replace(path=path))

    def send(
        self,
        method: str,
        body: bytes = b"",
        content_type: str | None = None,
        query: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Answer:
        """Send one request, once; *timeout_s* bounds all of it, from connecting to the answer's last byte.

        Raises:
            StoreAwayError: no whole answer came in time; the request may have been carried out all the same.
            StoreAccessError: the server's certificate is not trusted.
        """
        deadline = time.monotonic() + timeout_s
        connection = self._connection(timeout_s)
        try:
            connection.connect()
            with cut_off_at(deadline, connection.sock):
                # A server that refuses early stops reading; its answer is there all the same.
                with suppress(BrokenPipeError, ConnectionResetError):
                    blocks = _blocks(body, deadline)
                    connection.request(method, self._target(query), blocks, self._headers(body, content_type))
                return _read(connection.getresponse())
        except ssl.SSLCertVerificationError as error:
            raise StoreAccessError(f"the graph store's certificate is not trusted: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = f"nothing came within {timeout_s:g} s" if time.monotonic() >= deadline else reason_of(error)
            raise StoreAwayError(f"the graph store gave no answer: {reason}") from error
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        return kind(self.url.hostname or "", self.url.port, timeout=timeout_s)

    def _target(self, query: Mapping[str, str] | None) -> str:
        parameters = "&".join(filter(None, (self.url.query, urlencode(query or {}))))
        return (self.url.path or "/") + (f"?{parameters}" if parameters else "")

    def _headers(self, body: bytes, content_type: str | None) -> dict[str, str]:
        # text/turtle is for SHACL reports: RDF4J renders them by Accept
        headers = {
            "Accept": "application/json, text/plain;q=0.9, text/turtle;q=0.8, */*;q=0.5",
            "Content-Length": str(len(body)),
            "User-Agent": "bullpen-runner",
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        return headers


@contextmanager
def cut_off_at(deadline: float, connected: socket.socket) -> Iterator[None]:
    """Shut the connection at *deadline*: a socket's own timeout starts anew with every byte that drips in."""
    # past SSLSocket.shutdown, which would pull the TLS state from under the reading thread
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _shut, [connected])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _blocks(body: bytes, deadline: float) -> Iterator[bytes]:
    for start in range(0, len(body), BLOCK):
        if time.monotonic() >= deadline:
            raise TimeoutError
        yield body[start : start + BLOCK]


def _read(response: http.client.HTTPResponse) -> Answer:
    return Answer(
        response.status,
        response.headers.get("Content-Type", ""),
        response.read(ANSWER_LIMIT),
        response.headers.get("Location", ""),
    )


def reason_of(error: OSError | http.client.HTTPException) -> str:
    """Say why nothing came, without a host and without a secret."""
    if isinstance(error, ConnectionRefusedError):
        return "it refused the connection"
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    if isinstance(error, ConnectionError | http.client.HTTPException):
        return "the connection broke"
    return (error.strerror or type(error).__name__)[:100]
