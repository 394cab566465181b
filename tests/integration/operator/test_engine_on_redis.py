"""The engine on a real Redis: its blocking wait wakes it, and an outage of Redis costs nothing but time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from bullpen_operator.clock import SystemClock
from bullpen_operator.engine import Engine, EngineSettings, Served
from bullpen_operator.events import Event, EventKind
from bullpen_operator.server import RedisServer as Server
from bullpen_protocol.bullmq import AsyncQueue, connect_async
from fakes.cluster import FakeCluster
from fakes.operators import a_spec
from servers.redis import RedisServer, redis_server

PATIENCE_S: Final = 20.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@dataclass
class House:
    """An engine with two JobQueues on one Redis."""

    server: Server
    client: Any
    cluster: FakeCluster = field(default_factory=lambda: FakeCluster(SystemClock().now))
    events: list[Event] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.engine = Engine(report=self.hear, settings=EngineSettings(audit_interval_s=1.0))
        for name in ("a", "b"):
            self.engine.put(Served(f"ns/{name}", a_spec(queue=name), f"inst{name}", self.server, self.cluster))

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.reported.set()

    async def until(self, holds: Callable[[], Any]) -> float:
        """Wait for a report after which *holds*; returns the seconds it took."""
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.reported.clear()
                await self.reported.wait()
        return time.monotonic() - began

    def queue(self, name: str) -> AsyncQueue:
        return AsyncQueue(self.client, name)

    def launched(self, queue: str) -> list[str]:
        return [one.attempt.job_id for one in self.cluster.kube_jobs.values() if one.attempt.queue == queue]

    def told(self, kind: EventKind) -> int:
        return len({event.sentence for event in self.events if event.kind is kind})


@pytest.fixture
async def house(redis: RedisServer) -> AsyncIterator[House]:
    server, client = Server(redis.unix_url), connect_async(redis.unix_url)
    house = House(server, client)
    running = asyncio.create_task(house.engine.run())
    yield house
    await house.engine.stop()
    await running
    await server.close()
    await client.aclose()


async def test_a_marker_of_any_queue_wakes_the_one_wait(house: House) -> None:
    await asyncio.sleep(0.5)
    for name in ("b", "a"):
        await house.queue(name).add("resize", "{}")
        assert await house.until(lambda name=name: house.launched(name)) < 5.0  # type: ignore[misc]


async def test_a_delayed_job_is_launched_when_it_is_due(house: House) -> None:
    await house.queue("a").add("resize", "{}", {"delay": 600})
    assert await house.until(lambda: house.launched("a")) < 9.0


async def test_an_outage_of_redis_is_survived(house: House, redis: RedisServer) -> None:
    await house.queue("a").add("resize", "{}")
    await house.until(lambda: house.launched("a"))
    redis.kill()
    await house.until(lambda: house.told(EventKind.AWAY))
    redis.start()
    await house.until(lambda: house.told(EventKind.BACK))
    await house.queue("b").add("resize", "{}")
    await house.until(lambda: house.launched("b"))
    assert house.launched("a") == ["1"]
    assert not [event for event in house.events if event.kind is EventKind.DRIFT]


async def test_an_engine_ends_at_whatever_moment_it_is_stopped(redis: RedisServer) -> None:
    for number in range(30):
        server, client = Server(redis.unix_url), connect_async(redis.unix_url)
        house = House(server, client)
        running = asyncio.create_task(house.engine.run())
        known = len(house.launched("a"))
        await house.queue("a").add("resize", "{}", {"delay": 1 + number})
        await house.until(lambda house=house, known=known: len(house.launched("a")) > known)  # type: ignore[misc]
        async with asyncio.timeout(PATIENCE_S):
            await house.engine.stop()
            await running
        await server.close()
        await client.aclose()


async def test_a_server_that_may_evict_is_not_claimed_from_until_its_policy_is_mended(
    house: House, redis: RedisServer
) -> None:
    await house.client.config_set("maxmemory-policy", "allkeys-lru")
    await house.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # what it was is asked anew
    await house.until(lambda: house.told(EventKind.AWAY))
    await house.queue("a").add("resize", "{}")
    async with asyncio.timeout(PATIENCE_S):
        while (status := (await house.engine.status())[0]).reason != "RedisUnfit":  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    assert status.degraded == "Redis may evict jobs: its maxmemory-policy is allkeys-lru; set it to noeviction"
    assert house.launched("a") == []
    await house.client.config_set("maxmemory-policy", "noeviction")
    await house.until(lambda: house.launched("a"))


async def test_what_is_unwise_is_logged_once(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    server, client = Server(redis.unix_url), connect_async(redis.unix_url)
    await client.config_set("appendonly", "no")
    assert [await server.check() for _ in range(2)] == [None, None]
    assert [record.message for record in caplog.records if "append-only" in record.message] == [
        "Redis keeps no append-only file: what came since its last snapshot is lost when it ends; set appendonly yes"
    ]
    await server.close()
    await client.aclose()
