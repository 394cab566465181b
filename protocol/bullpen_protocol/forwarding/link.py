"""The connection to the log server: a Socket.IO client over WebSocket that comes back by itself."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from bullpen_protocol.forwarding.buffer import Buffer
from bullpen_protocol.forwarding.entries import LogEntry, Target
from bullpen_protocol.timestamps import timestamp

if TYPE_CHECKING:
    import socketio  # type: ignore[import-untyped]

EVENT: Final = "log"
CONNECT_S: Final = 5.0
"""Longest wait for an answer to a connection."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0

_BATCH: Final = 32
_IDLE_S: Final = 1.0
_WRITTEN_S: Final = 0.002


class State(Enum):
    """Of a link."""

    NEW = auto()
    """The first connection is under way."""
    UP = auto()
    AWAY = auto()


class Link:
    """Sends what is in the buffer, in order, whenever there is a connection."""

    def __init__(self, target: Target, buffer: Buffer, say: Callable[[str, str], None]) -> None:
        self._target = target
        self._buffer = buffer
        self._say = say
        self.state = State.NEW
        self.done = threading.Event()
        """All was sent, and the server has seen the end of it."""

    def run(self) -> None:
        """Connect, send, connect again; until the buffer is closed and empty, or closed and nobody listens."""
        pause_s = FIRST_PAUSE_S
        while not self.done.is_set():
            try:
                self._connect_and_send()
                pause_s = FIRST_PAUSE_S
            except ImportError:
                self._gone("python-socketio is missing in this image: nothing is forwarded")
                return
            except Exception:  # noqa: BLE001 - a client's threads raise what they like; whatever it was, try again
                self._gone(f"the log server at {self._target.url} is away; the newest entries wait for it")
            if self._buffer.wait_for_close(pause_s * random.uniform(0.75, 1.25)):  # noqa: S311 - no secret
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _connect_and_send(self) -> None:
        import socketio  # noqa: PLC0415 - meanwhile entries are heard

        client = socketio.Client(reconnection=False, handle_sigint=False, request_timeout=CONNECT_S)
        namespaces = [self._target.namespace]
        client.connect(self._target.url, transports=["websocket"], namespaces=namespaces, wait_timeout=CONNECT_S)
        self._came(client)
        self._send(client)
        if not self.done.is_set():
            raise ConnectionError

    def _send(self, client: socketio.Client) -> None:
        while client.connected:
            batch = self._buffer.take(_BATCH, _IDLE_S)
            if not batch and self._buffer.closed:
                client.disconnect()  # waits for the server's own end: by then it has read all
                self.done.set()
                return
            try:
                while batch:
                    self._emit(client, batch[0])
                    batch.pop(0)
            finally:
                self._buffer.give_back(batch)
            self._await_written(client)

    def _emit(self, client: socketio.Client, entry: LogEntry) -> None:
        client.emit(EVENT, entry, namespace=self._target.namespace)

    @staticmethod
    def _await_written(client: socketio.Client) -> None:
        """Let the client's own queue, which has no bound, run empty."""
        while client.connected and client.eio.queue.unfinished_tasks:
            time.sleep(_WRITTEN_S)

    def _came(self, client: socketio.Client) -> None:
        if self.state is State.AWAY:
            self._say("info", f"the log server at {self._target.url} is back")
        self.state = State.UP
        if dropped := self._buffer.count_dropped():
            self._emit(client, dropped_entry(dropped, time.time()))

    def _gone(self, sentence: str) -> None:
        if self.state is not State.AWAY:
            self._say("warn", sentence)
        self.state = State.AWAY


def dropped_entry(count: int, now: float) -> LogEntry:
    """Say on the other side that something is missing; *now* is in seconds since 1970."""
    msg = f"{count} entries were dropped on the way here"
    return LogEntry(ts=timestamp(now), level="warn", ns="logs-forwarder", msg=msg)
