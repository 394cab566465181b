"""Reading a queue: nothing here changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bullpen_protocol.bullmq.encoding import json_object, plain
from bullpen_protocol.bullmq.job import BULLPEN_FIELD, CANCEL_FIELD, Job, Location, number
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import NOW, Batch, Command, Operation, Script, read

_LISTS: Final = ("wait", "paused", "active")
_ZSETS: Final = ("delayed", "prioritized", "waiting-children", "completed", "failed")
_LOOKED_AT: Final = ("name", "pb", BULLPEN_FIELD, CANCEL_FIELD, "defa", "atm", "finishedOn")


def now_ms(_keys: Keys) -> Operation[int]:
    """Tell the time of the Redis server, in milliseconds since the epoch."""
    now: int = yield NOW
    return now


def load(keys: Keys, job_id: str) -> Operation[Job | None]:
    """Read a job with its data; None: there is no such job."""
    raw = yield read("HGETALL", keys(job_id))
    return Job.from_hash(job_id, raw) if raw else None


def state(keys: Keys, job_id: str) -> Operation[str]:
    """Name the state as Node does: waiting (paused, too), active, delayed, prioritized, waiting-children, completed ...

    `unknown`: it is nowhere.
    """
    names = ("completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized")
    found: str = yield Script("getStateV2-8", keys.all(*names), (job_id, keys(job_id)), again=True)
    return found


def active_ids(keys: Keys) -> Operation[list[str]]:
    """List the ids of active jobs."""
    ids: list[str] = yield read("LRANGE", keys("active"), 0, -1)
    return ids


def counts(keys: Keys) -> Operation[dict[str, int]]:
    """Count the jobs in each list and set, by its name in Redis; a paused queue's waiting jobs are in `paused`."""
    commands = [read("LLEN", keys(name)) for name in _LISTS] + [read("ZCARD", keys(name)) for name in _ZSETS]
    numbers = yield Batch(tuple(commands), again=True)
    return dict(zip((*_LISTS, *_ZSETS), numbers, strict=True))


def oldest_waiting_ms(keys: Keys) -> Operation[int | None]:
    """Tell when the oldest of the jobs that come next was added (ms since the epoch); None: no job waits.

    Looked at are the next of `wait`, of `paused` and of the prioritized ones: a backlog is never read through.
    """
    ends = (
        read("LINDEX", keys("wait"), -1),
        read("LINDEX", keys("paused"), -1),
        read("ZRANGE", keys("prioritized"), 0, 0),
    )
    last, held, [*first] = yield Batch(ends, again=True)
    ids = [one for one in (last, held, *first) if one]
    if not ids:
        return None
    times = yield Batch(tuple(read("HGET", keys(one), "timestamp") for one in ids), again=True)
    return min((number(time) for time in times if time), default=None)


def paused(keys: Keys) -> Operation[bool]:
    """Tell whether the queue is paused."""
    found: int = yield read("HEXISTS", keys("meta"), "paused")
    return bool(found)


def cancels(keys: Keys, job_ids: Sequence[str]) -> Operation[list[str | None]]:
    """Tell for each job which attempt (T) somebody asked to cancel; None: nobody did."""
    if not job_ids:
        return []
    wanted: list[str | None] = yield Batch(tuple(read("HGET", keys(one), CANCEL_FIELD) for one in job_ids), again=True)
    return wanted


def location(keys: Keys, job_id: str) -> Operation[Location]:
    """Look at one job: is it active, whose is it, what did the last move leave."""
    found = yield from locations(keys, [job_id])
    return found[0]


def locations(keys: Keys, job_ids: Sequence[str]) -> Operation[list[Location]]:
    """Look at many jobs in one round trip, in their order."""
    if not job_ids:
        return []
    commands = [command for job_id in job_ids for command in _look_at(keys, job_id)]
    replies = yield Batch(tuple(commands), again=True)
    size = len(replies) // len(job_ids)
    return [_seen(job_id, replies[at * size : (at + 1) * size]) for at, job_id in enumerate(job_ids)]


def _look_at(keys: Keys, job_id: str) -> tuple[Command, ...]:
    return (
        read("LPOS", keys("active"), job_id),
        read("GET", keys.lock(job_id)),
        read("PTTL", keys.lock(job_id)),
        read("EXISTS", keys(job_id)),
        # last: a move that lands between the commands shows itself here
        read("HMGET", keys(job_id), *_LOOKED_AT),
    )


def _seen(job_id: str, replies: Sequence[Any]) -> Location:
    position, lock, ttl, exists, values = replies
    fields = dict(zip(_LOOKED_AT, values, strict=True))
    return Location(
        job_id=job_id,
        exists=bool(exists),
        active=position is not None,
        lock=lock,
        lock_ms=max(0, ttl),
        name=plain(fields["name"] or ""),
        pb=fields["pb"],
        bullpen=json_object(fields[BULLPEN_FIELD]),
        cancel=fields[CANCEL_FIELD],
        defa=fields["defa"],
        atm=number(fields["atm"]),
        finished_on=number(fields["finishedOn"]) or None,
    )
