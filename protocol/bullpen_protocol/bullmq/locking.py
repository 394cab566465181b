"""Keeping a job: hold (bind, renew, re-own), extend, and BullMQ's check for jobs that nobody keeps."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from bullpen_protocol.bullmq.encoding import escape_surrogates, pack
from bullpen_protocol.bullmq.job import kept_under
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import NOW, Command, Operation, Script


class HoldResult(IntEnum):
    """What hold.lua says."""

    HELD = 1
    """The job is this attempt's, for the lock time."""
    GONE = -1
    """There is no such job any more."""
    NOT_ACTIVE = -3
    """It was moved: finished, or back in the queue."""
    SUPERSEDED = -6
    """Another attempt, or another pod of this one, owns it."""


def hold(
    keys: Keys, job_id: str, token: str, fence: str, lock_ms: int, value_json: str | None = None
) -> Operation[HoldResult]:
    """Make the job this attempt's or say why not; safe to repeat.

    *fence* is F = T#<pod uid>; the operator, for an attempt that no pod has bound yet, passes T itself. *value_json* is
    kept in the job, in the same step, for whoever settles the attempt (Job.kept); the next move of the job empties it.
    """
    script_keys = (keys(job_id), keys.lock(job_id), keys("active"), keys("stalled"))
    kept = () if value_json is None else (kept_under(fence, escape_surrogates(value_json)),)
    code = yield Script("hold", script_keys, (job_id, token, fence, lock_ms, *kept), again=True)
    return HoldResult(code)


def extend(keys: Keys, job_id: str, token: str, lock_ms: int) -> Operation[bool]:
    """Renew a lock whose value is *token* (T or F); False: it ran out or is somebody else's."""
    script_keys = (keys.lock(job_id), keys("stalled"))
    code: int = yield Script("extendLock-2", script_keys, (token, lock_ms, job_id), again=True)
    return code == 1


def extend_many(keys: Keys, job_ids: Sequence[str], tokens: Sequence[str], lock_ms: int) -> Operation[list[str]]:
    """Renew many locks in one step; returns the ids whose lock could not be renewed."""
    if not job_ids:
        return []
    args = (keys.base, pack(list(tokens)), pack(list(job_ids)), lock_ms)
    failed: list[str] = yield Script("extendLocks-1", (keys("stalled"),), args, again=True)
    return failed


def stalled(keys: Keys, max_stalled: int, interval_ms: int, spare: Sequence[str] = ()) -> Operation[list[str]]:
    """Run BullMQ's stalled check, at most once per interval over all clients; returns the ids put back to wait.

    Two-phased: a job is put back when it is still active without a lock one interval after it was first noticed.
    More than *max_stalled* stalls leave a `defa` for the next claimer to act on. Jobs of *spare* are never put back
    by this call, lock or no lock: they are no longer noticed when it begins, and if another client notices them in
    between, that client's check makes this one do nothing.
    """
    if spare:
        yield Command(("SREM", keys("stalled"), *spare), again=True)
    now = yield NOW
    names = ("stalled", "wait", "active", "stalled-check", "meta", "paused", "marker", "events", "repeat")
    args = (max_stalled, keys.base, now, interval_ms)
    ids: list[str] = yield Script("moveStalledJobsToWait-9", keys.all(*names), args)
    return ids
