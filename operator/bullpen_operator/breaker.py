"""The breaker of a JobQueue: stops claiming while its configuration fails attempts, and probes with one job at a time.

It is for the whole JobQueue because a claim can't skip a job name. It lives in memory: a new operator learns the fault
again from its first attempts, which cost nothing. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bullpen_operator.outcome import START_FAILURE, Fault, Outcome, Verdict

FIRST_INTERVAL_S: Final = 10.0
LONGEST_INTERVAL_S: Final = 300.0
START_FAILURES: Final = 3
"""Attempts in a row that ended before they took their job: by then it is not the node."""


class Change(StrEnum):
    """What an attempt's end did to the breaker."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass
class Breaker:
    """Closed: claim freely. Open: one probe per interval, which doubles with every probe that fails."""

    job_type: str = ""
    reason: str = ""
    """Why it is open, one sentence; empty while it is closed."""
    _interval_s: float = FIRST_INTERVAL_S
    _next_probe_at: float = 0.0
    _probe: str = ""
    _start_failures: int = 0

    @property
    def open(self) -> bool:
        """Whether claiming is stopped but for probes."""
        return bool(self.reason)

    @property
    def sentence(self) -> str:
        """What people read while it is open."""
        about = f"job type {self.job_type!r}: "  # which refusals of a pod template say themselves
        return about + self.reason.removeprefix(about) if self.open else ""

    def allows(self, now: float) -> bool:
        """Whether a job may be claimed: always while closed, one probe when its time has come."""
        return not self.open or (not self._probe and now >= self._next_probe_at)

    def wakes_in(self, now: float) -> float | None:
        """Seconds until the next probe; None: none is to be waited for."""
        return max(0.0, self._next_probe_at - now) if self.open and not self._probe else None

    def claimed(self, token: str) -> None:
        """A job was claimed: while open, it is the probe."""
        if self.open:
            self._probe = token

    def ended(self, token: str, job_type: str, outcome: Outcome, now: float) -> Change | None:
        """An attempt came to *outcome*; whether that changed the breaker."""
        if outcome.verdict is Verdict.GIVE_BACK and outcome.code == START_FAILURE:
            self._start_failures += 1
            if not self.open and self._start_failures < START_FAILURES:
                return None
        elif outcome.fault is not Fault.CONFIGURATION:
            return self.proved(token)
        if self.open and token != self._probe:
            return None  # claimed before it opened: nothing new
        opened = not self.open
        self._interval_s = FIRST_INTERVAL_S if opened else min(2 * self._interval_s, LONGEST_INTERVAL_S)
        self.job_type, self.reason, self._probe = job_type, outcome.sentence, ""
        self._next_probe_at = now + self._interval_s
        return Change.OPENED if opened else None

    def proved(self, token: str) -> Change | None:
        """An attempt took its job, or ended for another reason; whether that changed the breaker."""
        self._start_failures = 0
        if not self.open or token != self._probe:
            return None
        self.job_type = self.reason = self._probe = ""
        return Change.CLOSED

    def reconsider(self) -> None:
        """The JobQueue was changed, perhaps mended: the next job may probe at once."""
        self._interval_s, self._next_probe_at = FIRST_INTERVAL_S / 2, 0.0  # a probe that fails doubles it

    def void(self, token: str) -> None:
        """A probe told nothing (no job type serves it): the next job may probe at once."""
        if token == self._probe:
            self._probe = ""
