"""What this runner can say about its attempt when it ends: the record that goes to the graph."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.bullmq import Job
from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord
from bullpen_runner.usage import Usage, Used


class Recorder:
    """Knows one attempt from its start. *child* tells what the child said of itself, see `Usage.used`."""

    def __init__(self, assignment: Assignment, usage: Usage, child: Callable[[], Used | None]) -> None:
        self._assignment = assignment
        self._usage = usage
        self._child = child
        self._started_ms = _now_ms()

    def record(self, job: Job, outcome: AttemptOutcome, reason: str = "", findings: int | None = None) -> AttemptRecord:
        """Say what came of the attempt, now."""
        mine = self._assignment
        used = self._usage.used(self._child())
        before = job.bullpen.get("t")
        return AttemptRecord(
            prefix=mine.prefix,
            queue=mine.queue,
            job_id=mine.job_id,
            job_name=job.name,
            added_ms=job.timestamp,
            token=mine.token,
            outcome=outcome,
            number=mine.attempt,
            reason=reason,
            started_ms=self._started_ms,
            ended_ms=_now_ms(),
            image=mine.image,
            image_digest=mine.image_digest or _digest(mine.image),
            payload_sha256=_sha256(job),
            memory_limit_bytes=mine.memory_limit_bytes,
            cpu_limit=None if mine.cpu_limit_millicores is None else mine.cpu_limit_millicores / 1000,
            memory_peak_bytes=used.memory_bytes,
            cpu_seconds=used.cpu_s,
            findings=findings,
            previous_token=before if isinstance(before, str) and before else None,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _digest(image: str | None) -> str | None:
    """Return the digest by which *image* is named, if it is."""
    return (image or "").partition("@")[2] or None


def _sha256(job: Job) -> str:
    return hashlib.sha256(job.raw.get("data", "").encode("utf-8", "surrogateescape")).hexdigest()
