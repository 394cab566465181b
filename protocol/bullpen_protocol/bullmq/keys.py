"""The Redis keys of one queue."""

from __future__ import annotations

from functools import cached_property
from typing import Final

RESERVED_IDS: Final = frozenset(
    {
        *("wait", "active", "paused", "delayed", "completed", "failed", "prioritized", "waiting-children"),
        *("repeat", "stalled", "stalled-check", "limiter", "meta", "id", "pc", "events", "marker"),
    }
)
"""Job ids that are also keys of the queue itself. BullMQ does not refuse them; such a job corrupts its queue."""


class Keys:
    """Names of keys: `<prefix>:<queue>:<name>`. In Redis Cluster the prefix must hold a hash tag, `{bull}`."""

    def __init__(self, queue: str, prefix: str = "bull") -> None:
        if not queue or ":" in queue:
            raise ValueError(f"a queue's name must not be empty or hold a colon: {queue[:80]!r}")
        self.queue = queue
        self.prefix = prefix
        self.base = f"{prefix}:{queue}:"

    def __call__(self, name: str) -> str:
        """Name the key of a job, or of a part of the queue."""
        return self.base + name

    def all(self, *names: str) -> tuple[str, ...]:
        """Name several keys, in order."""
        return tuple(self.base + name for name in names)

    def lock(self, job_id: str) -> str:
        """Name the lock of a job."""
        return f"{self.base}{job_id}:lock"

    @cached_property
    def marker(self) -> str:
        """Name the zset that wakes whoever waits for work."""
        return self("marker")

    @cached_property
    def to_claim(self) -> tuple[str, ...]:
        """KEYS of moveToActive."""
        return self.all(*_CLAIM, "marker")

    @cached_property
    def to_finish(self) -> tuple[str, ...]:
        """The first ten KEYS of moveToFinished."""
        return self.all(*_CLAIM)


_CLAIM: Final = (*("wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc"),)
