"""A web site on loopback that answers what it was told to, and misbehaves where a test says so."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Page:
    """What one path answers."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    delay_s: float = 0.0
    """Before the answer; with `drips`, between two of its bytes."""
    drips: bool = False


@dataclass
class Site:
    """What was asked of it."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    """The Host headers."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(pages: Mapping[str, Page], certificate: Path | None = None) -> Iterator[Site]:
    """Serve until the block ends; with *certificate*, over TLS."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"pages": pages, "site": site}))
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.port = server.server_port
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    pages: Mapping[str, Page]
    site: Site

    def do_GET(self) -> None:
        self.site.paths.append(self.path)
        self.site.hosts.append(self.headers.get("Host", ""))
        page = self.pages.get(self.path, Page(status=404))
        self.close_connection = True
        if not page.drips:
            time.sleep(page.delay_s)
        try:
            self.send_response(page.status)
            for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for byte in page.body if page.drips else ():
                self.wfile.write(bytes([byte]))
                time.sleep(page.delay_s)
            if not page.drips:
                self.wfile.write(page.body)
        except OSError:
            pass  # the client has had enough

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        pass
