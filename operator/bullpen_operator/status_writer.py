"""Writes what the engine knows of the JobQueues into their status, where kubectl shows it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from bullpen_operator.jobqueue_status import JobQueueStatus, condition, keep_times
from bullpen_operator.kube import KubeApi, KubeError, jobqueues
from bullpen_operator.roster import Entry, Roster
from bullpen_operator.status import QueueStatus

logger = logging.getLogger(__name__)


class Tells(Protocol):
    """The part of the engine that is asked."""

    async def status(self) -> tuple[QueueStatus, ...]:
        """Every JobQueue as it is now."""


class StatusWriter:
    """A patch for each JobQueue whose status differs from what was last written; none for the others."""

    def __init__(
        self, api: KubeApi, engine: Tells, roster: Roster, show: Callable[[Sequence[QueueStatus]], None]
    ) -> None:
        self._api = api
        self._engine = engine
        self._roster = roster
        self._show = show
        self._queues: tuple[QueueStatus, ...] = ()
        self._turned = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the engine was last asked."""
        return time.monotonic() - self._turned

    def audit_ages(self) -> dict[str, float]:
        """Seconds since the last complete audit of each queue whose Redis answers."""
        now = datetime.now(UTC)
        return {
            queue.name: (now - queue.audited_at).total_seconds()
            for queue in self._queues
            if queue.counts and queue.audited_at is not None
        }

    async def run(self, interval_s: float) -> None:
        """Write until cancelled; trouble of the API server only delays it."""
        while True:
            await self.round()
            await asyncio.sleep(interval_s)

    async def round(self) -> None:
        """Bring every status up to date."""
        self._queues = queues = await self._engine.status()
        self._show(queues)
        self._turned = time.monotonic()
        by_name = {queue.name: queue for queue in queues if not queue.leaving}
        for entry in list(self._roster.entries.values()):
            status = status_of(entry, by_name.get(entry.full_name), datetime.now(UTC))
            body = status.model_dump(mode="json", by_alias=True)
            if body != entry.status:
                await self._write(entry, body)

    async def _write(self, entry: Entry, status: Mapping[str, Any]) -> None:
        try:
            if await self._api.patch(jobqueues(entry.namespace, entry.name, "status"), {"status": dict(status)}):
                entry.status = status
        except KubeError as error:
            logger.warning("could not write status", extra={"jobqueue": entry.full_name, "error": str(error)})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether jobs are claimed; what keeps them from it, or troubles some of them."""

    ready: bool
    reason: str
    sentence: str = ""
    degraded: bool = False


def status_of(entry: Entry, queue: QueueStatus | None, now: datetime) -> JobQueueStatus:
    """Put together what is known of one JobQueue; numbers that can't be read now stay what they were."""
    verdict = judge(entry, queue)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh = (
        condition("Ready", verdict.ready, verdict.reason, verdict.sentence, now=stamp, generation=entry.generation),
        condition(
            "Degraded", verdict.degraded, verdict.reason, verdict.sentence, now=stamp, generation=entry.generation
        ),
    )
    return JobQueueStatus(
        observed_generation=entry.generation,
        pods_pending=queue.pending if queue is not None else 0,
        pods_running=queue.running if queue is not None else 0,
        blocked_by=verdict.sentence,
        conditions=keep_times(fresh, entry.status.get("conditions") or ()),
        **_numbers(queue.counts if queue is not None else {}, entry.status),
    )


def judge(entry: Entry, queue: QueueStatus | None) -> Verdict:
    """Say whether a JobQueue is served, worst first."""
    if entry.fault is not None:
        return Verdict(False, entry.fault.reason, entry.fault.sentence, degraded=True)
    if queue is None:
        return Verdict(False, "Starting", "the operator has not begun to serve it")
    verdict = _judge_served(queue)
    if entry.notice is not None and not verdict.degraded:
        return Verdict(verdict.ready, entry.notice.reason, entry.notice.sentence, degraded=True)
    return verdict


def _judge_served(queue: QueueStatus) -> Verdict:
    if not queue.counts:
        return Verdict(False, queue.reason, queue.degraded, degraded=True)
    if queue.audited_at is None:
        return Verdict(False, "Starting", "the first audit has not ended, and nothing is claimed before")
    if queue.suspended:
        return Verdict(False, "Suspended", "spec.suspend is true")
    if queue.degraded:
        return Verdict(not queue.stopped, queue.reason, queue.degraded, degraded=True)
    return Verdict(True, "Serving")


def _numbers(counts: Mapping[str, int], before: Mapping[str, Any]) -> dict[str, int]:
    if not counts:
        return {name: int(before.get(name) or 0) for name in _STATES}
    return {name: sum(counts.get(state, 0) for state in states) for name, states in _STATES.items()}


_STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": ("wait", "paused"),
    "prioritized": ("prioritized",),
    "delayed": ("delayed",),
    "active": ("active",),
    "completed": ("completed",),
    "failed": ("failed",),
}
"""Field of the status -> Redis' names of BullMQ's states."""
