"""The commons at their source: what a child asks of them is done in Redis. Nothing here fails a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bullpen_protocol.bullmq import QueueError, RedisAwayError, RedisRefusedError, SyncQueue
from bullpen_runner.lease import Lease

_AWAY: Final[Mapping[str, Any]] = {"wait_ms": 1_000, "text": None, "mine": True}
"""While Redis can't be asked there are no turns, and nothing is known."""


def tell(asked: Mapping[str, Any], queue: SyncQueue, lease: Lease) -> Mapping[str, Any]:
    """Answer one question of the child (outside.py asks them)."""
    try:
        return _DOINGS[asked["do"]](asked, queue)
    except RedisAwayError:
        lease.lost_sight()
    except (RedisRefusedError, QueueError):
        pass  # Redis is full, or its user may not: what was found out is asked for again by the next job
    return _AWAY


def _take(asked: Mapping[str, Any], queue: SyncQueue) -> Mapping[str, Any]:
    wait_ms = queue.take_turn(asked["name"], asked["token"], asked["limit"], asked["longest_ms"])
    return {"wait_ms": wait_ms}


def _end(asked: Mapping[str, Any], queue: SyncQueue) -> Mapping[str, Any]:
    queue.end_turn(asked["name"], asked["token"], asked["window_ms"])
    return {}


def _hold(asked: Mapping[str, Any], queue: SyncQueue) -> Mapping[str, Any]:
    queue.hold_off(asked["name"], asked["ms"])
    return {}


def _recall(asked: Mapping[str, Any], queue: SyncQueue) -> Mapping[str, Any]:
    text, mine = queue.recall(asked["key"])
    return {"text": text, "mine": mine}


def _remember(asked: Mapping[str, Any], queue: SyncQueue) -> Mapping[str, Any]:
    queue.remember(asked["key"], asked["text"], asked["ms"])
    return {}


_DOINGS: Final[Mapping[str, Callable[[Mapping[str, Any], SyncQueue], Mapping[str, Any]]]] = {
    "take": _take,
    "end": _end,
    "hold": _hold,
    "recall": _recall,
    "remember": _remember,
}
