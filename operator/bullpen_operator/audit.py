"""Audit: compare what is active in Redis with what runs, and repair each difference."""

from __future__ import annotations

from typing import Final

from bullpen_operator.decide import bound_uid, lingers, stale
from bullpen_operator.events import EventKind
from bullpen_operator.repair import Repair
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.served import TOKEN_PREFIX, Lane
from bullpen_operator.slots import Slot, Stage
from bullpen_protocol.assignment import RENEWALS_PER_LOCK
from bullpen_protocol.bullmq import HoldResult, Location

MAX_STALLED: Final = 1
"""BullMQ's own default, for jobs of other claimers."""


class Audit:
    """Audits one JobQueue."""

    def __init__(self, lane: Lane, repair: Repair, stalled_interval_ms: int) -> None:
        self._lane = lane
        self._repair = repair
        self._stalled_interval_ms = stalled_interval_ms

    async def round(self) -> None:
        """Compare everything once.

        Raises:
            LauncherUnavailableError, RedisAwayError: the round is void; a list that failed is not an empty list.
        """
        lane, began = self._lane, self._lane.clock.monotonic()
        # KubeJobs first: what is claimed after the list is then seen as not launched, never as lost.
        listed = await lane.served.launcher.list()
        seen = {one.attempt.token: one for one in listed if lane.has(one.attempt)}
        listed_tokens, alive = set(seen), set[str]()
        spared = await self._active(seen, alive)
        await self._others(seen, alive)
        newer = {token for token, slot in lane.slots.held.items() if slot.since >= began or slot.starting}
        lane.slots.keep_only(alive | newer)
        self._repair.sightings.forget(alive | newer | listed_tokens)
        await lane.queue.stalled(MAX_STALLED, self._stalled_interval_ms, spare=spared)

    async def _active(self, seen: dict[str, KubeJobSeen], alive: set[str]) -> list[str]:
        """Audit every active job of ours, taking its KubeJob out of *seen*; ids that the stalled check must not touch.

        BullMQ's check moves whatever has no lock. A bound attempt without a lock is being waited for, so all attempts,
        of other installations too, are spared; but not what such an attempt has left and a worker has taken since.
        """
        spared = []
        for job_id in await self._lane.queue.active_ids():
            location = await self._lane.queue.location(job_id)
            token = self._lane.owner(location.pb)
            one = seen.pop(token, None) if token is not None else None
            if (location.pb or "").startswith(TOKEN_PREFIX) and not stale(location):
                spared.append(job_id)
            if token is not None:
                await self._one(token, location, one, alive)
        return spared

    async def _one(self, token: str, location: Location, seen: KubeJobSeen | None, alive: set[str]) -> None:
        attempt = seen.attempt if seen is not None else self._lane.attempt(location, token)
        if await self._repair.audit(attempt, location, seen):
            self._holds(attempt, seen, alive)

    async def _others(self, seen: dict[str, KubeJobSeen], alive: set[str]) -> None:
        """Audit the KubeJobs whose job is not active under their token."""
        for one in seen.values():
            if one.recorded and not lingers(one):
                continue
            location = await self._lane.queue.location(one.attempt.job_id)
            if await self._repair.audit(one.attempt, location, one):
                self._holds(one.attempt, one, alive)

    def _holds(self, attempt: Attempt, seen: KubeJobSeen | None, alive: set[str]) -> None:
        alive.add(attempt.token)
        slot = self._lane.slots.take(attempt, self._lane.clock.monotonic())
        if seen is not None and slot.stage is Stage.CLAIMED:
            started = any(pod.started and not pod.ended for pod in seen.pods)
            slot.stage = Stage.RUNNING if started else Stage.PENDING


class Renewal:
    """Renews the locks of attempts that no pod has bound yet, every quarter of the lock time, and looks for cancels."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._cancelling: set[str] = set()

    @property
    def interval_s(self) -> float:
        """Until the next round."""
        return self._lane.lock_ms / 1000 / RENEWALS_PER_LOCK

    async def round(self) -> None:
        """Hold every unbound attempt once; raises RedisAwayError."""
        for slot in self._lane.slots.unbound():
            attempt = slot.attempt
            held = await self._lane.queue.hold(attempt.job_id, attempt.token, attempt.token, attempt.settings.lock_ms)
            if held is not HoldResult.HELD:
                await self._released(slot)

    async def cancels(self) -> bool:
        """Look whether somebody asks for the end of an attempt that nobody had asked for the last time."""
        attempts = [slot.attempt for slot in self._lane.slots.held.values()]
        wanted = await self._lane.queue.cancels([attempt.job_id for attempt in attempts])
        asked = {attempt.token for attempt, token in zip(attempts, wanted, strict=True) if token == attempt.token}
        new, self._cancelling = asked - self._cancelling, asked
        return bool(new)

    async def _released(self, slot: Slot) -> None:
        """Learn whether a pod has bound it."""
        slot.bound = True
        location = await self._lane.queue.location(slot.attempt.job_id)
        if bound_uid(slot.attempt.token, location):
            if not slot.attempt.settings.plain:  # its own image is still to come
                self._lane.breaker_changed(self._lane.breaker.proved(slot.attempt.token))
            self._lane.tell(EventKind.BOUND, slot.attempt)
