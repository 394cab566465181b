"""One loop per Redis: waits for work on all queues that have room, and claims it job by job, in turns."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bullpen_operator.hearing import Spawn
from bullpen_operator.ports import Clock, Queue, Server
from bullpen_operator.serving import Serving
from bullpen_protocol.bullmq import Claimed, Empty, RedisRefusedError
from bullpen_protocol.bullmq.errors import UNFIT

BREATH_S: Final = 0.005
"""The shortest wait, whatever timers and markers say: a moment that is just not over must not make the loop spin."""


class Claiming:
    """Claims for all JobQueues of one Redis."""

    def __init__(
        self, server: Server, servings: Callable[[], Iterable[Serving]], clock: Clock, fallback_s: float, spawn: Spawn
    ) -> None:
        self._server = server
        self._servings = servings
        self._clock = clock
        self._fallback_s = fallback_s
        self._spawn = spawn
        self.healthy: Callable[[], None] = lambda: None
        """Called whenever Redis has answered."""
        self._unfit = False
        self._poked = asyncio.Event()
        self._wait: asyncio.Task[Queue | None] | None = None
        self._waited: Sequence[Queue] = ()

    def poke(self) -> None:
        """Something changed: there may be room, or a queue more."""
        self._poked.set()

    async def run(self) -> None:
        """Claim until cancelled; raises RedisFaultError, and may then be run again."""
        await self._check()
        try:
            while True:
                self._poked.clear()
                if not await self._claim_round():
                    await self._sleep()
        finally:
            self._end_wait()

    async def _check(self) -> None:
        """Claim nothing from a Redis that may lose jobs: asked at the start, and again after every fault."""
        complaint = await self._server.check() if any(True for _ in self._servings()) else None
        if complaint is not None:
            self._unfit = True
            raise RedisRefusedError(complaint, UNFIT)
        if self._unfit:
            self._unfit = False
            self.healthy()

    async def _claim_round(self) -> bool:
        """Claim one job for every queue that is due; whether any got one."""
        claimed = False
        for serving in self._due():
            if not serving.dispatch.may_claim():
                continue  # an earlier claim of this round took the last place that a launcher had
            claim = await serving.dispatch.claim()
            self.healthy()
            if isinstance(claim, Claimed):
                claimed = True
                self._spawn(functools.partial(serving.dispatch.start, claim.job))
                await asyncio.sleep(0)  # so that its launcher knows of it before the next claim is judged
            else:
                await self._empty(serving, claim)
        return claimed

    def _due(self) -> list[Serving]:
        now = self._clock.monotonic()
        return [one for one in self._ready() if now >= one.claim_at]

    def _ready(self) -> list[Serving]:
        now = self._clock.monotonic()
        return [
            one for one in self._servings() if one.audited and now >= one.limited_until and one.dispatch.may_claim()
        ]

    async def _empty(self, serving: Serving, empty: Empty) -> None:
        """Set the timers that an empty answer asks for."""
        now = self._clock.monotonic()
        pause_s = self._fallback_s
        if empty.next_at_ms:
            pause_s = min(pause_s, max(0.0, (empty.next_at_ms - await serving.lane.queue.now_ms()) / 1000))
        serving.limited_until = now + empty.limit_ms / 1000
        serving.claim_at = max(now + max(pause_s, BREATH_S), serving.limited_until)

    async def _sleep(self) -> None:
        """Wait for a marker, a timer or a poke."""
        ready = self._ready()
        self._wait_on([one.lane.queue for one in ready])
        poked = asyncio.ensure_future(self._poked.wait())
        waits = {poked} if self._wait is None else {poked, self._wait}
        try:
            await asyncio.wait(waits, timeout=self._timer_s(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            poked.cancel()
        if self._wait is not None and self._wait.done():
            self._woken(self._wait)

    def _woken(self, wait: asyncio.Task[Queue | None]) -> None:
        self._wait, self._waited = None, ()
        queue = wait.result()
        self.healthy()
        for serving in self._servings():
            if serving.lane.queue is queue:
                serving.claim_at = self._clock.monotonic()

    def _wait_on(self, queues: Sequence[Queue]) -> None:
        """Have one blocking wait under way that covers *queues*.

        One that covers more is left alone: a marker that it takes from a full queue is not missed, for room that
        returns is always followed by a claim.
        """
        if self._wait is not None:
            if all(queue in self._waited for queue in queues):
                return
            self._end_wait()
        if queues:
            self._waited = queues
            self._wait = asyncio.ensure_future(self._server.wait_any(queues, self._fallback_s))

    def _end_wait(self) -> None:
        if self._wait is not None:
            self._wait.cancel()
        self._wait, self._waited = None, ()

    def _timer_s(self) -> float:
        now = self._clock.monotonic()
        moments = [moment for one in self._servings() for moment in one.moments(now)]
        return min([max(BREATH_S, moment - now) for moment in moments] + [self._fallback_s])
