"""What the protocol's tests have besides: every version of Redis, queues, clients to any server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from bullpen_protocol.bullmq import SyncQueue, connect
from servers.pools import Connect, Servers
from servers.redis import RedisServer


@pytest.fixture(params=["redis-server 6.2", "redis-server", "redis-server 8"])
def any_server(request: pytest.FixtureRequest, servers: Servers) -> RedisServer:
    """Each version of Redis in turn."""
    return servers.get(request.param)


@pytest.fixture
def queue(client: redis.Redis, prefix: str) -> SyncQueue:
    return SyncQueue(client, "q", prefix)


@pytest.fixture
def connected() -> Iterator[Connect]:
    """Make clients that are closed after the test."""
    made: list[redis.Redis] = []

    def make(server: RedisServer) -> redis.Redis:
        client = connect(server.url)
        assert isinstance(client, redis.Redis)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
