"""Writes what the engine knows of the JobQueues into their status, where kubectl shows it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from bullpen_operator.announcer import Announcer
from bullpen_operator.entries import CONFLICT, Entry, Rehearsed
from bullpen_operator.jobqueue_status import JobQueueStatus, LearnedSize, condition, keep_times
from bullpen_operator.kube import KubeApi, KubeError, jobqueues
from bullpen_operator.roster import Roster
from bullpen_operator.sizes import Sizes, text_of
from bullpen_operator.status import QueueStatus

logger = logging.getLogger(__name__)


class Tells(Protocol):
    """The part of the engine that is asked."""

    async def status(self) -> tuple[QueueStatus, ...]:
        """Every JobQueue as it is now."""


class Shows(Protocol):
    """Where the numbers go."""

    def show(self, queues: Sequence[QueueStatus]) -> None:
        """What is served, as it is now."""

    def judge(self, verdicts: Mapping[str, tuple[bool, bool]]) -> None:
        """Every JobQueue: ready, degraded."""


class StatusWriter:
    """A patch for each JobQueue whose status differs from what was last written; none for the others."""

    def __init__(self, api: KubeApi, engine: Tells, roster: Roster, shows: Shows) -> None:
        self._api = api
        self._engine = engine
        self._roster = roster
        self._shows = shows
        self._announcer = Announcer(api)
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
        self._shows.show(queues)
        self._turned = time.monotonic()
        by_name = {queue.name: queue for queue in queues if not queue.leaving}
        verdicts = {name: judge(entry, by_name.get(name)) for name, entry in self._by_name().items()}
        self._shows.judge({name: (verdict.ready, verdict.degraded) for name, verdict in verdicts.items()})
        for entry in list(self._roster.entries.values()):
            status = status_of(entry, by_name.get(entry.full_name), datetime.now(UTC))
            body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
            if body != entry.status:
                await self._announcer.tell(entry, body)
                await self._write(entry, body)
        self._announcer.forget(set(self._by_name()))

    def _by_name(self) -> dict[str, Entry]:
        return {entry.full_name: entry for entry in self._roster.entries.values()}

    async def _write(self, entry: Entry, status: Mapping[str, Any]) -> None:
        try:
            # in a merge patch null removes; what was never there may be removed, too
            patch = {"status": dict.fromkeys(_LEFT_OUT) | dict(status)}
            if await self._api.patch(jobqueues(entry.namespace, entry.name, "status"), patch):
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
    stamp = _stamp(now)
    refused = entry.rehearsed.sentence if entry.rehearsed is not None else ""
    told = _conditions(verdict, entry.rehearsed)
    fresh = [condition(*one, now=stamp, generation=entry.generation) for one in told]
    return JobQueueStatus(
        observed_generation=entry.generation,
        oldest_waiting=_stamp(queue.oldest_waiting) if queue is not None and queue.oldest_waiting else None,
        give_backs=entry.given_back_before + (queue.settled.get("give-back", 0) if queue is not None else 0),
        pods_pending=queue.pending if queue is not None else 0,
        pods_running=queue.running if queue is not None else 0,
        sizes=_sizes(queue.sizes) if queue is not None else (),
        blocked_by=verdict.sentence or (queue.stuck if queue is not None else "") or refused,
        conditions=keep_times(fresh, entry.status.get("conditions") or ()),
        **_numbers(queue.counts if queue is not None else {}, entry.status),
    )


def _sizes(sizes: Mapping[str, Sizes]) -> tuple[LearnedSize, ...]:
    return tuple(
        LearnedSize(
            job_type=name,
            memory=text_of(size.memory) if size.memory else None,
            ephemeral_storage=text_of(size.disk) if size.disk else None,
        )
        for name, size in sorted(sizes.items())
    )


def _reason(code: str) -> str:
    """Make a condition's reason of a code: `pod-security` -> `PodSecurity`."""
    return "".join(word.capitalize() for word in code.split("-"))


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(verdict: Verdict, rehearsed: Rehearsed | None) -> list[tuple[str, bool, str, str]]:
    told = [
        ("Ready", verdict.ready, verdict.reason, verdict.sentence),
        ("Degraded", verdict.degraded, verdict.reason, verdict.sentence),
    ]
    if rehearsed is not None:
        reason = _reason(rehearsed.code or "accepted")
        told.append(("TemplateAccepted", rehearsed.accepted, reason, rehearsed.sentence))
    if verdict.reason == CONFLICT:
        told.append((CONFLICT, True, "QueueServedTwice", verdict.sentence))
    return told


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
        return _unaudited(queue)
    if queue.suspended:
        return Verdict(False, "Suspended", "spec.suspend is true")
    if queue.degraded:
        return Verdict(not queue.stopped, queue.reason, queue.degraded, degraded=True)
    return Verdict(True, "Serving")


def _unaudited(queue: QueueStatus) -> Verdict:
    if queue.degraded:
        return Verdict(False, queue.reason, queue.degraded, degraded=True)
    why = f" ({queue.audit_trouble})" if queue.audit_trouble else ""
    return Verdict(False, "Starting", f"the first audit has not ended{why}, and nothing is claimed before")


def _numbers(counts: Mapping[str, int], before: Mapping[str, Any]) -> dict[str, int]:
    if not counts:
        return {name: int(before.get(name) or 0) for name in _STATES}
    return {name: sum(counts.get(state, 0) for state in states) for name, states in _STATES.items()}


_LEFT_OUT: Final = ("oldestWaiting",)
"""Fields of a status that are left out at times."""

_STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": ("wait", "paused"),
    "prioritized": ("prioritized",),
    "delayed": ("delayed",),
    "active": ("active",),
    "completed": ("completed",),
    "failed": ("failed",),
}
"""Field of the status -> Redis' names of BullMQ's states."""
