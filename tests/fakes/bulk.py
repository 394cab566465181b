"""Jobs as BullMQ keeps them, put into Redis in one round trip: benchmarks add more than a client does in their time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import redis

_FIELDS: Final = ("timestamp", "1790000000000", "priority", "0", "delay", "0")


def add_many(client: redis.Redis, keys: str, name: str, payloads: Mapping[int, Any], opts: str = "{}") -> None:
    """Add jobs by their ids, in order, to the queue whose keys begin with *keys*; *opts* in JSON holds for all."""
    with client.pipeline(transaction=False) as pipeline:
        for job_id, payload in payloads.items():
            data = json.dumps(payload)
            pipeline.hset(f"{keys}{job_id}", items=["name", name, "data", data, "opts", opts, *_FIELDS])
        pipeline.lpush(f"{keys}wait", *payloads)
        pipeline.zadd(f"{keys}marker", {"0": 0})
        pipeline.execute()
