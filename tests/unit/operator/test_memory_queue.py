from __future__ import annotations

from typing import Any

import pytest

from contracts.queue_contract import QueueContract, QueueRig
from fakes.memory_redis import MemoryQueue, MemoryRedis


class TestMemoryQueue(QueueContract):
    @pytest.fixture
    def rig(self) -> QueueRig:
        time = [1_000_000]
        redis = MemoryRedis(lambda: time[0])
        queue = MemoryQueue(redis)

        async def command(*args: Any) -> Any:
            return redis.command(*args)

        async def events() -> list[dict[str, str]]:
            return redis.events.get(queue.keys("events"), [])

        async def pass_ms(ms: int) -> None:
            time[0] += ms

        return QueueRig(queue, command, events, pass_ms)
