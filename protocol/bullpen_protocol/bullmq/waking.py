"""Waiting for work: one blocking pop over the markers of many queues."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, TypeVar

from bullpen_protocol.bullmq.errors import RedisRefusedError
from bullpen_protocol.bullmq.faults import FAULTS, demoted, translate
from bullpen_protocol.bullmq.heeding import heeding
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.queue import BaseQueue
from bullpen_protocol.bullmq.steps import Command, Operation

Queue = TypeVar("Queue", bound=BaseQueue)


def nudge(keys: Keys) -> Operation[None]:
    """Wake whoever waits on the queue, unless it is paused. For what leaves no marker, as a freed global slot."""
    paused = yield Command(("HEXISTS", keys("meta"), "paused"), again=True)
    if not paused:
        yield Command(("ZADD", keys.marker, 0, "0"), again=True)


async def wait_any(client: Any, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
    """Wait until one of *queues* may have a job; None after *timeout_s* (above 0).

    *client* should do nothing else: connect_async(url, block_s=timeout_s). The marker is taken, so claim until Empty,
    and set a timer for what Empty says. Ask only for queues with free capacity: a marker taken for nothing is lost to
    others. In a cluster all queues must share one hash tag.

    Raises:
        RedisAwayError: as every operation.
        RedisRefusedError: no marker of *queues* is one.
    """
    if not queues:
        await asyncio.sleep(timeout_s)
        return None
    # Redis serves the first key that has something: a random start keeps one busy queue from starving the rest.
    start = random.randrange(len(queues))  # noqa: S311 - no secret
    turned = [*queues[start:], *queues[:start]]
    try:
        return await _pop(client, turned, timeout_s)
    except RedisRefusedError as refused:
        if refused.kind != "WRONGTYPE":
            raise
        sound = [queue for queue in turned if await _is_sound(client, queue)]
        if not sound:
            raise
        return await _pop(client, sound, timeout_s)


async def _pop(client: Any, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
    by_marker = {queue.keys.marker: queue for queue in queues}
    found = await _ask(client, "BZPOPMIN", *by_marker, timeout_s)
    return by_marker[found[0]] if found else None


async def _is_sound(client: Any, queue: BaseQueue) -> bool:
    """A job with the id `marker` puts its hash where the marker belongs, and fails the pop for all queues."""
    return await _ask(client, "TYPE", queue.keys.marker) in ("zset", "none")


async def _ask(client: Any, *args: Any) -> Any:
    try:
        return await heeding(client.execute_command(*args))
    except FAULTS as error:
        pool = getattr(client, "connection_pool", None)  # a cluster's client has one for each node
        if pool is not None and demoted(error):
            await pool.disconnect(inuse_connections=False)
        raise translate(error) from error
