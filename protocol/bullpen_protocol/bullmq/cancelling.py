"""Ending a job before its time: one that runs, by its operator; one that waits, by whoever claims it next."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from bullpen_protocol.bullmq.encoding import plain
from bullpen_protocol.bullmq.job import CANCEL_FIELD, Job
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.looking import load, state
from bullpen_protocol.bullmq.steps import Operation, Script
from bullpen_protocol.bullmq.waking import nudge

CANCELLED: Final = "cancelled"
"""The reason that a cancelled job fails with."""


class CancelResult(IntEnum):
    """What cancel.lua says."""

    ATTEMPT = 1
    """The running attempt is marked: its operator ends it, and the job fails at once."""
    NEXT_CLAIM = 2
    """The job did not run; it was moved to the front and fails, without a pod, when it is claimed."""
    GONE = -1
    """There is no such job."""
    NOT_POSSIBLE = -3
    """It has ended, or it waits for its children."""
    NOT_OURS = -6
    """It runs under a worker that is not Bullpen's."""


def cancel(keys: Keys, job_id: str, reason: str = CANCELLED) -> Operation[CancelResult]:
    """Ask for the end of a job; safe to repeat. Exactly one `failed` follows, unless it completes first."""
    names = (job_id, f"{job_id}:lock", "active", "wait", "paused", "prioritized", "delayed")
    args = (job_id, CANCEL_FIELD, plain(reason))
    code: int = yield Script("cancel", keys.all(*names), args, again=True)
    result = CancelResult(code)
    if result is CancelResult.NEXT_CLAIM:
        yield from _hasten(keys, job_id)
    return result


def _hasten(keys: Keys, job_id: str) -> Operation[None]:
    """Let it be claimed soon. Whatever has moved it meanwhile, each script refuses or changes nothing."""
    if (yield from state(keys, job_id)) == "delayed":
        yield promote(keys, job_id)
    job = yield from load(keys, job_id)
    if job is not None:
        yield to_front(keys, job)
    yield from nudge(keys)


def promote(keys: Keys, job_id: str) -> Script:
    """Build promote: a delayed job waits from now on."""
    names = ("delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker")
    return Script("promote-9", keys.all(*names), (keys.base, job_id), again=True)


def to_front(keys: Keys, job: Job) -> Script:
    """Build changePriority with the job's own priority: it becomes the first of those that have it."""
    names = ("wait", "paused", "meta", "prioritized", "active", "pc", "marker")
    return Script("changePriority-7", keys.all(*names), (job.priority, keys.base, job.id, "1"), again=True)
