"""Where a job stands in its queue, and what holds it there. Nothing here changes the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bullpen_protocol.bullmq.job import number
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.looking import state as state_of
from bullpen_protocol.bullmq.steps import Batch, Operation, read

_LIMITED_BY_HAND: Final = 2**53 - 1
"""What Queue.rateLimit() sets the limiter to."""
_DUE_BITS: Final = 12
"""Below the time in the score of a delayed job: they tell jobs of one millisecond apart."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Read in one round trip, not atomically: good for telling people."""

    state: str
    """As Node names it; `unknown`: nowhere."""
    before: int = 0
    """Jobs that are claimed before a waiting or prioritized one, as the queue is now."""
    due_at_ms: int = 0
    """When a delayed job is due."""
    paused: bool = False
    concurrency: int | None = None
    """The queue's own limit of active jobs."""
    active: int = 0
    limit: int | None = None
    """Starts that the queue's own rate limit allows; None: it has none."""
    started: int = 0
    """Starts that a rate limit has counted: the queue's own, or that of whoever claims."""
    limiter_ms: int = 0
    """When that count begins anew."""
    children: int = 0
    """That have not ended yet."""

    @property
    def held_ms(self) -> int:
        """How long the queue's own rate limit lets nothing start; 0: it does."""
        most = _LIMITED_BY_HAND if self.limit is None else self.limit
        return self.limiter_ms if self.started >= most else 0

    @property
    def full(self) -> bool:
        """Whether as many jobs are active as the queue itself allows."""
        return self.concurrency is not None and self.active >= self.concurrency


def standing(keys: Keys, job_id: str) -> Operation[Standing]:
    """Say where a job is and what holds it."""
    state = yield from state_of(keys, job_id)
    limiter = keys("limiter")
    replies = yield Batch(
        (
            read("HMGET", keys("meta"), "paused", "concurrency", "max"),
            read("LLEN", keys("active")),
            read("GET", limiter),
            read("PTTL", limiter),
            read("SCARD", keys(f"{job_id}:dependencies")),
            read("ZSCORE", keys("delayed"), job_id),
            read("ZRANK", keys("prioritized"), job_id),
            read("LLEN", keys("wait")),
            read("LPOS", keys("wait"), job_id),
            read("LLEN", keys("paused")),
            read("LPOS", keys("paused"), job_id),
        ),
        again=True,
    )
    (paused, concurrency, most), active, started, limiter_ms, children, score, *places = replies
    return Standing(
        state=state,
        before=_before(*places),
        due_at_ms=int(score or 0) >> _DUE_BITS,
        paused=paused is not None,
        concurrency=None if concurrency is None else number(concurrency),
        active=active,
        limit=None if most is None else number(most),
        started=number(started),
        limiter_ms=max(0, limiter_ms),
        children=children,
    )


def _before(rank: int | None, waiting: int, place: int | None, held: int, held_place: int | None) -> int:
    """Count what is claimed first: the tail of `wait` goes first, prioritized jobs after all of it."""
    if rank is not None:
        return waiting + held + rank
    if place is not None:
        return waiting - 1 - place
    return held - 1 - held_place if held_place is not None else 0
