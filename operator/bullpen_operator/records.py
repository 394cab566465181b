"""What the operator remembers of an attempt that left no record of its own in the graph. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bullpen_operator.outcome import CANCELLED, GIVEN_UP, Outcome, Verdict, cancelled
from bullpen_operator.seen import Attempt, KubeJobSeen, PodSeen
from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import GIVEN_BACK, Finish, Job
from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord

HASHED_BYTES: Final = 8 << 20
"""Data of a job above this is not hashed: it would hold up everything else that the operator does."""

_OUTCOMES: Final = {
    Verdict.COMPLETED: AttemptOutcome.COMPLETED,
    Verdict.FAILED: AttemptOutcome.FAILED,
    Verdict.UNRECOVERABLE: AttemptOutcome.UNRECOVERABLE,
    Verdict.GIVE_BACK: AttemptOutcome.GIVEN_BACK,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in the outbox, with what it takes to deliver it."""

    installation: str
    """Whose it is: operators of other installations on the same queue leave it alone."""
    graph: str
    """Name of the Secret of the store that it is for."""
    record: AttemptRecord

    def to_text(self) -> str:
        """Render as JSON in ASCII."""
        record = json.loads(self.record.to_json())
        return json.dumps({"installation": self.installation, "graph": self.graph, "record": record})

    @classmethod
    def from_text(cls, text: str) -> Entry | None:
        """Read it back; None for anything else."""
        try:
            body = json.loads(text)
            record = AttemptRecord.from_json(json.dumps(body["record"]))
            return cls(str(body["installation"]), str(body["graph"]), record)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def owes_record(seen: KubeJobSeen | None, *, bound: bool) -> bool:
    """Whether a runner of the attempt ran, and none has said that its record is in the graph."""
    pods = seen.pods if seen is not None else ()
    if any(said is not None and said.recorded for said in map(last_words, pods)):
        return False
    return bound or any(pod.started for pod in pods)


def last_words(pod: PodSeen) -> TerminationMessage | None:
    """Return what the pod's runner said last."""
    return TerminationMessage.from_text(pod.terminated.message) if pod.terminated is not None else None


def telling_pod(pods: Sequence[PodSeen], uid: str = "") -> PodSeen | None:
    """Find the pod that did the attempt's work: *uid*, else the last one that ran and was not told off."""
    ran = [pod for pod in pods if pod.started]
    by_worth = sorted(ran, key=lambda pod: (pod.uid == uid, not _superseded(pod)))  # stable: the last of the best
    return by_worth[-1] if by_worth else None


def _superseded(pod: PodSeen) -> bool:
    said = last_words(pod)
    return said is not None and said.outcome is RunnerOutcome.SUPERSEDED


def record_of(
    attempt: Attempt, outcome: Outcome, seen: KubeJobSeen | None, job: Job | None, now: datetime, uid: str = ""
) -> AttemptRecord:
    """Put together what is known. *uid*: the pod that bound it; *job*: as it was loaded, if it is still there."""
    pod = telling_pod(seen.pods, uid) if seen is not None else None
    settings = attempt.settings
    return AttemptRecord(
        prefix=attempt.prefix,
        queue=attempt.queue,
        job_id=attempt.job_id,
        job_name=attempt.job_name,
        added_ms=attempt.added_ms or (job.timestamp if job is not None else 0),
        token=attempt.token,
        outcome=AttemptOutcome.CANCELLED if outcome.code == CANCELLED else _OUTCOMES[outcome.verdict],
        number=attempt.number,
        reason="" if outcome.verdict is Verdict.COMPLETED else outcome.sentence,
        started_ms=_milliseconds(_started(pod, seen)) or (job.processed_on if job is not None else None),
        ended_ms=_milliseconds((pod.finished_at if pod is not None else None) or now),
        image=(pod.image if pod is not None else "") or None,
        image_digest=(pod.image_digest if pod is not None else "") or None,
        payload_sha256=None if job is None else sha256_of(job.raw.get("data", "")),
        memory_limit_bytes=settings.memory.limit or None,
        cpu_limit=settings.cpu_limit,
        memory_peak_bytes=pod.memory_peak_bytes if pod is not None else None,
        cpu_seconds=pod.cpu_seconds if pod is not None else None,
        previous_token=attempt.previous or None,
    )


def _started(pod: PodSeen | None, seen: KubeJobSeen | None) -> datetime | None:
    """Return when the container started; else when the attempt was launched, right after its claim."""
    if pod is not None and pod.started_at is not None:
        return pod.started_at
    return seen.created_at if seen is not None else None


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def sha256_of(data: str) -> str | None:
    """Hash a job's data as it lies in Redis; None: it is too large to be hashed in passing."""
    if len(data) > HASHED_BYTES:
        return None
    return hashlib.sha256(data.encode("utf-8", "surrogateescape")).hexdigest()


def outcome_left(attempt: Attempt, job: Job | None, judged: Outcome) -> Outcome:
    """Say what an attempt came to whose job was moved before: *judged*, unless the hash knows better.

    An operator that died between settling and recording may have cancelled it, or given up giving it back; and of an
    attempt that still runs, or was lost, the last move is all that is known.
    """
    left = job.bullpen if job is not None else {}
    moved = _MOVES.get(str(left.get("to"))) if owner_of(left.get("t")) == attempt.token else None
    code = str(left.get("reason", "")) if left.get("lastToken") == attempt.token else ""
    final = judged.verdict in _OUTCOMES
    if moved is None:
        return judged if final else Outcome(Verdict.GIVE_BACK, "superseded", "its job was taken from it")
    if code == CANCELLED:
        return cancelled()
    if final and code in ("", judged.code):
        return judged
    reason = job.failed_reason if job is not None and moved is Verdict.FAILED else None
    verdict = Verdict.UNRECOVERABLE if code == GIVEN_UP else moved
    return Outcome(verdict, code or moved.value, reason or code or moved.value)


def bound_by(attempt: Attempt, job: Job | None) -> str:
    """Uid of the pod that bound the attempt, as far as its job still tells; empty: none is known."""
    fences = (job.pb, job.bullpen.get("t")) if job is not None else ()
    return next((str(one).partition("#")[2] for one in fences if owner_of(one) == attempt.token), "")


def owner_of(fence: Any) -> str:
    """Read T out of a fence, T or F."""
    return str(fence or "").partition("#")[0]


_MOVES: Final = {
    GIVEN_BACK: Verdict.GIVE_BACK,
    Finish.COMPLETED.value: Verdict.COMPLETED,
    **dict.fromkeys((Finish.FAILED.value, Finish.RETRIED.value, Finish.DELAYED.value), Verdict.FAILED),
}
