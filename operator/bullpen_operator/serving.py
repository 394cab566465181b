"""Everything that serves one JobQueue, wired together, and when it is to be asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from bullpen_operator.audit import Audit, Renewal
from bullpen_operator.dispatch import Dispatch
from bullpen_operator.inquiry import Inquiry
from bullpen_operator.naming import kube_job_name
from bullpen_operator.outbox import Outbox
from bullpen_operator.repair import Repair
from bullpen_operator.served import Lane
from bullpen_operator.settle import Settle
from bullpen_operator.slots import Stage
from bullpen_operator.watch import Watch

HELD_BACK_S: Final = 0.25
"""A launcher that takes no more for now is asked again after this: it answers from memory."""


class Serving:
    """The use cases of one JobQueue over one Lane."""

    def __init__(self, lane: Lane, new_id: Callable[[], str], stalled_interval_ms: int) -> None:
        self.lane = lane
        self.outbox = Outbox(lane)
        self.settle = Settle(lane, self.outbox)
        self.dispatch = Dispatch(lane, self.settle, new_id)
        self.repair = Repair(lane, self.dispatch, self.settle, self.outbox)
        self.audit = Audit(lane, self.repair, stalled_interval_ms)
        self.watch = Watch(lane, self.repair, self.outbox)
        self.renewal = Renewal(lane)
        self.inquiry = Inquiry(lane, self.watch)
        self.claim_at = 0.0
        """Monotonic time of the next claim if no marker comes before it."""
        self.limited_until = 0.0
        """BullMQ's rate limit gives nothing before."""
        self.audited = False
        """A whole audit has been made: only then may jobs be claimed."""
        self.audited_at: datetime | None = None
        self.wake = asyncio.Event()
        """Set: audit now."""
        self.leaving = False
        """Its JobQueue was removed; it stays until its attempts have ended."""
        self._end_by: float | None = None
        self._told: set[str] = set()
        """Tokens of attempts that were told to end."""

    @property
    def at_rest(self) -> bool:
        """Whether no attempt of it runs, and no record of one can be delivered now."""
        return not self.lane.slots.held and self.outbox.quiet

    def moments(self, now: float) -> Iterator[float]:
        """Yield the monotonic times at which something may be done that no marker tells of."""
        if not self.audited or self.leaving:
            return
        for moment in (self.limited_until, self.lane.launcher_pause.until):
            if moment > now:
                yield moment
        wakes_in = self.lane.breaker.wakes_in(now)
        if wakes_in:
            yield now + wakes_in
        if self.dispatch.may_claim():
            yield self.claim_at
        elif not self.lane.served.launcher.may_launch():
            yield now + HELD_BACK_S

    async def relaunch(self) -> None:
        """Launch what was claimed while the launcher was away, until it is away again."""
        for slot in list(self.lane.slots.unlaunched()):
            if self.lane.launcher_pause.until > self.lane.clock.monotonic():
                return
            await self.repair.launch(slot.attempt)

    def leave(self) -> None:
        """Claim no more; what runs, runs on."""
        self.leaving = self.lane.closing = True
        self.wake.set()

    def stay(self) -> None:
        """Its JobQueue is back before its attempts have ended; those that were told to end do so."""
        self.leaving = self.lane.closing = self.lane.ending = False
        self._told.clear()

    def end(self, by: float | None = None) -> None:
        """Claim no more and have `drain` end what runs: each with its own grace, but none beyond the monotonic *by*."""
        self.lane.closing = self.lane.ending = True
        self._end_by = by

    async def drain(self) -> None:
        """Tell every launched attempt once to end."""
        if not self.lane.ending:
            return
        for slot in list(self.lane.slots.held.values()):
            attempt = slot.attempt
            if slot.stage is not Stage.CLAIMED and attempt.token not in self._told:
                name = kube_job_name(attempt.queue, attempt.job_id, attempt.token)
                await self.lane.served.launcher.delete(name, grace_s=self._grace_s())
                self._told.add(attempt.token)

    def _grace_s(self) -> float | None:
        return None if self._end_by is None else max(0.0, self._end_by - self.lane.clock.monotonic())
