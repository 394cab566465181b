"""Waiting for work, and every case in which BullMQ leaves no marker for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bullpen_protocol.bullmq import AsyncQueue, Claimed, Empty, RedisRefusedError, connect_async, wait_any
from servers.pools import Nodes
from servers.redis import RedisServer

L = 30_000


@pytest.fixture
async def blocking(server: RedisServer) -> AsyncIterator[Any]:
    client = connect_async(server.url, block_s=5)
    yield client
    await client.aclose()


@pytest.fixture
async def queues(server: RedisServer, prefix: str) -> AsyncIterator[list[AsyncQueue]]:
    client = connect_async(server.url)
    yield [AsyncQueue(client, name, prefix) for name in ("a", "b", "c")]
    await client.aclose()


async def test_an_added_job_wakes_the_waiter(blocking: Any, queues: list[AsyncQueue]) -> None:
    waiting = asyncio.create_task(wait_any(blocking, queues, 5))
    await blocked(queues[0].client)
    await queues[1].add("n", "{}")
    assert await waiting is queues[1]


async def test_nothing_to_do_is_none_after_the_time(blocking: Any, queues: list[AsyncQueue]) -> None:
    assert await wait_any(blocking, queues, 0.05) is None
    assert await wait_any(blocking, queues[:0], 0.01) is None


async def test_a_busy_queue_does_not_starve_the_others(blocking: Any, queues: list[AsyncQueue]) -> None:
    served: Counter[str] = Counter()
    for _ in range(120):
        for queue in queues:
            await queue.nudge()
        found = await wait_any(blocking, queues, 1)
        assert found is not None
        served[found.queue] += 1
    assert min(served[queue.queue] for queue in queues) > 15


async def test_a_successful_claim_leaves_the_marker_for_the_next_job(blocking: Any, queues: list[AsyncQueue]) -> None:
    queue = queues[0]
    for _ in range(2):
        await queue.add("n", "{}")
    for number in range(2):
        assert await wait_any(blocking, queues, 1) is queue
        assert isinstance(await queue.claim(f"T{number}", L), Claimed)


async def test_what_is_given_back_announces_itself_with_its_time(blocking: Any, queues: list[AsyncQueue]) -> None:
    queue = queues[0]
    job_id = await queue.add("n", "{}", {"priority": 5})
    claimed = await queue.claim("T", L)
    assert isinstance(claimed, Claimed)
    await blocking.delete(queue.keys.marker)
    before = await queue.now_ms()
    await queue.give_back(claimed.job, "T", 30)

    assert await wait_any(blocking, queues, 1) is queue
    empty = await queue.claim("T2", L)
    assert isinstance(empty, Empty)
    assert before + 30 <= empty.next_at_ms <= before + 1030
    await asyncio.sleep((empty.next_at_ms - await queue.now_ms()) / 1000 + 0.002)  # the caller's timer
    again = await queue.claim("T3", L)
    assert isinstance(again, Claimed)
    assert (again.job.id, again.job.priority, again.job.atm, again.job.delay) == (job_id, 5, 0, 0)


async def test_a_full_queue_gives_its_job_when_a_slot_is_free(
    server: RedisServer, blocking: Any, queues: list[AsyncQueue], node: Nodes
) -> None:
    queue = queues[0]
    node("6").queue(server.url, queue.queue, queue.prefix).call("setGlobalConcurrency", 1)
    for _ in range(2):
        await queue.add("n", "{}")
    first = await queue.claim("T1", L)
    assert isinstance(first, Claimed)
    assert await queue.claim("T2", L) == Empty(0, 0)
    await blocking.delete(queue.keys.marker)

    await queue.complete(first.job, "T1", "1")

    assert await wait_any(blocking, [queue], 0.05) is None  # no marker comes of itself
    await queue.nudge()
    assert await wait_any(blocking, [queue], 1) is queue
    assert isinstance(await queue.claim("T3", L), Claimed)


async def test_a_rate_limit_says_when_to_claim_again(
    server: RedisServer, queues: list[AsyncQueue], node: Nodes
) -> None:
    queue = queues[0]
    node("6").queue(server.url, queue.queue, queue.prefix).call("setGlobalRateLimit", 1, 60)
    for _ in range(2):
        await queue.add("n", "{}")
    assert isinstance(await queue.claim("T1", L), Claimed)
    limited = await queue.claim("T2", L)
    assert isinstance(limited, Empty)
    assert 0 < limited.limit_ms <= 60
    await asyncio.sleep(limited.limit_ms / 1000 + 0.005)
    assert isinstance(await queue.claim("T3", L), Claimed)


async def test_a_workers_own_limit_counts_claims(queues: list[AsyncQueue]) -> None:
    for _ in range(3):
        await queues[0].add("n", "{}")
    results = [await queues[0].claim(f"T{number}", L, limiter=(2, 60_000)) for number in range(3)]
    assert [isinstance(result, Claimed) for result in results] == [True, True, False]
    assert isinstance(results[2], Empty)
    assert 50_000 < results[2].limit_ms <= 60_000


async def test_a_paused_queue_gives_nothing_and_is_not_nudged(
    server: RedisServer, blocking: Any, queues: list[AsyncQueue], node: Nodes
) -> None:
    queue = queues[0]
    producer = node("5.81.5").queue(server.url, queue.queue, queue.prefix)
    producer.call("pause")
    await queue.add("n", "{}")
    await queue.nudge()
    assert await wait_any(blocking, [queue], 0.05) is None
    assert await queue.claim("T", L) == Empty(0, 0)
    assert await queue.paused()
    producer.call("resume")
    assert await wait_any(blocking, [queue], 1) is queue
    assert isinstance(await queue.claim("T", L), Claimed)


async def test_a_damaged_marker_does_not_blind_the_other_queues(blocking: Any, queues: list[AsyncQueue]) -> None:
    await blocking.hset(queues[0].keys.marker, "name", "a job with the id marker")
    await queues[1].add("n", "{}")
    for _ in range(8):  # whichever is asked first
        assert await wait_any(blocking, queues, 1) is queues[1]
        await queues[1].nudge()
    with pytest.raises(RedisRefusedError, match="WRONGTYPE"):
        await wait_any(blocking, queues[:1], 1)


async def blocked(client: Any) -> None:
    """Wait until somebody is in a blocking pop."""
    while (await client.info("clients"))["blocked_clients"] == 0:  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(0.001)
