"""The Redis server's time: what scripts are told must not depend on the clock of whoever calls them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

TRUSTED_S: Final = 10.0
"""After this the server is asked again: clocks drift, and a failover brings another machine's."""

# Goes on while a laptop sleeps, unlike CLOCK_MONOTONIC on Linux.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ServerClock:
    """The server's time without a round trip for each call: measured once, then carried on for TRUSTED_S."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._measured_s: float | None = None

    @staticmethod
    def own_s() -> float:
        """Read the clock of this machine that measures intervals."""
        return time.clock_gettime(_CLOCK)

    def now_ms(self) -> int | None:
        """Tell the server's time; None: measure first."""
        own = self.own_s()
        if self._measured_s is None or own - self._measured_s > TRUSTED_S:
            return None
        return round((own + self._ahead_s) * 1000)

    def set(self, reply: Sequence[int], asked_s: float) -> int:
        """Take the answer to TIME, asked for at *asked_s* of own_s(), and tell the time."""
        self._measured_s = self.own_s()
        seconds, microseconds = reply
        self._ahead_s = int(seconds) + int(microseconds) / 1e6 - (asked_s + self._measured_s) / 2
        return round((self._measured_s + self._ahead_s) * 1000)
