"""The supervisor's event loop: readable files, timers and signals, in one thread."""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

_TURN_S: Final = 5.0
"""Longest sleep of one turn; nothing depends on it."""


class Stopped(BaseException):
    """SIGTERM or SIGINT came while it may still stop everything."""


class Timer:
    """A callback that is due at some time, unless it is cancelled."""

    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Forget it; harmless when it has run."""
        self.cancelled = True


class Loop:
    """Waits for what comes first. Times are of `time.monotonic`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def watch(self, handle: int, callback: Callable[[], None], *, write: bool = False) -> None:
        """Call back whenever *handle* is readable (or writable)."""
        self._selector.register(handle, selectors.EVENT_WRITE if write else selectors.EVENT_READ, callback)

    def unwatch(self, handle: int) -> None:
        """Stop it; harmless for a handle that is not watched."""
        if handle in self._selector.get_map():
            self._selector.unregister(handle)

    def at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once, at *when*."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in so many seconds."""
        return self.at(time.monotonic() + seconds, callback)

    def forget_timers(self) -> None:
        """Call nothing back any more that was to be called at some time."""
        self._timers.clear()

    def run_until(self, done: Callable[[], bool]) -> None:
        """Turn until *done*. What a callback raises comes out here."""
        while not done():
            self.turn()

    def pause(self, seconds: float) -> None:
        """Turn for so many seconds."""
        over: list[bool] = []
        self.after(seconds, lambda: over.append(True))
        self.run_until(lambda: bool(over))

    def turn(self) -> None:
        """Wait for the next event and handle all that is due."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                timer.callback()

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return _TURN_S
        return min(max(self._timers[0][0] - time.monotonic(), 0.0), _TURN_S)


class Signals:
    """SIGTERM and SIGINT stop everything, at once and wherever the supervisor is, until `shield` was called.

    A handler that raises also ends a wait inside Redis or DNS (PEP 475 retries system calls only when it returns).
    SIGCHLD wakes the loop and calls `on_child`. Made before the fork: PID 1 ignores a signal without a handler.
    """

    def __init__(self, loop: Loop, *, shielded: bool = False) -> None:
        self.stop_requested = False
        self.on_child: Callable[[], None] = lambda: None
        self._shielded = shielded
        self._reader, self._writer = os.pipe()
        for handle in (self._reader, self._writer):
            os.set_blocking(handle, False)
        loop.watch(self._reader, self._drain)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def shield(self) -> None:
        """From here on a stop has to wait for the end: something is about to be persisted."""
        self._shielded = True
        self._raise_if_asked()

    def settle(self) -> None:
        """The ending is known: nothing is raised any more."""
        self._shielded = True

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        first, self.stop_requested = not self.stop_requested, True
        if first and not self._shielded:
            raise Stopped

    def _drain(self) -> None:
        while self._read():
            pass
        if not self._shielded:
            self._raise_if_asked()  # what was raised inside a finalizer was swallowed
        self.on_child()

    def _read(self) -> bytes:
        try:
            return os.read(self._reader, 512)
        except BlockingIOError:
            return b""

    def _raise_if_asked(self) -> None:
        if self.stop_requested:
            raise Stopped
