"""An attempt without processes: claim, do what the job's data says, finish. The counterpart of driver.js's work()."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from bullpen_protocol.bullmq import Claimed, Empty, Finish, Job, SyncQueue, keep_logs, to_json

LOCK_MS = 30_000


def new_token() -> str:
    """T as the operator makes it."""
    return f"bullpen/test/{uuid.uuid4()}"


def claim(queue: SyncQueue, token: str | None = None) -> Claimed:
    """Claim a job that must be there."""
    claimed = queue.claim(token or new_token(), LOCK_MS)
    assert isinstance(claimed, Claimed), claimed
    return claimed


def run_all(queue: SyncQueue, timeout_s: float = 20) -> int:
    """Run every job of the queue to its end; returns the number of attempts."""
    attempts = 0
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        token = new_token()
        claimed = queue.claim(token, LOCK_MS)
        if isinstance(claimed, Empty):
            if not _open(queue):
                return attempts
            time.sleep(0.002)
            continue
        attempts += 1
        run(queue, claimed.job, token)
    raise AssertionError(f"still open: {queue.counts()}")


def run(queue: SyncQueue, job: Job, token: str) -> Finish:
    """Do one attempt of a claimed job."""
    queue.advance(job)
    if job.defa is not None:
        return queue.fail(job, token, job.defa, unrecoverable=True)
    step = _step(job)
    if "progress" in step:
        queue.progress(job.id, step["progress"])
    for line in step.get("log", []):
        queue.log(job.id, line, keep_logs(job))
    if "throw" in step:
        kind = "UnrecoverableError" if step.get("unrecoverable") else "Error"
        stack = f"{kind}: {step['throw']}\n    at plan"
        return queue.fail(job, token, step["throw"], stack, unrecoverable=bool(step.get("unrecoverable")))
    return queue.complete(job, token, to_json(step.get("return")))


def _step(job: Job) -> dict[str, Any]:
    plan = json.loads(job.data).get("plan") or [{"return": None}]
    step: dict[str, Any] = plan[min(job.atm, len(plan) - 1)]
    return step


def _open(queue: SyncQueue) -> bool:
    counts = queue.counts()
    return any(counts[name] for name in ("wait", "active", "delayed", "prioritized", "waiting-children"))
