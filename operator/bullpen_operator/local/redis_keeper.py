"""The process above the embedded Redis: starts it, starts it again when it dies, ends it when nobody needs it.

Standard library only, with few imports. It outlives `bullpen local`: attempts whose operator was killed still finish.
"""

# pathlib alone would double the time this takes to start.
# ruff: noqa: PTH123
from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from typing import Final

from bullpen_operator.local import processes

_LOOK_S: Final = 1.0
_MOST_FAILURES: Final = 3
"""Starts in a row that may fail; then the log has to be read by somebody."""
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGCHLD})


def main() -> None:
    """Keep the Redis of a folder; arguments: folder, linger in seconds, command of the server."""
    folder, linger, *command = sys.argv[1:]
    owner = os.open(f"{folder}/owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(owner, True)  # the server keeps it too: no second one on its files before it has ended
    fcntl.flock(owner, fcntl.LOCK_EX)  # a second keeper waits here, and then takes over
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(f"{folder}/keeper.json", "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "start_ticks": processes.start_ticks(os.getpid())}, file)
    Keeper(folder, float(linger), command).run()


class Keeper:
    """One server process at a time."""

    def __init__(self, folder: str, linger_s: float, command: list[str]) -> None:
        self._folder = folder
        self._linger_s = linger_s
        self._command = command
        self._used_at = time.monotonic()
        self._started_at = self._used_at
        self._server = 0
        self._failures = 0

    def run(self) -> None:
        """Serve until told to stop, until unused for the linger time, or until the server can't start."""
        self._start()
        while self._server and not self._is_done():
            received = signal.sigtimedwait(_SIGNALS, _LOOK_S)
            if received is not None and received.si_signo == signal.SIGTERM:
                break
            self._revive()
        if self._server:
            processes.send(self._server, signal.SIGTERM)
            os.waitpid(self._server, 0)

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._server = os.fork()
        if self._server == 0:
            try:
                processes.die_with_parent(signal.SIGTERM)  # Redis writes out what it has and ends
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                os.execv(self._command[0], self._command)  # noqa: S606 - an argument list, no shell
            finally:
                os._exit(127)

    def _revive(self) -> None:
        if os.waitpid(self._server, os.WNOHANG)[0] == 0:
            return
        self._server = 0
        lived = time.monotonic() - self._started_at
        self._failures = 0 if lived > _LOOK_S else self._failures + 1
        if self._failures < _MOST_FAILURES:
            self._start()

    def _is_done(self) -> bool:
        """Whether nobody has used it for the linger time; from then on new users wait until it has ended."""
        users = os.open(f"{self._folder}/users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._used_at = time.monotonic()
        if time.monotonic() - self._used_at > self._linger_s:
            return True  # and the lock is kept
        os.close(users)
        return False
