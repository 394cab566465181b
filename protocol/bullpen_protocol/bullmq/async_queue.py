"""AsyncQueue: the operations of BullMQ, carried out over redis.asyncio (the operator's)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from redis.exceptions import NoScriptError

from bullpen_protocol.bullmq import (
    adding,
    claiming,
    finishing,
    locking,
    looking,
    outbox,
    repeating,
    reporting,
    server,
    waking,
)
from bullpen_protocol.bullmq.errors import RedisAwayError, RedisFaultError
from bullpen_protocol.bullmq.faults import FAULTS, demoted, translate
from bullpen_protocol.bullmq.heeding import heeding
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.queue import BaseQueue, encoded, may_repeat
from bullpen_protocol.bullmq.scripts import source
from bullpen_protocol.bullmq.steps import Batch, Command, Operation, Script, Step

if TYPE_CHECKING:
    import redis.asyncio

T = TypeVar("T")
P = ParamSpec("P")
_TIME: Final = Command(("TIME",), again=True, keyless=True)


def _awaiting(
    operation: Callable[Concatenate[Keys, P], Operation[T]],
) -> Callable[Concatenate[AsyncQueue, P], Coroutine[Any, Any, T]]:
    @functools.wraps(operation)
    def method(queue: AsyncQueue, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return queue.run(operation(queue.keys, *args, **kwargs))

    return method


class AsyncQueue(BaseQueue):
    """One queue over a client of connect_async(). Each method is described where its operation is written.

    Raises RedisAwayError, RedisRefusedError and QueueError, never redis-py's own.
    """

    def __init__(
        self, client: redis.asyncio.Redis | redis.asyncio.RedisCluster, queue: str, prefix: str = "bull"
    ) -> None:
        super().__init__(client, queue, prefix)

    claim = _awaiting(claiming.claim)
    hold = _awaiting(locking.hold)
    extend = _awaiting(locking.extend)
    extend_many = _awaiting(locking.extend_many)
    stalled = _awaiting(locking.stalled)
    load = _awaiting(looking.load)
    location = _awaiting(looking.location)
    locations = _awaiting(looking.locations)
    state = _awaiting(looking.state)
    active_ids = _awaiting(looking.active_ids)
    counts = _awaiting(looking.counts)
    oldest_waiting_ms = _awaiting(looking.oldest_waiting_ms)
    paused = _awaiting(looking.paused)
    cancels = _awaiting(looking.cancels)
    now_ms = _awaiting(looking.now_ms)
    progress = _awaiting(reporting.progress)
    log = _awaiting(reporting.log)
    note = _awaiting(reporting.note)
    complete = _awaiting(finishing.complete)
    fail = _awaiting(finishing.fail)
    give_back = _awaiting(finishing.give_back)
    advance = _awaiting(repeating.advance)
    nudge = _awaiting(waking.nudge)
    add = _awaiting(adding.add)
    outbox_put = _awaiting(outbox.outbox_put)
    outbox_remove = _awaiting(outbox.outbox_remove)
    outbox_records = _awaiting(outbox.outbox_records)
    check_server = _awaiting(server.check_server)
    advise_server = _awaiting(server.advise_server)

    async def run(self, operation: Operation[T]) -> T:
        """Carry out *operation*, step by step."""
        try:
            step = next(operation)
            while True:
                try:
                    reply = await self._carry_out(step)
                except RedisFaultError as fault:
                    step = operation.throw(fault)
                else:
                    step = operation.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _carry_out(self, step: Step) -> Any:
        try:
            return await self._once(step)
        except FAULTS as error:
            fault = await self._fault(error)
            if not (may_repeat(step) and isinstance(fault, RedisAwayError)):
                raise fault from error
        try:
            return await self._once(step)
        except FAULTS as error:
            raise await self._fault(error) from error

    async def _fault(self, error: Exception) -> RedisFaultError:
        """Translate; of a replica nothing more is asked over the connections that there are."""
        if demoted(error) and not self.clustered:
            await self.client.connection_pool.disconnect(inuse_connections=False)
        return translate(error)

    async def _once(self, step: Step) -> Any:
        return await heeding(self._ask(step))

    async def _ask(self, step: Step) -> Any:
        if isinstance(step, Script):
            return await self._script(step)
        if isinstance(step, Command):
            return await self._command(step)
        if isinstance(step, Batch):
            pipeline = self.client.pipeline(transaction=False)
            for command in step.commands:
                pipeline.execute_command(*encoded(command.args))
            return await pipeline.execute()
        return self.clock.now_ms() or await self._ask_time()

    async def _script(self, step: Script) -> Any:
        lua = source(step.name)
        words = (len(step.keys), *encoded(step.keys), *encoded(step.args))
        try:
            return await self.client.execute_command("EVALSHA", lua.sha1, *words)
        except NoScriptError:  # not run: the server has never seen it, or forgot it in a restart
            return await self.client.execute_command("EVAL", lua.text, *words)

    async def _command(self, step: Command) -> Any:
        if step.keyless and self.clustered:
            await self.client.initialize()  # else it does not know its nodes yet
        return await self.client.execute_command(*encoded(step.args), **self._options(step))

    async def _ask_time(self) -> int:
        asked_s = self.clock.own_s()
        return self.clock.set(await self._command(_TIME), asked_s)
