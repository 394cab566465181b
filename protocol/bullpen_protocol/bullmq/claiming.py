"""Taking the next job of a queue: claim. A lost answer is looked up by the token, never asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bullpen_protocol.bullmq.encoding import pack
from bullpen_protocol.bullmq.errors import RedisFaultError
from bullpen_protocol.bullmq.job import Job
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.looking import load
from bullpen_protocol.bullmq.steps import NOW, Argument, Batch, Operation, Script, read


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job is active under the token of the claim."""

    job: Job


@dataclass(frozen=True, slots=True)
class Empty:
    """No job may start now."""

    limit_ms: int = 0
    """Rate limited: claim again after this; 0 otherwise."""
    next_at_ms: int = 0
    """When the next delayed job is due, in the server's time; 0: there is none. No marker will announce it."""


def claim(
    keys: Keys, token: str, lock_ms: int, name: str | None = None, limiter: tuple[int, int] | None = None
) -> Operation[Claimed | Empty]:
    """Take the next job for *lock_ms* under *token*, which must be new for every claim.

    *name* goes into the hash field `pb`, which outlives the lock; it is the token unless told otherwise.
    *limiter* (jobs, milliseconds) is what Node's worker passes as its own limit; the queue's goes first.

    Raises:
        RedisAwayError: Redis went away and no job is active under *token* as far as could be seen.
        RedisRefusedError: the queue is damaged (a job with a reserved id), or this user may not claim.
    """
    now = yield NOW
    try:
        reply = yield claim_script(keys, now, token, lock_ms, token if name is None else name, limiter)
    except RedisFaultError:
        job = yield from _claimed_under(keys, token)
        if job is None:
            raise
        return Claimed(job)
    return parse_claim(reply)


def claim_script(
    keys: Keys, now: int, token: str, lock_ms: int, name: str, limiter: tuple[int, int] | None = None
) -> Script:
    """Build moveToActive."""
    options: dict[str, Any] = {"token": token, "lockDuration": lock_ms, "name": name}
    if limiter is not None:
        options["limiter"] = {"max": limiter[0], "duration": limiter[1]}
    args: tuple[Argument, ...] = (keys.base, now, pack(options))
    return Script("moveToActive-11", keys.to_claim, args)


def parse_claim(reply: Sequence[Any]) -> Claimed | Empty:
    """Read moveToActive's answer. Only the hash tells: an empty one may come with an id of 0 or nothing."""
    flat, job_id, limit_ms, next_at_ms = (*reply, 0, 0)[:4]
    if not flat:
        return Empty(max(0, int(limit_ms or 0)), int(next_at_ms or 0))
    return Claimed(Job.from_hash(str(job_id), dict(zip(flat[::2], flat[1::2], strict=True))))


def _claimed_under(keys: Keys, token: str) -> Operation[Job | None]:
    """Find the job that an unanswered claim made active: tokens are unique, in `pb` or at least in the lock."""
    ids = yield read("LRANGE", keys("active"), 0, -1)
    if not ids:
        return None
    owners = yield Batch(tuple(read("HGET", keys(job_id), "pb") for job_id in ids), again=True)
    locks = yield Batch(tuple(read("GET", keys.lock(job_id)) for job_id in ids), again=True)
    for job_id, owner, lock in zip(ids, owners, locks, strict=True):
        if token in (owner, lock):
            return (yield from load(keys, job_id))
    return None
