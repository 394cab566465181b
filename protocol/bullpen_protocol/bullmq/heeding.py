"""A request over redis.asyncio that can be cancelled at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def heeding(request: Awaitable[T]) -> T:
    """Await *request*; a cancel that came meanwhile is raised, whatever became of the request.

    redis-py sends through asyncio.wait_for, which before Python 3.12 swallows a cancel that comes as it ends: a loop
    that was cancelled then would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await request
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
