"""Stands between one client and a Redis: cuts the line, or lets a command through and loses its answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Final, Self
from urllib.parse import urlsplit

_CHUNK: Final = 1 << 20


class RedisLine:
    """A line to a server on TCP. `url` is what the client is told."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.lost = 0
        """Answers that were lost so far."""
        self._up = True
        self._lose: bytes | None = None
        self._then_cut = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """From now on nothing goes through and nobody gets a connection."""
        with self._lock:
            self._up = False
            for end in self._open:
                _shut(end)

    def mend(self) -> None:
        """Let new connections through again."""
        with self._lock:
            self._up = True

    def lose_answer_to(self, text: bytes, *, then_cut: bool = False) -> None:
        """Let the next command that holds *text* reach the server, and cut its connection instead of answering.

        With *then_cut* the line stays cut until it is mended.
        """
        self._lose, self._then_cut = text, then_cut

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._server) as server:
            self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with self._connected(client, server):
            deaf = threading.Event()
            back = threading.Thread(target=self._carry_back, args=(server, client, deaf), daemon=True)
            back.start()
            while data := client.recv(_CHUNK):
                if self._lose is not None and self._lose in data:
                    self._lose = None
                    deaf.set()
                server.sendall(data)
            _shut(server)
            back.join(5)

    @contextlib.contextmanager
    def _connected(self, *ends: socket.socket) -> Iterator[None]:
        with self._lock:
            if not self._up:
                raise ConnectionRefusedError
            self._open.update(ends)
        try:
            yield
        finally:
            with self._lock:
                self._open.difference_update(ends)

    def _carry_back(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                if deaf.is_set():
                    self._up = self._up and not self._then_cut
                    self.lost += 1
                    break
                client.sendall(data)
        _shut(client)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
