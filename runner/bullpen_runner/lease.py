"""The lock of this attempt as its runner knows it: bound first, renewed while it works, asked before it writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bullpen_protocol.assignment import RENEWALS_PER_LOCK, Assignment
from bullpen_protocol.bullmq import HoldResult, RedisAwayError, RedisRefusedError, SyncQueue
from bullpen_runner.endings import misconfigured, superseded
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop

RETRY_S: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits while Redis is away; the last one repeats."""

_ACCESS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})
_WHY: Final = {
    HoldResult.GONE: "the job was removed",
    HoldResult.NOT_ACTIVE: "the job is no longer active",
    HoldResult.SUPERSEDED: "another attempt, or another pod of this one, holds the job",
}


class Lease:
    """Renews on the loop. What ends the attempt is raised as EndedError, also out of the loop."""

    def __init__(self, queue: SyncQueue, assignment: Assignment, loop: Loop, log: Log) -> None:
        self._queue = queue
        self._assignment = assignment
        self._loop = loop
        self._log = log
        self._tries = 0
        self._away_since: float | None = None

    @property
    def away(self) -> bool:
        """Whether Redis did not answer the last time."""
        return self._away_since is not None

    def hold(self, value_json: str | None = None) -> float:
        """Bind, renew or re-own the job; return until when (`time.monotonic`) nobody else can have it.

        *value_json* is kept in the job in the same step, for whoever settles the attempt.
        Raises RedisAwayError, or EndedError if the job is not ours any more.
        """
        asked = time.monotonic()
        mine = self._assignment
        with self.seen():
            result = self._queue.hold(mine.job_id, mine.token, mine.fence, mine.lock_ms, value_json)
        if result is not HoldResult.HELD:
            raise superseded(_WHY[result])
        self._back(asked)
        return asked + mine.lock_ms / 1000

    def keep(self) -> None:
        """Renew from here on, every quarter of the lock time."""
        self._loop.after(self._interval, self._renew)

    @contextmanager
    def seen(self) -> Iterator[None]:
        """Note an outage of what is asked inside. Refused credentials are none: they end the attempt, and cost nothing.

        Raises RedisAwayError, or EndedError.
        """
        try:
            yield
        except RedisRefusedError as error:
            if error.kind in _ACCESS:
                raise misconfigured(f"Redis refuses the runner: {error}") from error
            self.lost_sight()
            raise RedisAwayError(str(error)) from error
        except RedisAwayError:
            self.lost_sight()
            raise

    def lost_sight(self) -> None:
        """Note that Redis is away: whoever finds out says so."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._log.warn("Redis is away; the job goes on")

    def wait(self) -> float:
        """Return how long to wait before Redis is asked again."""
        self._tries += 1
        return RETRY_S[min(self._tries, len(RETRY_S)) - 1]

    @property
    def _interval(self) -> float:
        return self._assignment.lock_ms / 1000 / RENEWALS_PER_LOCK

    def _renew(self) -> None:
        asked = time.monotonic()
        mine = self._assignment
        try:
            with self.seen():
                renewed = self._queue.extend(mine.job_id, mine.fence, mine.lock_ms)
            if renewed:
                self._back(asked)
            else:
                self.hold()
        except RedisAwayError:
            self._loop.after(min(self.wait(), self._interval), self._renew)
            return
        self.keep()

    def _back(self, asked: float) -> None:
        self._tries = 0
        if self._away_since is not None:
            self._log.info("Redis is back", away_s=round(asked - self._away_since, 1))
            self._away_since = None
