"""The Server port over a real Redis: queues of the BullMQ client, and one connection that waits for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import AsyncQueue, connect_async, wait_any


class RedisServer:
    """One Redis. JobQueues on the same one share an instance: it makes one blocking wait for them all."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        """Connect lazily to *url* (redis://, rediss://, redis+sentinel://); *ca*: PEM of its authority."""
        self._client = connect_async(url, ca=ca)
        self._blocking = connect_async(url, ca=ca)
        self._queues: dict[tuple[str, str], AsyncQueue] = {}

    def queue(self, name: str, prefix: str) -> Queue:
        """Return the queue of this name, always the same object."""
        if (prefix, name) not in self._queues:
            self._queues[prefix, name] = AsyncQueue(self._client, queue=name, prefix=prefix)
        return self._queues[prefix, name]

    async def wait_any(self, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
        """Block until one of *queues*, which come from `queue`, has work; None: none had."""
        return await wait_any(self._blocking, cast("Sequence[AsyncQueue]", queues), timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._blocking.aclose()
