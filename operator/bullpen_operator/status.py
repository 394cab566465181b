"""What people see of the JobQueues: `bullpen local`'s table, kubectl's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bullpen_operator.escaping import safe
from bullpen_operator.naming import kube_job_name
from bullpen_operator.served import Lane
from bullpen_operator.serving import Serving
from bullpen_operator.sizes import Sizes
from bullpen_operator.slots import Slot, Stage
from bullpen_operator.trouble import trouble_of
from bullpen_protocol.bullmq import RedisFaultError


@dataclass(frozen=True, slots=True)
class AttemptStatus:
    """A running attempt."""

    job_id: str
    job_name: str
    token: str
    kube_job: str
    stage: str
    """`claimed`, `pending` (launched) or `running`."""
    age_s: float
    """Since the claim, or since this engine first saw it."""
    waiting: str = ""
    """Why it has not started, one sentence."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One JobQueue at a moment."""

    name: str
    queue: str
    concurrency: int
    pending: int
    """Claimed or launched, and not running."""
    running: int
    attempts: tuple[AttemptStatus, ...]
    """Oldest first."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """BullMQ's states of the queue; empty while Redis is away."""
    oldest_waiting: datetime | None = None
    """When the oldest of the jobs that come next was added."""
    suspended: bool = False
    degraded: str = ""
    """Why jobs are not claimed, or what waits for a job type; one sentence, empty when all is well."""
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    """What attempts proved to need beyond their limits, by job type."""
    stuck: str = ""
    """What keeps most of the pods from starting that can't; one steady sentence, empty when none is kept."""
    reason: str = ""
    """The same for machines, as a condition has it: `RedisAway`, `StoreAway` ..."""
    stopped: bool = False
    """It is degraded, and nothing is claimed because of that."""
    unknown_names: tuple[str, ...] = ()
    audited_at: datetime | None = None
    """When the last complete audit ended; None: none yet, so nothing is claimed."""
    audit_trouble: str = ""
    """Why the last audit was not complete; empty when it was."""
    settled: Mapping[str, int] = field(default_factory=dict)
    """Attempts that ended since this engine started, by outcome."""
    leaving: bool = False
    """Its JobQueue was removed; its attempts run on."""
    undelivered: int = 0
    """Records of ended attempts that a graph store has yet to accept."""


async def status_of(serving: Serving, now: float, settled: Mapping[str, int]) -> QueueStatus:
    """Look at one JobQueue."""
    lane = serving.lane
    counts, fault = await _counts(lane)
    trouble = trouble_of(lane, fault)
    slots = sorted(lane.slots.held.values(), key=lambda slot: slot.since)
    running = sum(slot.stage is Stage.RUNNING for slot in slots)
    return QueueStatus(
        name=lane.name,
        queue=lane.served.spec.queue,
        concurrency=lane.served.spec.concurrency,
        pending=len(slots) - running,
        running=running,
        attempts=tuple(_attempt(slot, now) for slot in slots),
        counts=counts,
        oldest_waiting=await _oldest_waiting(lane),
        suspended=lane.served.spec.suspend,
        degraded=trouble.sentence,
        reason=trouble.reason,
        stopped=trouble.stops,
        sizes=dict(lane.sizes),
        stuck=stuck(lane),
        unknown_names=tuple(lane.unknown_names),
        audited_at=serving.audited_at,
        audit_trouble=safe(str(lane.audit_fault or "")),
        settled=dict(settled),
        leaving=serving.leaving,
        undelivered=lane.undelivered,
    )


def stuck(lane: Lane) -> str:
    """Say what keeps pods from starting: the reason that most of them have, without their number, which changes."""
    reasons = Counter((slot.waiting, slot.sentence) for slot in lane.slots.held.values() if slot.stuck)
    if not reasons:
        return ""
    (code, sentence), _ = min(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"pods can't start ({code}): {sentence}"


async def _counts(lane: Lane) -> tuple[Mapping[str, int], RedisFaultError | None]:
    try:
        return await lane.queue.counts(), None
    except RedisFaultError as fault:
        return {}, fault


async def _oldest_waiting(lane: Lane) -> datetime | None:
    try:
        added_ms = await lane.queue.oldest_waiting_ms()
    except RedisFaultError:
        return None
    # a producer writes what it likes: what is no time of our millennium is not shown
    return datetime.fromtimestamp(added_ms / 1000, UTC) if added_ms and added_ms < 32_503_680_000_000 else None


def _attempt(slot: Slot, now: float) -> AttemptStatus:
    attempt = slot.attempt
    name = kube_job_name(attempt.queue, attempt.job_id, attempt.token)
    return AttemptStatus(
        safe(attempt.job_id), safe(attempt.job_name), attempt.token, name, slot.stage.value, now - slot.since,
        slot.sentence,
    )  # fmt: skip
