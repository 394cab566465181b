"""Coroutines that stand still before each request, so that a test decides what happens there: answer, loss, crash."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from enum import Enum
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from bullpen_operator.ports import LauncherUnavailableError
from bullpen_protocol.bullmq import RedisFaultError
from bullpen_protocol.bullmq.steps import Step
from fakes.memory_redis import MemoryQueue, MemoryRedis


class Fate(Enum):
    """What becomes of one request."""

    ANSWERED = "answered"
    LOST = "the request is lost"
    UNANSWERED = "the answer is lost"


@types.coroutine
def turn() -> Generator[None, Fate, Fate]:
    """Stand still until the test goes on with this coroutine."""
    fate = yield
    return fate


class SteppedQueue(MemoryQueue):
    """A queue whose every step is a turn; *witness* sees each step with its reply."""

    def __init__(self, redis: MemoryRedis, queue: str, prefix: str, witness: Callable[[Step, Any], None]) -> None:
        super().__init__(redis, queue, prefix)
        self._witness = witness

    async def _once(self, step: Step) -> Any:
        fate = await turn()
        if fate is Fate.LOST:
            raise RedisConnectionError("lost")
        reply = self.carry_out(step)
        self._witness(step, reply)
        if fate is Fate.UNANSWERED:
            raise RedisConnectionError("unanswered")
        return reply


class Process:
    """A coroutine under way; `owner` dies with all of its processes."""

    def __init__(self, work: Coroutine[Any, Any, None], owner: object, *, sleepy: bool = False, began: int = 0) -> None:
        self._work = work
        self.owner = owner
        self.sleepy = sleepy
        self.began = began
        self.ended = False
        self.step(Fate.ANSWERED, first=True)

    def step(self, fate: Fate, *, first: bool = False) -> None:
        """Go on up to the next turn. Outages end it: what it left undone is for the audit."""
        try:
            self._work.send(None if first else fate)
        except (StopIteration, RedisFaultError, LauncherUnavailableError):
            self.ended = True
        except BaseException:
            self.ended = True
            raise

    def kill(self) -> None:
        """End it where it stands."""
        self._work.close()
        self.ended = True
