"""The Server port over a real Redis: queues of the BullMQ client, and the connection that waits for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, cast

from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import AsyncQueue, connect_async, wait_any

logger = logging.getLogger(__name__)

LONGEST_WAIT_S: Final = 60.0
"""No blocking wait is asked for longer."""


class RedisServer:
    """One Redis. JobQueues on the same one share an instance: it makes one blocking wait for them all."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        """Connect, with the first command, to *url* (redis://, rediss://, redis+sentinel://); *ca*: its authority, PEM.

        Raises ServerUrlError.
        """
        self._client = connect_async(url, ca=ca)
        self._blocking = connect_async(url, ca=ca, block_s=LONGEST_WAIT_S)
        self._queues: dict[tuple[str, str], AsyncQueue] = {}
        self._advised: str | None = None

    def queue(self, name: str, prefix: str) -> AsyncQueue:
        """Return the queue of this name, always the same object."""
        if (prefix, name) not in self._queues:
            self._queues[prefix, name] = AsyncQueue(self._client, queue=name, prefix=prefix)
        return self._queues[prefix, name]

    async def check(self) -> str | None:
        """Ask INFO whether Redis is fit to hold queues; what is merely unwise is logged, once."""
        asked = AsyncQueue(self._client, queue="any")
        advice = await asked.advise_server()
        if advice is not None and advice != self._advised:
            logger.warning(advice)
        self._advised = advice
        return await asked.check_server()

    async def wait_any(self, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
        """Block until one of *queues*, which come from `queue`, has work; None: none had.

        Redis Cluster takes keys of one slot in a command only: there it is one wait per prefix.
        """
        groups = self._groups(cast("Sequence[AsyncQueue]", queues))
        if len(groups) == 1:
            return await wait_any(self._blocking, groups[0], timeout_s)
        waits = [asyncio.ensure_future(wait_any(self._blocking, group, timeout_s)) for group in groups]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return next((wait.result() for wait in done if wait.result() is not None), None)

    def _groups(self, queues: Sequence[AsyncQueue]) -> list[Sequence[AsyncQueue]]:
        if not hasattr(self._blocking, "get_node_from_key"):
            return [queues]
        groups: dict[str, list[AsyncQueue]] = {}
        for queue in queues:
            groups.setdefault(queue.keys.prefix, []).append(queue)
        return list(groups.values())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._blocking.aclose()
