"""Adding a job as a producer does: for the demo, the command line, tests, and the next iteration of a repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bullpen_protocol.bullmq.encoding import escape_surrogates, pack, plain
from bullpen_protocol.bullmq.errors import JobOptionsError, QueueError
from bullpen_protocol.bullmq.job import number
from bullpen_protocol.bullmq.keys import RESERVED_IDS, Keys
from bullpen_protocol.bullmq.steps import NOW, Operation, Script

MAX_PRIORITY: Final = 2_097_151
"""BullMQ's: above it the order of priorities would break."""

_SHORT: Final = {
    "deduplication": "de",
    "failParentOnFailure": "fpof",
    "continueParentOnFailure": "cpof",
    "ignoreDependencyOnFailure": "idof",
    "removeDependencyOnFailure": "rdof",
    "keepLogs": "kl",
}
"""Names that BullMQ shortens in the hash."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be added; `opts` as they are stored. An empty id: the queue counts one up."""

    name: str
    data: str
    opts: Mapping[str, Any]
    id: str = ""
    repeat_key: str | None = None


def add(
    keys: Keys, name: str, data_json: str, opts: Mapping[str, Any] | None = None, job_id: str | None = None
) -> Operation[str]:
    """Add a job and return its id; *opts* as BullMQ documents them. An id that exists already adds nothing.

    Raises:
        JobOptionsError: BullMQ would not accept it, or the id would corrupt the queue.
    """
    job = NewJob(name, escape_surrogates(data_json), stored_options(opts or {}, job_id), checked_id(job_id))
    now = yield NOW
    return (yield from enqueue(keys, now, job))


def enqueue(keys: Keys, now: int, job: NewJob) -> Operation[str]:
    """Store *job* and put it where its delay and priority say."""
    reply: str | int = yield add_script(keys, now, job)
    if isinstance(reply, int) and reply < 0:
        raise QueueError(reply, job.id)
    return str(reply)


def add_script(keys: Keys, now: int, job: NewJob) -> Script:
    """Build addDelayedJob, addPrioritizedJob or addStandardJob."""
    deduplication = job.opts.get("de")
    unique = deduplication.get("id") if isinstance(deduplication, Mapping) else None
    described = [
        *(keys.base, job.id, plain(job.name), now),
        *(None, None, None),  # no parent: flows are their producers' business
        *(job.repeat_key, keys(f"de:{unique}") if unique else None),
    ]
    args = (pack(described), job.data, pack(dict(job.opts)))
    if number(job.opts.get("delay")) > 0:
        return Script("addDelayedJob-6", keys.all("marker", "meta", "id", "delayed", "completed", "events"), args)
    if number(job.opts.get("priority")) > 0:
        names = ("marker", "meta", "id", "prioritized", "delayed", "completed", "active", "events", "pc")
        return Script("addPrioritizedJob-9", keys.all(*names), args)
    names = ("wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker")
    return Script("addStandardJob-9", keys.all(*names), args)


def stored_options(opts: Mapping[str, Any], job_id: str | None = None) -> dict[str, Any]:
    """Translate options to the form that the hash keeps; None counts as not given."""
    stored: dict[str, Any] = {"attempts": 0}
    for name, value in opts.items():
        if value is not None:
            stored[_SHORT.get(name, name)] = value
    if job_id is not None:
        stored["jobId"] = job_id
    backoff = stored.get("backoff")
    if isinstance(backoff, int | float):
        stored["backoff"] = {"type": "fixed", "delay": backoff}
    if not 0 <= number(stored.get("priority")) <= MAX_PRIORITY:
        raise JobOptionsError(f"priority must be between 0 and {MAX_PRIORITY}")
    if number(stored.get("delay")) < 0:
        raise JobOptionsError("delay must not be negative")
    return stored


def checked_id(job_id: str | None) -> str:
    """Refuse ids that BullMQ refuses (numbers, most colons) and those that are keys of a queue."""
    if job_id is None:
        return ""
    if plain(job_id) != job_id:
        raise JobOptionsError("a job's own id must be text that UTF-8 can hold")
    if job_id in RESERVED_IDS:
        raise JobOptionsError(f"the id {job_id!r} is a key of the queue itself")
    if not job_id or job_id.lstrip("-").isdecimal():
        raise JobOptionsError("a job's own id must not be empty or a number: the queue counts those")
    if ":" in job_id and (job_id.count(":") != 2 or job_id.startswith("0:")):
        # two are for the ids of old repeats; what begins with 0: the scripts take for a marker and drop
        raise JobOptionsError("a job's own id must not hold a colon")
    return job_id
