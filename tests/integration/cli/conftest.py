"""The command line beside real servers and real Node clients."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from bullpen_protocol.bullmq import ConsoleQueue
from servers.command import Bullpen
from servers.redis import RedisServer


@pytest.fixture
def queue(client: redis.Redis, prefix: str) -> ConsoleQueue:
    return ConsoleQueue(client, "q", prefix)


@pytest.fixture
def bullpen(tmp_path: Path, server: RedisServer, prefix: str) -> Bullpen:
    """The command line on the test's own prefix."""
    return Bullpen(tmp_path, {"BULLPEN_REDIS_URL": server.url, "BULLPEN_PREFIX": prefix})
