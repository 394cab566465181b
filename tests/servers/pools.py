"""Servers and clients that a whole pytest process shares, started when first asked for."""

from __future__ import annotations

from collections.abc import Callable

import redis

from servers.node import NodeClient
from servers.redis import RedisServer
from support import require

Connect = Callable[[RedisServer], redis.Redis]


class Servers:
    """The redis-servers of this pytest process, started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, RedisServer] = {}

    def get(self, part: str) -> RedisServer:
        """Give the server of a part of support.PARTS."""
        if part not in self._running:
            self._running[part] = RedisServer(require(part)).start()
        return self._running[part]

    def close(self) -> None:
        """End them all."""
        for server in self._running.values():
            server.close()


class Nodes:
    """The Node clients of this pytest process, one a version."""

    def __init__(self) -> None:
        self._running: dict[str, NodeClient] = {}

    def __call__(self, version: str) -> NodeClient:
        if version not in self._running:
            self._running[version] = NodeClient(version)
        return self._running[version]

    def close(self) -> None:
        """End them all."""
        for client in self._running.values():
            client.close()
