"""What the child writes to stdout and stderr, as bounded lines of the log."""

from __future__ import annotations

import os
from typing import Final

from bullpen_runner.log import LINE_LIMIT, Level, Log
from bullpen_runner.loop import Loop

LINES: Final = 20_000
"""Lines of one stream that are kept of one attempt."""

_CHUNK: Final = 64 * 1024
_CHUNKS: Final = 64


class Output:
    """One stream of the child."""

    def __init__(self, handle: int, level: Level, log: Log) -> None:
        self._handle = handle
        self._level = level
        self._log = log
        self._rest = b""
        self._lines = 0

    def watch(self, loop: Loop) -> None:
        """Read whenever there is something, until the stream ends."""
        loop.watch(self._handle, lambda: None if self._read() else loop.unwatch(self._handle))

    def catch_up(self) -> None:
        """Read what is there, so that it comes before what the runner is about to log."""
        for _ in range(_CHUNKS):
            if not self._read():
                break

    def drain(self) -> None:
        """Read what is left of a child that has ended; a process that it left behind may keep the stream open."""
        self.catch_up()
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _read(self) -> bool:
        try:
            data = os.read(self._handle, _CHUNK)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LINE_LIMIT:
            self._line(self._rest)
            self._rest = b""
        return bool(data)

    def _line(self, line: bytes) -> None:
        self._lines += 1
        if self._lines <= LINES:
            self._log.line(self._level, "processor", line[: 4 * LINE_LIMIT].decode(errors="replace").rstrip("\r"))
        elif self._lines == LINES + 1:
            self._log.warn(f"the processor printed more than {LINES:,} lines; the rest is left out")
