"""A TCP proxy before a real Redis that loses answers, cuts connections and partitions, at the command a test names."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import BinaryIO, Final, Self

from bullpen_protocol.bullmq.scripts import source

Words = list[bytes]
Match = Callable[[Words], bool]


class Fault(Enum):
    """What happens to one matching command."""

    LOSE_REPLY = "lose"
    """Redis executes it; the connection is closed before its answer is passed on."""
    CUT = "cut"
    """The connection is closed before Redis has seen it."""
    NO_REPLY = "no reply"
    """Redis executes it; the answer never comes, the connection stays open."""


@dataclass
class Rule:
    """The *nth* matching command and the `times - 1` after it get the fault."""

    match: Match
    fault: Fault
    nth: int = 1
    times: int = 1
    seen: int = 0
    done: int = 0

    def hits(self, words: Words) -> bool:
        """Count *words* if it matches; True when the fault is due."""
        if not self.match(words):
            return False
        self.seen += 1
        due = self.nth <= self.seen < self.nth + self.times
        self.done += due
        return due

    def take_back(self) -> None:
        """The server had not got the script yet and did nothing: that call does not count."""
        self.seen -= 1
        self.done -= 1


def command(name: str) -> Match:
    """Match a command by its name."""
    return lambda words: words[0].upper() == name.upper().encode()


def script(name: str) -> Match:
    """Match a script by its file name, called by its digest or by its text."""
    lua = source(name)
    known = {lua.sha1.encode(), lua.text.encode()}
    return lambda words: words[0].upper() in (b"EVALSHA", b"EVAL") and words[1] in known


@dataclass
class RedisProxy:
    """Listens on a port of 127.0.0.1 of its own; each connection has one of its own to the server."""

    server_port: int
    rules: list[Rule] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """Names of all commands that came, in order."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._partitioned = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """To connect to instead of the server's own."""
        return f"redis://127.0.0.1:{self.port}/0"

    def on(self, match: Match, fault: Fault, *, nth: int = 1, times: int = 1) -> Rule:
        """Lay a trap; `rule.done` tells how often it has sprung."""
        rule = Rule(match, fault, nth, times)
        with self._lock:
            self.rules.append(rule)
        return rule

    def partition(self) -> None:
        """Cut every connection and refuse new ones until heal()."""
        with self._lock:
            self._partitioned = True
            opened, self._open = self._open, set()
        for one in opened:
            _close(one)

    def heal(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._partitioned = False

    def close(self) -> None:
        """End for good."""
        self.partition()
        _close(self._listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        with self._lock:
            refused = self._partitioned
            if not refused:
                self._open |= {client, server}
        try:
            if not refused:
                server.connect(("127.0.0.1", self.server_port))
                self._relay(client, server)
        except (OSError, ValueError, EOFError):
            pass  # one side has gone
        finally:
            _close(client)
            _close(server)
            with self._lock:
                self._open -= {client, server}

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        asked, answered = client.makefile("rb"), server.makefile("rb")
        while True:
            raw, words = read_command(asked)
            due = self._due(words)
            if due is not None and due.fault is Fault.CUT:
                return
            server.sendall(raw)
            reply = read_reply(answered)
            if due is not None and reply.startswith(b"-NOSCRIPT"):
                due.take_back()
            elif due is not None and due.fault is Fault.LOSE_REPLY:
                return
            elif due is not None:
                asked.read()  # until the client gives up
                return
            client.sendall(reply)

    def _due(self, words: Words) -> Rule | None:
        with self._lock:
            self.sent.append(words[0].upper())
            return next((rule for rule in self.rules if rule.hits(words)), None)


def read_command(stream: BinaryIO) -> tuple[bytes, Words]:
    """Read one command as clients send it: its bytes and its words."""
    header = _line(stream)
    raw, words = [header], []
    for _ in range(int(header[1:])):
        length = _line(stream)
        word = _exactly(stream, int(length[1:]) + 2)
        raw += [length, word]
        words.append(word[:-2])
    return b"".join(raw), words


def read_reply(stream: BinaryIO) -> bytes:
    """Read one whole answer (RESP2)."""
    header = _line(stream)
    kind, size = header[:1], header[1:-2]
    if kind == b"$" and size != b"-1":
        return header + _exactly(stream, int(size) + 2)
    if kind == b"*" and size != b"-1":
        return header + b"".join(read_reply(stream) for _ in range(int(size)))
    return header


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line.endswith(_END):
        raise EOFError
    return line


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
    one.close()


_END: Final = b"\r\n"
