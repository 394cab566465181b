"""Stands before a real graph store and spoils what a test says; everything else passes through unchanged."""

from __future__ import annotations

import base64
import http.client
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from servers.graph import GraphServer


@dataclass(frozen=True)
class Said:
    """An answer of the proxy's own instead of the store's."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain"


@dataclass(frozen=True)
class Lost:
    """The store carries the request out, its answer never arrives."""


@dataclass(frozen=True)
class Drips:
    """A byte of the answer every tenth of a second, for ever."""


Fault = Said | Lost | Drips


@dataclass
class GraphProxy:
    """`fault` decides what happens to a request by its method, target and body; None: it passes."""

    target: GraphServer
    fault: Callable[[str, str, bytes], Fault | None] = lambda _method, _target, _body: None
    password: tuple[str, str] | None = None
    """Asked for by the proxy, before a store that asks for none."""
    on_answer: Callable[[], object] = lambda: None
    """Called when the store has carried out a request, before its answer is passed on."""
    tls: Path | None = None
    """Certificate and key in one file: the proxy speaks https."""
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, target and status of every request; status 0: no answer."""

    @contextmanager
    def running(self) -> Iterator[GraphServer]:
        """The target, seen through the proxy."""
        server = _Server(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self.target.behind(f"127.0.0.1:{server.server_port}", "https" if self.tls else "http")
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""


def _handler(proxy: GraphProxy) -> type[_Handler]:
    return type("Handler", (_Handler,), {"proxy": proxy})


class _Handler(BaseHTTPRequestHandler):
    proxy: GraphProxy
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        fault = self.proxy.fault(self.command, self.path, body) if self._is_let_in() else Said(401)
        if isinstance(fault, Said):
            self._send(fault.status, fault.body, {"Content-Type": fault.media_type})
        elif isinstance(fault, Drips):
            self._drip()
        else:
            status, answer, headers = self._forward(body)
            self.proxy.on_answer()
            self._send(status, answer, headers) if fault is None else self._cut()

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - their names upstream

    def _is_let_in(self) -> bool:
        if self.proxy.password is None:
            return True
        expected = "Basic " + base64.b64encode(":".join(self.proxy.password).encode()).decode()
        return bool(self.headers.get("authorization") == expected)

    def _forward(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self.proxy.target.query_url).netloc, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        passed = {"Content-Type", "Location"}
        return answer.status, data, {name: value for name, value in answer.getheaders() if name in passed}

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.proxy.seen.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.proxy.seen.append((self.command, self.path, 0))
        self.close_connection = True

    def _drip(self) -> None:
        self._cut()
        with suppress(OSError):
            for byte in itertools.chain(b"HTTP/1.1 204 No Content\r\nX-Drip: ", itertools.repeat(ord("x"))):
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        pass
