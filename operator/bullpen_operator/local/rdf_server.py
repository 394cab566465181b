"""Sockets of the embedded triplestore: HTTP/1.1 on the standard library, one thread a connection."""

from __future__ import annotations

import logging
import shutil
import socket
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, Final

from bullpen_operator.local.rdf_http import Reply, Request, RequestError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 512_000_000
"""Default limit of a request's body; pyoxigraph holds an update in memory, several times over."""

_IDLE_S: Final = 60.0
_DRAIN_S: Final = 5.0
_BLOCK: Final = 64 * 1024
_LINE_LIMIT: Final = 1024


class RdfServer(ThreadingHTTPServer):
    """Serves one endpoint; `every_poll` is called twice a second by `serve_forever`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Reply],
        max_body_bytes: int = MAX_BODY_BYTES,
        every_poll: Callable[[], None] = lambda: None,
    ) -> None:
        self.answer = answer
        self.max_body_bytes = max_body_bytes
        self.every_poll = every_poll
        self.loopback = ip_address(address[0]).is_loopback
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the name service for our own name, as http.server would."""
        self.address_family = socket.AF_INET
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        """Run what has to be done now and then."""
        self.every_poll()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log what broke a connection; a client that went away is no news."""
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
        logger.log(level, "connection ended early", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: RdfServer
    protocol_version = "HTTP/1.1"
    server_version = "bullpen"
    sys_version = ""
    timeout = _IDLE_S
    # Headers and body leave in one packet: in two, Nagle and the delayed ACK make every reply wait 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        try:
            self._refuse_browsers()
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = self.server.answer(Request(self.command, path, query, headers, self._body()))
        except RequestError as error:
            self.close_connection = True  # the body was not read to its end
            self._send(Reply.of_text(error.status, str(error)))
            self._drain()
        else:
            self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server calls them so

    def _refuse_browsers(self) -> None:
        """A web page must not reach a store without a password on its reader's machine, by form or by DNS rebinding."""
        host = self.headers.get("host", "").rpartition(":")[0].strip("[]") or self.headers.get("host", "")
        named_here = host == "localhost" or (host and _is_loopback(host))
        if "origin" in self.headers or "sec-fetch-site" in self.headers or (self.server.loopback and not named_here):
            raise RequestError(403, "this endpoint does not serve web pages; call it by its loopback address")

    def _drain(self) -> None:
        """Read on for a while: closing on a sender would reset the connection and lose our answer with it."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_DRAIN_S)
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline and self.rfile.read1(_BLOCK):
            pass

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = self._length(self.headers.get("content-length", "0"), 10)
        return self._exactly(length)

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := self._length(
            self.rfile.readline(_LINE_LIMIT).partition(b";")[0].decode("latin-1"), 16, len(body)
        ):
            body += self._exactly(size)
            self.rfile.readline(_LINE_LIMIT)
        while self.rfile.readline(_LINE_LIMIT).strip():
            pass  # trailers
        return bytes(body)

    def _length(self, text: str, base: int, already: int = 0) -> int:
        digits = text.strip()
        if not digits.isalnum():
            raise RequestError(400, "the length of the body is not a number")
        try:
            length = int(digits, base)
        except ValueError as error:
            raise RequestError(400, "the length of the body is not a number") from error
        if already + length > self.server.max_body_bytes:
            raise RequestError(413, f"the body is larger than {self.server.max_body_bytes} bytes")
        return length

    def _exactly(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionResetError("the body ended early")
        return data

    def _send(self, reply: Reply) -> None:
        with reply.body as body:
            length = body.seek(0, 2)
            body.seek(0)
            self.send_response(reply.status)
            if reply.media_type:
                self.send_header("Content-Type", reply.media_type)
            if reply.status != 204:
                self.send_header("Content-Length", str(length))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(body, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        logger.debug("%s %s", self.address_string(), format % args)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
