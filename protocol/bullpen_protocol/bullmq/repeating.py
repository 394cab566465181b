"""Keeping repeats going: whoever claims an iteration produces the next one, or the chain stops.

Two forms exist side by side: job schedulers (BullMQ 5.16 and later) and the legacy repeatable jobs of 5.7.0.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from bullpen_protocol.bullmq.adding import NewJob, enqueue
from bullpen_protocol.bullmq.encoding import pack
from bullpen_protocol.bullmq.errors import SCRIPT_FAILED, RedisRefusedError
from bullpen_protocol.bullmq.job import Job, number
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import NOW, Command, Operation, Script, read

logger = logging.getLogger(__name__)

_LEGACY_PARTS = 5
"""`name:id:endDate:tz:pattern`; an id of a scheduler may hold as many colons."""


def advance(keys: Keys, job: Job) -> Operation[None]:
    """Produce the iteration after *job*, if it is one of a scheduler or a legacy repeat; doing it twice adds nothing.

    A rule that can't be read (a pattern, a time zone, an end that is no date) stops its chain with a warning, as in
    Node: the job itself is not to blame.
    """
    repeat = job.opts.get("repeat")
    if not isinstance(repeat, Mapping) or not job.id.startswith("repeat:"):
        return
    try:
        if job.rjk is not None and (yield from _is_scheduler(keys, job.rjk)):
            yield from _advance_scheduler(keys, job, job.rjk, repeat)
        else:
            yield from _advance_legacy(keys, job, repeat)
    except (ValueError, RedisRefusedError) as error:
        if isinstance(error, RedisRefusedError) and error.kind != SCRIPT_FAILED:
            raise
        logger.warning("a repeat stops: its rule can't be used", extra={"job_id": job.id, "why": str(error)[:200]})


def _is_scheduler(keys: Keys, key: str) -> Operation[bool]:
    if key.count(":") + 1 < _LEGACY_PARTS:
        return True
    found: int = yield read("HEXISTS", keys(f"repeat:{key}"), "ic")
    return bool(found)


def _advance_scheduler(keys: Keys, job: Job, scheduler: str, repeat: Mapping[str, Any]) -> Operation[None]:
    """The script does nothing unless *job* is the scheduler's latest iteration: that makes it idempotent."""
    now = yield NOW
    if _over(repeat, now):
        return
    start = max(now, _slot(job))
    next_ms = None
    if repeat.get("pattern"):
        next_ms = max(start, _next_by_pattern(start, repeat))
    elif number(repeat.get("every")) <= 0:
        raise ValueError("neither a pattern nor a time in `every`")
    opts = {**next_options(job, repeat, now, next_ms), "repeatJobKey": scheduler}
    names = ("repeat", "delayed", "wait", "paused", "meta", "prioritized", "marker", "id", "events", "pc", job.id)
    args = (next_ms or "", scheduler, job.data or "{}", pack(opts), now, keys.base, job.id)
    yield Script("updateJobScheduler-12", keys.all(*names, "active"), args, again=True)


def _advance_legacy(keys: Keys, job: Job, repeat: Mapping[str, Any]) -> Operation[None]:
    """Move the chain's clock in `repeat` first, then add its job: a crash in between is mended by doing both again."""
    now = yield NOW
    if _over(repeat, now):
        return
    found = yield from _legacy_member(keys, job, repeat)
    if found is None:
        return  # the repeat was removed
    member, score = found
    own = _slot(job)
    next_ms = score if score > own else _next_legacy(max(now, own), repeat)
    if score <= own:
        yield Command(("ZADD", keys("repeat"), next_ms, member), again=True)
    opts = next_options(job, repeat, now, next_ms)
    yield from enqueue(keys, now, NewJob(job.name, job.data or "{}", opts, opts["jobId"], member))


def _legacy_member(keys: Keys, job: Job, repeat: Mapping[str, Any]) -> Operation[tuple[str, int] | None]:
    """Find the chain in `repeat`: under the key that the job names, else under the one made of its rule."""
    described = legacy_key(job.name, repeat)
    hashed = hashlib.md5(described.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
    for member in dict.fromkeys(filter(None, (job.rjk, repeat.get("key"), hashed, described))):
        score = yield read("ZSCORE", keys("repeat"), member)
        if score is not None:
            return member, number(score)
    return None


def legacy_key(name: str, repeat: Mapping[str, Any]) -> str:
    """Name a legacy repeat as 5.7.0 does: name:jobId:endDate:tz:pattern-or-every."""
    end = repeat.get("endDate")
    parts = (repeat.get("jobId") or "", _millis(end) if end else "", repeat.get("tz") or "")
    rule = repeat.get("pattern") or repeat.get("cron") or repeat.get("every") or ""
    return ":".join([name, *map(str, parts), str(rule)])


def next_options(job: Job, repeat: Mapping[str, Any], now: int, next_ms: int | None) -> dict[str, Any]:
    """Compose the stored options of the next iteration; without *next_ms* the script fills in what depends on it."""
    again = {name: value for name, value in repeat.items() if name != "immediately" and value is not None}
    again["count"] = number(repeat.get("count")) + 1
    for name in ("startDate", "endDate"):
        if again.get(name):
            again[name] = _millis(again[name])
    dropped = ("repeatJobKey", "prevMillis", "delay", "jobId")
    opts = {name: value for name, value in job.opts.items() if name not in dropped}
    opts |= {"repeat": again, "timestamp": now}
    if next_ms is not None:
        delay = max(0, next_ms + number(repeat.get("offset")) - now)
        opts |= {"delay": delay, "prevMillis": next_ms, "jobId": f"{job.id.rpartition(':')[0]}:{next_ms}"}
    return opts


def _slot(job: Job) -> int:
    """When this iteration was due: the end of its id."""
    return number(job.id.rpartition(":")[2])


def _over(repeat: Mapping[str, Any], now: int) -> bool:
    limit, end = repeat.get("limit"), repeat.get("endDate")
    if limit is not None and number(repeat.get("count")) + 1 > number(limit):
        return True
    return bool(end) and now > _millis(end)


def _next_legacy(start: int, repeat: Mapping[str, Any]) -> int:
    every = number(repeat.get("every"))
    if every > 0:
        return start // every * every + every
    return _next_by_pattern(start, repeat)


def _next_by_pattern(start: int, repeat: Mapping[str, Any]) -> int:
    from bullpen_protocol.bullmq.cron import next_time  # noqa: PLC0415 - croniter is the operator's alone

    begin = repeat.get("startDate")
    pattern = repeat.get("pattern") or repeat.get("cron") or ""
    return next_time(str(pattern), max(start, _millis(begin)) if begin else start, repeat.get("tz"))


def _millis(date: Any) -> int:
    """Read a date as JavaScript's Date would: milliseconds, or ISO 8601."""
    if isinstance(date, str) and not date.lstrip("-").isdecimal():
        from datetime import datetime  # noqa: PLC0415 - only repeats with a textual date pay for it

        return int(datetime.fromisoformat(date).timestamp() * 1000)
    return number(date)
