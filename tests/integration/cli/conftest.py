"""The command line beside real servers and real Node clients. Each test has a prefix of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bullpen_protocol.bullmq import ConsoleQueue, connect
from servers.command import Bullpen
from servers.pools import Nodes, Servers
from servers.redis import RedisServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.close()


@pytest.fixture(scope="session")
def node(servers: Servers) -> Iterator[Nodes]:
    """Depends on the servers: clients end before what they are connected to."""
    started = Nodes()
    yield started
    started.close()


@pytest.fixture
def server(servers: Servers) -> RedisServer:
    return servers.get("redis-server")


@pytest.fixture
def prefix() -> str:
    """Of this test alone."""
    return f"c{os.getpid()}x{next(_numbers)}"


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    made = connect(server.url)
    assert isinstance(made, redis.Redis)
    yield made
    made.close()


@pytest.fixture
def queue(client: redis.Redis, prefix: str) -> ConsoleQueue:
    return ConsoleQueue(client, "q", prefix)


@pytest.fixture
def bullpen(tmp_path: Path, server: RedisServer, prefix: str) -> Bullpen:
    """The command line on the test's own prefix."""
    return Bullpen(tmp_path, {"BULLPEN_REDIS_URL": server.url, "BULLPEN_PREFIX": prefix})
