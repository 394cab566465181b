"""Reading queues for people: which exist, their jobs by state in pages, the log of a job. Nothing here changes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bullpen_protocol.bullmq.encoding import plain
from bullpen_protocol.bullmq.job import BULLPEN_FIELD, CANCEL_FIELD, Job
from bullpen_protocol.bullmq.keys import RESERVED_IDS, Keys
from bullpen_protocol.bullmq.steps import Batch, Command, Operation, read

STATES: Final = ("active", "waiting", "prioritized", "delayed", "waiting-children", "failed", "completed")
"""States of jobs as Node names them; the waiting jobs of a paused queue are waiting, too."""

SCANNED_AT_ONCE: Final = 1000
"""Keys that one step of a scan looks at: it holds Redis up for less than a millisecond."""

_SUMMARY: Final = (
    *("name", "opts", "timestamp", "delay", "priority", "atm", "attemptsMade", "ats", "stc", "pb", BULLPEN_FIELD),
    *(CANCEL_FIELD, "defa", "processedOn", "finishedOn", "failedReason", "progress", "rjk"),
)
"""What a list shows of a job: neither its data nor what it returned, which may be large."""

_GLOB: Final = re.compile(r"[*?\[\]\\]")


def ids(keys: Keys, state: str, limit: int, skip: int = 0) -> Operation[list[str]]:
    """List the ids of a state of STATES: next to run first; of ended jobs the latest first."""
    if state == "waiting":
        return (yield from _waiting(keys, limit, skip))
    if state == "active":
        return (yield from _from_the_tail(keys, "active", limit, skip))
    order = "ZREVRANGE" if state in ("completed", "failed") else "ZRANGE"
    found: list[str] = yield read(order, keys(state), skip, skip + limit - 1)
    return found


def _waiting(keys: Keys, limit: int, skip: int) -> Operation[list[str]]:
    first = yield from _from_the_tail(keys, "wait", limit, skip)
    if len(first) == limit:
        return first
    length = yield read("LLEN", keys("wait"))
    rest = yield from _from_the_tail(keys, "paused", limit - len(first), max(0, skip - length))
    return first + rest


def _from_the_tail(keys: Keys, name: str, limit: int, skip: int) -> Operation[list[str]]:
    """Jobs enter these lists at the head. What begins with `0:` is a marker of 5.7.0."""
    found: list[str] = yield read("LRANGE", keys(name), -(skip + limit), -(skip + 1))
    return [job_id for job_id in reversed(found) if not job_id.startswith("0:")]


def ended_before(keys: Keys, state: str, moment_ms: int, limit: int, skip: int = 0) -> Operation[list[str]]:
    """List the ids that completed or failed up to a moment of the server's time, the earliest first."""
    found: list[str] = yield read("ZRANGEBYSCORE", keys(state), 0, moment_ms, "LIMIT", skip, limit)
    return found


def summaries(keys: Keys, job_ids: Sequence[str]) -> Operation[list[Job]]:
    """Read jobs without their data and values; one that is gone meanwhile is left out."""
    sound = [job_id for job_id in job_ids if job_id not in RESERVED_IDS]
    if not sound:
        return []
    rows = yield Batch(tuple(read("HMGET", keys(job_id), *_SUMMARY) for job_id in sound), again=True)
    hashes = [{name: value for name, value in zip(_SUMMARY, row, strict=True) if value is not None} for row in rows]
    return [Job.from_hash(job_id, raw) for job_id, raw in zip(sound, hashes, strict=True) if raw]


def logs(keys: Keys, job_id: str, last: int) -> Operation[tuple[list[str], int]]:
    """Read the last lines of a job's log, and how many there are."""
    name = keys(f"{job_id}:logs")
    lines, count = yield Batch((read("LRANGE", name, -last, -1), read("LLEN", name)), again=True)
    return [plain(line) for line in lines], count


def scan_queues(keys: Keys, cursor: int = 0) -> Operation[tuple[list[str], int]]:
    """Find queues of the prefix, step by step: names, and the cursor of the next step; 0: that was all.

    A name may come twice. Jobs are not read, and the server goes on with its work between two steps.
    """
    pattern = _GLOB.sub(r"\\\g<0>", keys.prefix) + ":*:meta"
    asked = ("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED_AT_ONCE, "TYPE", "hash")
    following, found = yield Command(asked, again=True, keyless=True)
    if isinstance(following, dict):  # of a cluster's client: the cursor of each node, here of one
        [following] = following.values()
    names = [key.removeprefix(f"{keys.prefix}:").removesuffix(":meta") for key in found]
    return [name for name in names if name and ":" not in name], int(following)
