"""Real Redis, real runners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.attempts import Stage
from fakes.graph import FakeGraph
from servers.graph import GraphServer, embedded
from servers.redis import RedisServer, redis_server


@pytest.fixture(scope="session")
def runner_redis() -> Iterator[RedisServer]:
    """One server for all tests of the runner; each has a queue of its own."""
    with redis_server() as server:
        yield server


@pytest.fixture
def stage(runner_redis: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    """A queue without a graph store."""
    stage = Stage(runner_redis.url, tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def graph(stage: Stage) -> Iterator[FakeGraph]:
    """A graph store for the stage's runners."""
    with FakeGraph() as graph:
        stage.graph = graph
        yield graph


@pytest.fixture(scope="session")
def triples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    """A real store for all tests of the runner; each has graphs of its own."""
    with embedded(tmp_path_factory.mktemp("embedded")) as server:
        yield server
