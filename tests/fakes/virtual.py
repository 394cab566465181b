"""asyncio in virtual time: what waits costs nothing, and a minute is a minute."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import RedisAwayError
from bullpen_protocol.bullmq.steps import Step
from fakes.memory_redis import MemoryQueue, MemoryRedis, MemoryServer

T = TypeVar("T")
EPOCH: Final = datetime(2026, 11, 23, tzinfo=UTC)


class _Selector(selectors.SelectSelector):
    """Instead of waiting for a timer, moves the time there."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for something that will never come"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes as soon as nothing else is to be done."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *main* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


async def until(holds: Callable[[], Any], within_s: float, what: str = "it") -> float:
    """Wait until *holds*, at most *within_s* of virtual time; returns how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not holds():
        assert loop.time() - began <= within_s, f"{what} did not happen within {within_s:g} s"
        await asyncio.sleep(0.01)
    return loop.time() - began


class LoopClock:
    """The Clock port on the running loop's time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FallibleQueue(MemoryQueue):
    """A queue whose Redis can be away."""

    away: Callable[[], bool]
    asked: list[str]

    async def _carry_out(self, step: Step) -> Any:
        await asyncio.sleep(0)
        self.asked.append(getattr(step, "name", type(step).__name__))
        if self.away():
            raise RedisAwayError("connection refused")
        return self.carry_out(step)


class VirtualServer(MemoryServer):
    """The Server port; `away` makes every request fail."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(MemoryRedis(lambda: int(loop.time() * 1000)))
        self.away = False
        self.lose_wakeups = False
        self.asked: list[str] = []
        """Scripts and commands, in order."""
        self.waits: list[int] = []
        """How many queues each blocking wait covered."""

    def queue(self, name: str, prefix: str) -> MemoryQueue:
        if (prefix, name) not in self.queues:
            queue = FallibleQueue(self.redis, name, prefix)
            queue.away = lambda: self.away
            queue.asked = self.asked
            self.queues[prefix, name] = queue
        return self.queues[prefix, name]

    async def check(self) -> str | None:
        if self.away:
            raise RedisAwayError("connection refused")
        return await super().check()

    async def wait_any(self, queues: Sequence[Queue], timeout_s: float) -> Queue | None:
        self.waits.append(len(queues))
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if self.away:
                raise RedisAwayError("connection refused")
            found = self.popped(queues)
            if found is not None and not self.lose_wakeups:
                return found
            await asyncio.sleep(0.01)
        return None


async def cancelled(task: asyncio.Task[Any]) -> None:
    """End a task and wait for it."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def at_once(work: Awaitable[T], within_s: float = 1.0) -> T:
    """Await *work*, which must not take longer."""
    async with asyncio.timeout(within_s):
        return await work
