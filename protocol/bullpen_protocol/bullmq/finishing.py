"""Moving a job out of active under its token: complete, fail, give back.

An answer that was lost is never asked for by doing the move again blindly: every move writes its token and its target
into our field `bullpen` in the same atomic script, so that the state tells whether it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from bullpen_protocol.bullmq.encoding import escape_surrogates, json_object, pack, pack_fields, plain, to_json
from bullpen_protocol.bullmq.errors import Code, QueueError, RedisAwayError
from bullpen_protocol.bullmq.job import BULLPEN_FIELD, VALUE_FIELD, Job
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.looking import location
from bullpen_protocol.bullmq.policy import GiveUp, Retry, after_failure, keep_jobs, parent_with_flags, stacktrace
from bullpen_protocol.bullmq.steps import NOW, Batch, Command, Operation, Script

Fields: TypeAlias = Mapping[str, str] | None
Build: TypeAlias = Callable[[int, bytes], Script]
"""Makes the script of a move from the time and the packed fields."""

GIVEN_BACK: Final = "given-back"
_TRIES: Final = 3


class Finish(StrEnum):
    """Where a finished attempt left its job."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    """Back to wait at once, one attempt spent."""
    DELAYED = "delayed"
    """Back to wait after its backoff, one attempt spent."""


def complete(keys: Keys, job: Job, token: str, value_json: str, fields: Fields = None) -> Operation[Finish]:
    """Complete *job* with a value in JSON; *token* is the value of its lock (F, or T before a pod has bound).

    *fields* are written to the hash in the same step as the move. Safe when an answer is lost.

    Raises:
        QueueError: the script refused; nothing was moved.
        RedisAwayError: Redis stayed away. Once it is back, location().moved_by(token) tells whether the job was
            moved; if it was not, call again.
    """
    value = escape_surrogates(value_json)

    def build(now: int, extra: bytes) -> Script:
        return finished(keys, now, job, token, Finish.COMPLETED, value, extra)

    yield from _move(keys, job, token, Finish.COMPLETED, _sendable(fields), build)
    return Finish.COMPLETED


def fail(
    keys: Keys,
    job: Job,
    token: str,
    reason: str,
    stack: list[str] | str = "",
    unrecoverable: bool = False,
    fields: Fields = None,
) -> Operation[Finish]:
    """End an attempt that failed: again by the producer's `attempts` and `backoff`, else failed for good.

    Raises as complete() does.
    """
    decision = after_failure(job, unrecoverable=unrecoverable or job.reserved)
    left = {
        **_sendable(fields),
        "failedReason": _with_cause(plain(reason), decision),
        "stacktrace": stacktrace(job, [stack] if isinstance(stack, str) else stack),
    }
    if isinstance(decision, GiveUp):
        return (yield from _fail_for_good(keys, job, token, left))
    delay_ms = decision.delay_ms

    def build(now: int, extra: bytes) -> Script:
        if delay_ms == 0:
            return retried(keys, now, job, token, extra)
        return delayed(keys, now, job.id, token, delay_ms, extra, spend=True)

    to = Finish.DELAYED if delay_ms else Finish.RETRIED
    yield from _move(keys, job, token, to, left, build)
    return to


def give_back(keys: Keys, job: Job, token: str, delay_ms: int, fields: Fields = None) -> Operation[None]:
    """Return *job* to the queue after at least 1 ms without spending an attempt. Raises as complete() does.

    Never straight to wait: that would run it at once in a hot loop, and gives prioritized jobs no marker.
    """

    def build(now: int, extra: bytes) -> Script:
        return delayed(keys, now, job.id, token, max(1, delay_ms), extra, spend=False)

    yield from _move(keys, job, token, GIVEN_BACK, _sendable(fields), build)


def finished(keys: Keys, now: int, job: Job, token: str, target: Finish, value: str, extra: bytes) -> Script:
    """Build moveToFinished, without metrics and without fetching the next job."""
    done = target is Finish.COMPLETED
    options: dict[str, Any] = {
        "token": token,
        "keepJobs": keep_jobs(job.opts.get("removeOnComplete" if done else "removeOnFail")),
        "attempts": job.attempts,
        "maxMetricsSize": "",
    }
    own = keys.all(target.value, job.id, f"metrics:{target.value}", "marker")
    property_name = "returnvalue" if done else "failedReason"
    args = (job.id, now, property_name, value, target.value, "", keys.base, pack(options), extra)
    return Script("moveToFinished-14", keys.to_finish + own, args)


def delayed(keys: Keys, now: int, job_id: str, token: str, delay_ms: int, extra: bytes, *, spend: bool) -> Script:
    """Build moveToDelayed; *spend* counts the attempt."""
    names = ("marker", "active", "prioritized", "delayed", job_id, "events", "meta", "stalled", "wait", "limiter")
    args = (keys.base, now, job_id, token, delay_ms, "0" if spend else "1", extra, "0")
    return Script("moveToDelayed-12", keys.all(*names, "paused", "pc"), args)


def retried(keys: Keys, now: int, job: Job, token: str, extra: bytes) -> Script:
    """Build retryJob: to wait (or its priority) at once, one attempt spent."""
    names = ("active", "wait", "paused", job.id, "meta", "events", "delayed", "prioritized", "pc", "marker", "stalled")
    push = "RPUSH" if job.opts.get("lifo") else "LPUSH"
    return Script("retryJob-11", keys.all(*names), (keys.base, now, push, job.id, token, extra))


def _sendable(fields: Fields) -> dict[str, str]:
    return {name: plain(value) for name, value in (fields or {}).items()}


def _move(keys: Keys, job: Job, token: str, to: str, left: dict[str, str], build: Build) -> Operation[None]:
    """Send a move; after a lost answer look where the job is, and send again only while it is still ours."""
    used = {VALUE_FIELD: ""} if job.raw.get(VALUE_FIELD) else {}  # HMSET can't remove it, and it may be a megabyte
    extra = pack_fields({**left, **used, BULLPEN_FIELD: _evidence(job, token, to, left.get(BULLPEN_FIELD))})
    lost: RedisAwayError | None = None
    for _ in range(_TRIES):
        now = yield NOW
        try:
            code = yield build(now, extra)
        except RedisAwayError as away:
            lost = away
        else:
            if code == 0:
                return
            if lost is None:
                raise QueueError(code, job.id)
        seen = yield from location(keys, job.id)
        if not seen.exists or seen.moved_by(token, to):
            return  # no hash: removeOnComplete, or somebody removed it; either way there is nothing to move
        if seen.lock != token or not seen.active:
            raise QueueError(_why_not(seen.active, seen.lock), job.id)
    assert lost is not None  # every other way out of the loop returned or raised
    raise lost


def _evidence(job: Job, token: str, to: str, ours: str | None) -> str:
    """Render our field with who moves the job, and where: what _move reads after a lost answer."""
    fields = job.bullpen if ours is None else json_object(ours)
    return to_json({**fields, "t": token, "to": to})


def _fail_for_good(keys: Keys, job: Job, token: str, left: dict[str, str]) -> Operation[Finish]:
    reason = left["failedReason"]
    if job.reserved:
        yield from _evict(keys, job, reason)
        return Finish.FAILED
    if parent := parent_with_flags(job):
        left["parent"] = parent

    def build(now: int, extra: bytes) -> Script:
        return finished(keys, now, job, token, Finish.FAILED, reason, extra)

    yield from _move(keys, job, token, Finish.FAILED, left, build)
    return Finish.FAILED


def _with_cause(reason: str, decision: Retry | GiveUp) -> str:
    return f"{reason} ({decision.because})" if isinstance(decision, GiveUp) and decision.because else reason


def _why_not(active: bool, lock: str | None) -> Code:
    if not active:
        return Code.NOT_ACTIVE
    return Code.NO_LOCK if lock is None else Code.OTHER_TOKEN


def _evict(keys: Keys, job: Job, reason: str) -> Operation[None]:
    """Fail a job whose id is a key of the queue, by taking it out: BullMQ's scripts break half-way on it.

    Its hash sits where a list or set of the queue belongs; with it gone the queue works again.
    """
    kind = yield Command(("TYPE", keys(job.id)), again=True)
    event = ("XADD", keys("events"), "*", "event", "failed", "jobId", job.id, "failedReason", reason, "prev", "active")
    commands = [Command(("LREM", keys("active"), -1, job.id)), Command(("DEL", keys.lock(job.id))), Command(event)]
    if kind == "hash":
        commands.insert(0, Command(("DEL", keys(job.id))))
    yield Batch(tuple(commands))
