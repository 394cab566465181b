"""Whether a Redis server is fit to hold queues."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from bullpen_protocol.bullmq.errors import RedisRefusedError
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import Command, Operation

OLDEST: Final = (6, 2)


def check_server(_keys: Keys) -> Operation[str | None]:
    """Say in one sentence why the server must not be used; None: it is fit.

    INFO tells all of it, so that no user needs CONFIG. Raises RedisFaultError.
    """
    try:
        server = yield Command(("INFO", "server"), again=True, keyless=True)
        memory = yield Command(("INFO", "memory"), again=True, keyless=True)
    except RedisRefusedError as error:
        if error.kind != "NOPERM":  # a wrong password, say
            raise
        return f"Redis refuses INFO to this user, so its version and eviction policy are unknown: {error}"
    return problem(server, memory)


def advise_server(_keys: Keys) -> Operation[str | None]:
    """Say in one sentence what would make the server safer; None: nothing, or it does not tell."""
    try:
        persistence = yield Command(("INFO", "persistence"), again=True, keyless=True)
    except RedisRefusedError:
        return None
    if str(persistence.get("aof_enabled", "1")) == "1":
        return None
    return "Redis keeps no append-only file: what came since its last snapshot is lost when it ends; set appendonly yes"


def problem(server: Mapping[str, Any], memory: Mapping[str, Any]) -> str | None:
    """Judge what INFO says."""
    version = str(server.get("redis_version", ""))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        return f"Redis {version or 'of unknown version'} is too old: Bullpen needs 6.2 or later"
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return f"Redis may evict jobs: its maxmemory-policy is {policy}; set it to noeviction"
    return None
