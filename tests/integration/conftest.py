"""Servers and clients that several folders' tests share. Each test has a prefix of its own: nothing is ever flushed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
import redis

from bullpen_protocol.bullmq import connect
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
    """The machine's own Redis."""
    return servers.get("redis-server")


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    made = connect(server.url)
    assert isinstance(made, redis.Redis)
    yield made
    made.close()


@pytest.fixture
def prefix() -> str:
    """Of this test alone, on every server."""
    return f"t{os.getpid()}x{next(_numbers)}"
