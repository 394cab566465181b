"""A Redis in memory, as far as one BullMQ queue needs it: commands here, BullMQ's scripts in memory_scripts.py.

Contract tests (tests/contracts) run the same suite on it and on a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import AsyncQueue
from bullpen_protocol.bullmq.steps import Batch, Command, Script, Step

Hash = dict[str, str]
List = list[str]
ZSet = dict[str, float]


class MemoryRedis:
    """Keys with values; time is the caller's."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.keys: dict[str, Any] = {}
        self.expires: dict[str, int] = {}
        self.events: dict[str, list[Hash]] = {}
        """Streams, by key: every entry ever added."""

    # ---- typed views, made when they are first written to ----

    def hash(self, key: str) -> Hash:
        return cast("Hash", self.keys.setdefault(key, {}))

    def items(self, key: str) -> List:
        return cast("List", self.keys.setdefault(key, []))

    def zset(self, key: str) -> ZSet:
        return cast("ZSet", self.keys.setdefault(key, {}))

    def members(self, key: str) -> set[str]:
        return cast("set[str]", self.keys.setdefault(key, set()))

    def text(self, key: str) -> str | None:
        if self.expires.get(key, self.now_ms() + 1) <= self.now_ms():
            self.delete(key)
        return cast("str | None", self.keys.get(key))

    def put(self, key: str, value: str, ttl_ms: int | None = None) -> None:
        self.keys[key] = value
        self.expires.pop(key, None)
        if ttl_ms is not None:
            self.expires[key] = self.now_ms() + ttl_ms

    def delete(self, key: str) -> int:
        self.expires.pop(key, None)
        return int(self.keys.pop(key, None) is not None)

    def exists(self, key: str) -> bool:
        value = self.text(key) if key in self.expires else self.keys.get(key)
        return value is not None and value not in ({}, [], set())

    def emit(self, stream: str, **entry: object) -> None:
        self.events.setdefault(stream, []).append({name: str(value) for name, value in entry.items()})

    def remove(self, key: str, member: str) -> bool:
        """LREM of the last occurrence."""
        items = self.items(key)
        if member not in items:
            return False
        del items[len(items) - 1 - items[::-1].index(member)]
        return True

    def command(self, name: str, *args: Any) -> Any:
        return getattr(self, f"_{name.lower()}")(*args)

    def _get(self, key: str) -> str | None:
        return self.text(key)

    def _set(self, key: str, value: str) -> None:
        self.put(key, value)

    def _del(self, *keys: str) -> int:
        return sum(self.delete(key) for key in keys)

    def _pttl(self, key: str) -> int:
        if self.text(key) is None:
            return -2
        return self.expires[key] - self.now_ms() if key in self.expires else -1

    def _exists(self, key: str) -> int:
        return int(self.exists(key))

    def _type(self, key: str) -> str:
        kinds = {"dict": "hash", "list": "list", "str": "string", "set": "set"}
        return kinds[type(self.keys[key]).__name__] if self.exists(key) else "none"

    def _hget(self, key: str, field: str) -> str | None:
        return self.hash(key).get(field) if key in self.keys else None

    def _hset(self, key: str, field: str, value: str) -> None:
        self.hash(key)[field] = value

    def _hmget(self, key: str, *fields: str) -> list[str | None]:
        return [self._hget(key, field) for field in fields]

    def _hgetall(self, key: str) -> Hash:
        return dict(self.hash(key)) if key in self.keys else {}

    def _hexists(self, key: str, field: str) -> int:
        return int(self._hget(key, field) is not None)

    def _hdel(self, key: str, field: str) -> int:
        return int(self.hash(key).pop(field, None) is not None)

    def _llen(self, key: str) -> int:
        return len(self.items(key))

    def _lrange(self, key: str, _start: int, _stop: int) -> List:
        return list(self.items(key))

    def _lindex(self, key: str, index: int) -> str | None:
        items = self.items(key)
        return items[index] if items else None

    def _lpos(self, key: str, member: str) -> int | None:
        return self.items(key).index(member) if member in self.items(key) else None

    def _lrem(self, key: str, _count: int, member: str) -> int:
        return int(self.remove(key, member))

    def _zcard(self, key: str) -> int:
        return len(self.zset(key))

    def _zrange(self, key: str, start: int, stop: int) -> List:
        ranked = sorted(self.zset(key), key=lambda member: (self.zset(key)[member], member))
        return ranked[start : stop + 1]

    def _zadd(self, key: str, score: float, member: str) -> None:
        self.zset(key)[member] = float(score)

    def _zrem(self, key: str, member: str) -> int:
        return int(self.zset(key).pop(member, None) is not None)

    def _sadd(self, key: str, *members: str) -> None:
        self.members(key).update(members)

    def _smembers(self, key: str) -> set[str]:
        return set(self.members(key))

    def _srem(self, key: str, *members: str) -> int:
        gone = self.members(key) & set(members)
        self.members(key).difference_update(gone)
        return len(gone)

    def _xadd(self, key: str, _id: str, *pairs: Any) -> None:
        self.emit(key, **dict(zip(map(str, pairs[::2]), pairs[1::2], strict=True)))


class MemoryQueue(AsyncQueue):
    """The real client's operations over a MemoryRedis: only what carries out a step is another."""

    def __init__(self, redis: MemoryRedis, queue: str = "q", prefix: str = "bull") -> None:
        super().__init__(cast("Any", None), queue, prefix)
        self.redis = redis

    async def _once(self, step: Step) -> Any:
        return self.carry_out(step)

    def carry_out(self, step: Step) -> Any:
        from fakes.memory_scripts import SCRIPTS  # noqa: PLC0415 - it needs this module's types

        if isinstance(step, Script):
            return SCRIPTS[step.name](self.redis, step.keys, step.args)
        if isinstance(step, Command):
            return self.redis.command(*map(str, step.args[:1]), *step.args[1:])
        if isinstance(step, Batch):
            return [self.carry_out(command) for command in step.commands]
        return self.redis.now_ms()


class MemoryServer:
    """The Server port over a MemoryRedis."""

    def __init__(self, redis: MemoryRedis) -> None:
        self.redis = redis
        self.queues: dict[tuple[str, str], MemoryQueue] = {}
        self.unfit: str | None = None
        """Why it must not hold queues."""

    async def check(self) -> str | None:
        return self.unfit

    def queue(self, name: str, prefix: str) -> MemoryQueue:
        return self.queues.setdefault((prefix, name), MemoryQueue(self.redis, name, prefix))

    async def wait_any(self, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
        raise AssertionError("use cases do not wait; the engine does, over a server whose time passes")

    def popped(self, queues: Sequence[Queue]) -> Queue | None:
        """BZPOPMIN without the wait."""
        for queue in queues:
            marker = self.redis.zset(cast("MemoryQueue", queue).keys.marker)
            if marker:
                del marker[min(marker, key=lambda member: marker[member])]
                return queue
        return None
