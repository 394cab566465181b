"""Say once what is said again and again. Pure: the time is passed in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bullpen_protocol.forwarding.entries import LogEntry

WINDOWS: Final = 1_000
"""Windows that are open at once; with one more the oldest ends early."""


@dataclass(slots=True)
class _Window:
    ends: float
    last: LogEntry
    suppressed: int = 0


class Coalescer:
    """Of entries with equal ns, level and msg within a window, the first passes; the others become one count.

    A window begins with the first entry and is not prolonged. Times are seconds of any clock that never goes back.
    """

    def __init__(self, window_s: float, windows: int = WINDOWS) -> None:
        self._window_s = window_s
        self._limit = windows
        self._windows: dict[str, _Window] = {}  # by the end of their window, since all are equally long

    def add(self, entry: LogEntry, now: float) -> list[LogEntry]:
        """Take one entry; return what is to be sent now, in order."""
        sent = self.due(now)
        if not self._window_s:
            return [*sent, entry]
        key = json.dumps([entry["ns"], entry["level"], entry["msg"]])
        window = self._windows.get(key)
        if window is not None:
            window.last, window.suppressed = entry, window.suppressed + 1
            return sent
        if len(self._windows) >= self._limit:
            sent += self._end(next(iter(self._windows)))
        self._windows[key] = _Window(now + self._window_s, entry)
        return [*sent, entry]

    def due(self, now: float) -> list[LogEntry]:
        """End the windows whose time is up; return one entry for each that held something back."""
        over = [key for key, window in self._windows.items() if window.ends <= now]
        return [entry for key in over for entry in self._end(key)]

    def close(self) -> list[LogEntry]:
        """End every window now."""
        return [entry for key in list(self._windows) for entry in self._end(key)]

    def wait(self, now: float) -> float | None:
        """Seconds until the next window ends; None when none is open."""
        first = next(iter(self._windows.values()), None)
        return None if first is None else max(0.0, first.ends - now)

    def _end(self, key: str) -> Iterator[LogEntry]:
        window = self._windows.pop(key)
        if window.suppressed:
            yield LogEntry(
                ts=window.last["ts"],
                level=window.last["level"],
                ns=window.last["ns"],
                msg=f"(repeated x{window.suppressed})",
            )
