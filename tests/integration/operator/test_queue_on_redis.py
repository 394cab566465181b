"""The contract of a queue on a real Redis, with BullMQ's real scripts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from bullpen_protocol.bullmq import AsyncQueue, connect_async
from contracts.queue_contract import QueueContract, QueueRig
from servers.redis import RedisServer, redis_server

_NUMBERS: Final = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


class TestQueueOnRedis(QueueContract):
    @pytest.fixture
    async def rig(self, server: RedisServer) -> AsyncIterator[QueueRig]:
        client: Any = connect_async(server.unix_url)
        queue = AsyncQueue(client, f"q{next(_NUMBERS)}")

        async def events() -> list[dict[str, str]]:
            return [entry for _, entry in await client.xrange(queue.keys("events"))]

        async def pass_ms(ms: int) -> None:
            await asyncio.sleep(ms / 1000)

        yield QueueRig(queue, client.execute_command, events, pass_ms)
        await client.aclose()
