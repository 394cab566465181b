"""Putting ended jobs back to wait, by BullMQ's own script: what Job.retry() and dashboards do."""

from __future__ import annotations

from typing import Literal

from bullpen_protocol.bullmq.errors import QueueError, RedisAwayError
from bullpen_protocol.bullmq.job import Job
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.looking import state
from bullpen_protocol.bullmq.steps import Operation, Script

Ended = Literal["failed", "completed"]


def retry(keys: Keys, job: Job, ended: Ended = "failed", fresh: bool = False) -> Operation[None]:
    """Put a job that has *ended* back to wait. A child that failed its parent is a dependency of it again.

    Attempts made stay counted, as in BullMQ: without *fresh*, a job whose attempts are used up gets one more.

    Raises:
        QueueError: it is gone, or has not ended so; nothing was moved.
        RedisAwayError: Redis stayed away and the job is still where it was, as far as could be seen.
    """
    try:
        code: int = yield reprocess(keys, job, ended, fresh)
    except RedisAwayError:
        if (yield from state(keys, job.id)) == ended:
            raise
        return
    if code < 0:
        raise QueueError(code, job.id)


def reprocess(keys: Keys, job: Job, ended: Ended, fresh: bool) -> Script:
    """Build reprocessJob."""
    push = "RPUSH" if job.opts.get("lifo") else "LPUSH"
    told = "failedReason" if ended == "failed" else "returnvalue"
    names = (job.id, "events", ended, "wait", "meta", "paused", "active", "marker")
    return Script("reprocessJob-8", keys.all(*names), (job.id, push, told, ended, *("1" if fresh else "0",) * 2))
