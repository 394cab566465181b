"""Entries that wait for the log server: the newest are kept, the others counted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from bullpen_protocol.forwarding.entries import LogEntry

ENTRIES: Final = 256
"""Three times what a dashboard shows."""


class Buffer:
    """Between the thread that hears entries and the one that sends them."""

    def __init__(self, limit: int = ENTRIES) -> None:
        self._limit = limit
        self._entries: deque[LogEntry] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self.closed = False
        """No more will come."""

    def put(self, entries: Iterable[LogEntry]) -> None:
        """Add entries; the oldest make room."""
        with self._changed:
            for entry in entries:
                self._entries.append(entry)
            self._bound()
            self._changed.notify()

    def take(self, most: int, patience_s: float) -> list[LogEntry]:
        """Take the oldest entries; wait so long for the first, or until nothing more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self.closed, patience_s)
            return [self._entries.popleft() for _ in range(min(most, len(self._entries)))]

    def give_back(self, entries: list[LogEntry]) -> None:
        """Put back what could not be sent."""
        with self._changed:
            self._entries.extendleft(reversed(entries))
            self._bound()

    def close(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self.closed = True
            self._changed.notify()

    def wait_for_close(self, patience_s: float) -> bool:
        """Wait, and no longer once nothing more will come; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self.closed, patience_s)

    def count_dropped(self) -> int:
        """Say how many entries had to go, and begin anew."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def __len__(self) -> int:
        return len(self._entries)

    def _bound(self) -> None:
        while len(self._entries) > self._limit:
            self._entries.popleft()
            self._dropped += 1
