"""BullMQ's v5 scripts, as far as the operator and a runner use them, over MemoryRedis. Written from their behaviour."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from fakes.memory_redis import MemoryRedis

Keys = Sequence[str]
Args = Sequence[Any]

_SCALE: Final = 0x1000


def _unpack(packed: Any) -> Any:
    return msgpack.unpackb(packed) if packed else None


def _target(redis: MemoryRedis, base: str) -> tuple[str, bool]:
    """Where a waiting job goes, and whether nobody is to be woken for it."""
    meta = redis.hash(f"{base}meta")
    if "paused" in meta:
        return f"{base}paused", True
    full = "concurrency" in meta and len(redis.items(f"{base}active")) >= int(meta["concurrency"])
    return f"{base}wait", full


def _mark(redis: MemoryRedis, base: str, quiet: bool) -> None:
    if not quiet:
        redis.zset(f"{base}marker")["0"] = 0.0


def _priority_score(redis: MemoryRedis, base: str, priority: int) -> float:
    counter = int(redis.text(f"{base}pc") or 0) + 1
    redis.put(f"{base}pc", str(counter))
    return float(priority * 0x100000000 + counter % 0x100000000)


def _to_wait(redis: MemoryRedis, base: str, job_id: str, *, right: bool, quiet: bool, target: str) -> None:
    priority = int(redis.hash(base + job_id).get("priority") or 0)
    if priority:
        redis.zset(f"{base}prioritized")[job_id] = _priority_score(redis, base, priority)
    elif right:
        redis.items(target).append(job_id)
    else:
        redis.items(target).insert(0, job_id)
    _mark(redis, base, quiet)


def _promote(redis: MemoryRedis, base: str, now: int) -> None:
    delayed = redis.zset(f"{base}delayed")
    due = sorted((score, job_id) for job_id, score in delayed.items() if score <= (now + 1) * _SCALE - 1)
    target, quiet = _target(redis, base)
    for _, job_id in due:
        del delayed[job_id]
        _to_wait(redis, base, job_id, right=False, quiet=True, target=target)
        redis.emit(f"{base}events", event="waiting", jobId=job_id, prev="delayed")
        redis.hash(base + job_id)["delay"] = "0"
    if due:
        _mark(redis, base, quiet)


def _next_delayed(redis: MemoryRedis, base: str) -> int:
    delayed = redis.zset(f"{base}delayed")
    return int(min(delayed.values()) / _SCALE) if delayed else 0


def _delay(redis: MemoryRedis, base: str, job_id: str, now: int, delay: int) -> None:
    delayed, due = redis.zset(f"{base}delayed"), now + max(0, delay)
    taken = [score for score in delayed.values() if due * _SCALE <= score < (due + 1) * _SCALE]
    delayed[job_id] = min(max(taken) + 1, (due + 1) * _SCALE - 1) if taken else due * _SCALE
    redis.emit(f"{base}events", event="delayed", jobId=job_id, delay=due)
    redis.zset(f"{base}marker")["1"] = _next_delayed(redis, base)


def _base(key: str, name: str) -> str:
    return key.removesuffix(name)


def move_to_active(redis: MemoryRedis, keys: Keys, args: Args) -> Any:
    base, now, options = args[0], args[1], _unpack(args[2])
    _, quiet = _target(redis, base)
    _promote(redis, base, now)
    meta, limiter = redis.hash(f"{base}meta"), options.get("limiter") or {}
    most = int(meta.get("max") or limiter.get("max") or 0)
    if most and most <= int(redis.text(f"{base}limiter") or 0):
        return [0, 0, redis.command("PTTL", f"{base}limiter"), 0]
    if quiet:
        return [0, 0, 0, 0]
    wait, prioritized = redis.items(f"{base}wait"), redis.zset(f"{base}prioritized")
    if wait:
        job_id = wait.pop()
    elif prioritized:
        job_id = min(prioritized, key=lambda one: prioritized[one])
        del prioritized[job_id]
    else:
        redis.delete(f"{base}pc")
        return [0, 0, 0, _next_delayed(redis, base)]
    redis.items(f"{base}active").insert(0, job_id)
    if most:
        count = int(redis.text(f"{base}limiter") or 0) + 1
        ttl = redis.command("PTTL", f"{base}limiter")
        redis.put(f"{base}limiter", str(count), ttl if ttl > 0 else limiter.get("duration") or int(meta["duration"]))
    redis.put(f"{base}{job_id}:lock", options["token"], options["lockDuration"])
    redis.emit(f"{base}events", event="active", jobId=job_id, prev="waiting")
    job = redis.hash(base + job_id)
    job |= {"processedOn": str(now)} | ({"pb": options["name"]} if options.get("name") else {})
    job["ats"] = str(int(job.get("ats", 0)) + 1)
    _mark(redis, base, quiet=False)
    return [[part for pair in job.items() for part in pair], job_id, 0, 0]


def _unlock(redis: MemoryRedis, key: str, stalled: str, token: str, job_id: str) -> int:
    lock = redis.text(f"{key}:lock")
    if lock == token:
        redis.delete(f"{key}:lock")
        redis.members(stalled).discard(job_id)
        return 0
    return -2 if lock is None else -6


def _leave_active(redis: MemoryRedis, base: str, job_id: str, token: str, fields: Any) -> int:
    """What the three moves begin with: take the lock away, write the fields, take the job out of active."""
    key = base + job_id
    if not redis.exists(key):
        return -1
    code = _unlock(redis, key, f"{base}stalled", token, job_id)
    if code < 0:
        return code
    flat = _unpack(fields) or []
    redis.hash(key).update(zip(flat[::2], flat[1::2], strict=True))
    return 0 if redis.remove(f"{base}active", job_id) else -3


def _attempt_made(redis: MemoryRedis, key: str) -> int:
    job = redis.hash(key)
    job["atm"] = str(int(job.get("atm", 0)) + 1)
    return int(job["atm"])


def move_to_delayed(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    base, now, job_id, token, delay, skip, fields = args[:7]
    code = _leave_active(redis, base, job_id, token, fields)
    if code < 0:
        return code
    if skip == "0":
        _attempt_made(redis, base + job_id)
    redis.hash(base + job_id)["delay"] = str(delay)
    _delay(redis, base, job_id, now, int(delay))
    return 0


def retry_job(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    base, now, push, job_id, token, fields = args
    target, _ = _target(redis, base)
    _promote(redis, base, now)
    code = _leave_active(redis, base, job_id, token, fields)
    if code < 0:
        return code
    _, quiet = _target(redis, base)
    _to_wait(redis, base, job_id, right=push == "RPUSH", quiet=quiet, target=target)
    _attempt_made(redis, base + job_id)
    redis.emit(f"{base}events", event="waiting", jobId=job_id, prev="active")
    return 0


def move_to_finished(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    job_id, now, name, value, target, _, base, packed, fields = args
    key, options = base + job_id, _unpack(packed)
    if redis.exists(key) and target == "completed" and redis.exists(f"{key}:dependencies"):
        return -4
    code = _leave_active(redis, base, job_id, options["token"], fields)
    if code < 0:
        return code
    made = _attempt_made(redis, key)
    if options["keepJobs"].get("count") != 0:
        redis.zset(base + target)[job_id] = float(now)
        redis.hash(key).update({name: value, "finishedOn": str(now)})
        if target == "failed":
            redis.hash(key).pop("defa", None)
    else:
        for one in (key, f"{key}:logs"):
            redis.delete(one)
    redis.emit(f"{base}events", event=target, jobId=job_id, prev="active", **{name: value})
    if target == "failed" and made >= options["attempts"]:
        redis.emit(f"{base}events", event="retries-exhausted", jobId=job_id, attemptsMade=made)
    if not (redis.items(f"{base}wait") or redis.items(f"{base}active") or redis.zset(f"{base}prioritized")):
        redis.emit(f"{base}events", event="drained")
    return 0


def hold(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    (key, lock, active, stalled), (job_id, token, fence, ttl, *value) = keys, args
    if not redis.exists(key):
        return -1
    if redis.hash(key).get("pb") not in (token, fence) or redis.text(lock) not in (None, token, fence):
        return -6
    if job_id not in redis.items(active):
        return -3
    redis.hash(key)["pb"] = fence
    redis.put(lock, fence, ttl)
    redis.members(stalled).discard(job_id)
    if value:
        redis.hash(key)["bullpen.value"] = value[0]
    return 1


def extend_lock(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    (lock, stalled), (token, ttl, job_id) = keys, args
    if redis.text(lock) != token:
        return 0
    redis.put(lock, token, int(ttl))
    redis.members(stalled).discard(job_id)
    return 1


def move_stalled(redis: MemoryRedis, keys: Keys, args: Args) -> list[str]:
    (stalled, *_), (most, base, now, interval) = keys, args
    if redis.text(f"{base}stalled-check") is not None:
        return []
    redis.put(f"{base}stalled-check", str(now), int(interval))
    moved = []
    noticed = sorted(redis.members(stalled))
    redis.delete(stalled)
    for job_id in noticed:
        if redis.text(f"{base}{job_id}:lock") is None and redis.remove(f"{base}active", job_id):
            job = redis.hash(base + job_id)
            job["stc"] = str(int(job.get("stc", 0)) + 1)
            if int(job["stc"]) > int(most):
                job["defa"] = "job stalled more than allowable limit"
            target, quiet = _target(redis, base)
            redis.items(target).append(job_id)
            _mark(redis, base, quiet)
            redis.emit(f"{base}events", event="waiting", jobId=job_id, prev="active")
            redis.emit(f"{base}events", event="stalled", jobId=job_id)
            moved.append(job_id)
    redis.members(stalled).update(redis.items(f"{base}active"))
    return moved


def get_state(redis: MemoryRedis, keys: Keys, args: Args) -> str:
    job_id = args[0]
    names = ("completed", "failed", "delayed", "active", "waiting", "waiting", "waiting-children", "prioritized")
    for key, name in zip(keys, names, strict=True):
        if job_id in redis.keys.get(key, ()):
            return name
    return "unknown"


def _add(redis: MemoryRedis, args: Args) -> tuple[str, str, dict[str, Any], int] | str:
    (base, job_id, name, now, *_), data, opts = _unpack(args[0]), args[1], _unpack(args[2])
    counter = int(redis.text(f"{base}id") or 0) + 1
    redis.put(f"{base}id", str(counter))
    job_id = job_id or str(counter)
    if redis.exists(base + job_id):
        redis.emit(f"{base}events", event="duplicated", jobId=job_id)
        return job_id
    fields = {"name": name, "data": data, "opts": json.dumps(opts), "timestamp": now}
    fields |= {"delay": opts.get("delay", 0), "priority": opts.get("priority", 0)}
    redis.hash(base + job_id).update({field: str(value) for field, value in fields.items()})
    redis.emit(f"{base}events", event="added", jobId=job_id, name=name)
    return base, job_id, opts, int(now)


def add_standard(redis: MemoryRedis, keys: Keys, args: Args) -> str:
    added = _add(redis, args)
    if isinstance(added, str):
        return added
    base, job_id, opts, _ = added
    target, quiet = _target(redis, base)
    _to_wait(redis, base, job_id, right=bool(opts.get("lifo")), quiet=quiet, target=target)
    redis.emit(f"{base}events", event="waiting", jobId=job_id)
    return job_id


def add_delayed(redis: MemoryRedis, keys: Keys, args: Args) -> str:
    added = _add(redis, args)
    if isinstance(added, str):
        return added
    base, job_id, opts, now = added
    _delay(redis, base, job_id, now, int(opts["delay"]))
    return job_id


def add_log(redis: MemoryRedis, keys: Keys, args: Args) -> int:
    job, logs = keys
    if not redis.exists(job):
        return -1
    redis.items(logs).append(str(args[1]))
    if args[2] != "":
        del redis.items(logs)[: -int(args[2])]
    return len(redis.items(logs))


SCRIPTS: Final[dict[str, Callable[[MemoryRedis, Keys, Args], Any]]] = {
    "addLog-2": add_log,
    "moveToActive-11": move_to_active,
    "moveToDelayed-12": move_to_delayed,
    "retryJob-11": retry_job,
    "moveToFinished-14": move_to_finished,
    "hold": hold,
    "extendLock-2": extend_lock,
    "moveStalledJobsToWait-9": move_stalled,
    "getStateV2-8": get_state,
    "addStandardJob-9": add_standard,
    "addPrioritizedJob-9": add_standard,
    "addDelayedJob-6": add_delayed,
}
