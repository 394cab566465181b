"""The near end of forwarding: hands entries to a process of its own, which talks to the log server.

Not a thread: the client's imports alone would take Python's lock for a good while from whoever renews locks and
finishes jobs meanwhile. Nothing here waits but `close`, and nothing raises.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from bullpen_protocol.forwarding.entries import LogEntry, Target

FLUSH_S: Final = 1.0
"""Longest wait at the end for entries that are under way."""
RESPAWN_S: Final = 30.0
"""Shortest time between two processes, should one die."""

_MODULE: Final = "bullpen_protocol.forwarding.process"
_BUFFER_BYTES: Final = 1 << 20
_WORD_BYTES: Final = 4_096

Tell = Callable[[str, str], None]
"""Takes the level and the text of what is to be said of forwarding itself; on transitions only."""


class Forwarder:
    """Entries go in, none comes back. The process starts with the first entry."""

    def __init__(self, target: Target, environment: Mapping[str, str], tell: Tell) -> None:
        # without credentials of stores
        kept = {name: value for name, value in environment.items() if not name.startswith("BULLPEN_")}
        self._environment = kept | target.to_environment()
        self._tell = tell
        self._channel: socket.socket | None = None
        self._pid = 0
        self._rest_until = 0.0
        self._lost = 0
        self._closed = False

    def put(self, entry: LogEntry) -> None:
        """Forward *entry*, or count it as lost."""
        if self._closed:
            return
        if not self._send(json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogatepass")):
            self._lost += 1
        self._hear()

    def close(self) -> None:
        """Let go what is under way, at most FLUSH_S long, and say what was lost."""
        self._closed = True
        if self._channel is not None:
            with suppress(OSError):
                self._channel.shutdown(socket.SHUT_WR)
            self._hear(until=time.monotonic() + FLUSH_S)
            self._drop()
        if self._lost:
            self._tell("warn", f"{self._lost} log entries could not be handed to the log forwarder")

    def _send(self, message: bytes) -> bool:
        channel = self._channel or self._spawn()
        if channel is None:
            return False
        try:
            channel.send(message)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                self._died()
            return False
        return True

    def _spawn(self) -> socket.socket | None:
        if time.monotonic() < self._rest_until:
            return None
        self._rest_until = time.monotonic() + RESPAWN_S
        # packets: an entry is taken whole or not at all
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._pid = _start(theirs, self._environment)
        except OSError as error:
            ours.close()
            self._tell("warn", f"the log forwarder can't be started: {error.strerror}")
            return None
        finally:
            theirs.close()
        self._channel = ours
        return ours

    def _hear(self, until: float = 0.0) -> None:
        """Pass on what the process says; with *until* wait for its end so long."""
        while self._channel is not None:
            with suppress(BlockingIOError):
                word = self._word()
                if not word:
                    return
                self._tell(*json.loads(word))
                continue
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._channel], [], [], left)[0]:
                return

    def _word(self) -> bytes:
        assert self._channel is not None
        try:
            return self._channel.recv(_WORD_BYTES)
        except ConnectionError:
            return b""

    def _died(self) -> None:
        self._hear()
        self._drop()
        self._tell("warn", "the log forwarder has ended; entries are lost until it is started again")

    def _drop(self) -> None:
        assert self._channel is not None
        self._channel.close()
        self._channel = None
        with suppress(ChildProcessError):  # a runner reaps whatever ends
            os.waitpid(self._pid, os.WNOHANG)


def _start(channel: socket.socket, environment: Mapping[str, str]) -> int:
    """Start the process with *channel* as its standard input: in a group of its own, so that Ctrl-C is not its end."""
    actions = [
        (os.POSIX_SPAWN_DUP2, channel.fileno(), 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),  # what its libraries say is of no use to whoever reads our log
    ]
    command = [sys.executable, "-m", _MODULE]
    return os.posix_spawn(sys.executable, command, dict(environment), file_actions=actions, setpgroup=0)
