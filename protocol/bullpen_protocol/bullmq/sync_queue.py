"""SyncQueue: the operations of BullMQ, carried out over redis (the runner's)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from hiredis import pack_command
from redis.exceptions import NoScriptError

from bullpen_protocol.bullmq import (
    adding,
    claiming,
    commons,
    finishing,
    locking,
    looking,
    repeating,
    reporting,
    server,
    waking,
)
from bullpen_protocol.bullmq.errors import RedisAwayError, RedisFaultError
from bullpen_protocol.bullmq.faults import FAULTS, demoted, translate
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.queue import BaseQueue, encoded, may_repeat
from bullpen_protocol.bullmq.scripts import source
from bullpen_protocol.bullmq.steps import Argument, Batch, Command, Operation, Script, Step

if TYPE_CHECKING:
    import redis

T = TypeVar("T")
P = ParamSpec("P")
_TIME: Final = Command(("TIME",), again=True, keyless=True)


def calling(
    operation: Callable[Concatenate[Keys, P], Operation[T]],
) -> Callable[Concatenate[SyncQueue, P], T]:
    """Make a method of an operation."""

    @functools.wraps(operation)
    def method(queue: SyncQueue, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return queue.run(operation(queue.keys, *args, **kwargs))

    return method


class SyncQueue(BaseQueue):
    """One queue over a client of connect(). Each method is described where its operation is written.

    Raises RedisAwayError, RedisRefusedError and QueueError, never redis-py's own.
    """

    def __init__(self, client: redis.Redis | redis.RedisCluster, queue: str, prefix: str = "bull") -> None:
        super().__init__(client, queue, prefix)

    claim = calling(claiming.claim)
    hold = calling(locking.hold)
    extend = calling(locking.extend)
    extend_many = calling(locking.extend_many)
    stalled = calling(locking.stalled)
    load = calling(looking.load)
    location = calling(looking.location)
    locations = calling(looking.locations)
    state = calling(looking.state)
    active_ids = calling(looking.active_ids)
    counts = calling(looking.counts)
    oldest_waiting_ms = calling(looking.oldest_waiting_ms)
    paused = calling(looking.paused)
    cancels = calling(looking.cancels)
    now_ms = calling(looking.now_ms)
    progress = calling(reporting.progress)
    log = calling(reporting.log)
    note = calling(reporting.note)
    complete = calling(finishing.complete)
    fail = calling(finishing.fail)
    give_back = calling(finishing.give_back)
    advance = calling(repeating.advance)
    nudge = calling(waking.nudge)
    take_turn = calling(commons.take_turn)
    end_turn = calling(commons.end_turn)
    hold_off = calling(commons.hold_off)
    recall = calling(commons.recall)
    remember = calling(commons.remember)
    add = calling(adding.add)
    check_server = calling(server.check_server)

    def run(self, operation: Operation[T]) -> T:
        """Carry out *operation*, step by step."""
        try:
            step = next(operation)
            while True:
                try:
                    reply = self._carry_out(step)
                except RedisFaultError as fault:
                    step = operation.throw(fault)
                else:
                    step = operation.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _carry_out(self, step: Step) -> Any:
        try:
            return self._once(step)
        except FAULTS as error:
            fault = self._fault(error)
            if not (may_repeat(step) and isinstance(fault, RedisAwayError)):
                raise fault from error
        try:
            return self._once(step)
        except FAULTS as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> RedisFaultError:
        """Translate; of a replica nothing more is asked over the connections that there are."""
        if demoted(error) and not self.clustered:
            self.client.connection_pool.disconnect(inuse_connections=False)
        return translate(error)

    def _once(self, step: Step) -> Any:
        if isinstance(step, Script):
            return self._script(step)
        if isinstance(step, Command):
            return self._command(step)
        if isinstance(step, Batch):
            pipeline = self.client.pipeline(transaction=False)
            for command in step.commands:
                pipeline.execute_command(*encoded(command.args))
            return pipeline.execute()
        return self.clock.now_ms() or self._ask_time()

    def _script(self, step: Script) -> Any:
        lua = source(step.name)
        words = (len(step.keys), *encoded(step.keys), *encoded(step.args))
        send = self.client.execute_command if self.clustered else self._send
        try:
            return send("EVALSHA", lua.sha1, *words)
        except NoScriptError:  # not run: the server has never seen it, or forgot it in a restart
            return send("EVAL", lua.text, *words)

    def _send(self, *words: Argument) -> Any:
        """Do what execute_command does without its retries and telemetry, a fifth of a script's time."""
        pool = self.client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_packed_command([pack_command(words)])  # type: ignore[arg-type]  # its stub: a tuple of one
            return connection.read_response()
        finally:
            pool.release(connection)

    def _command(self, step: Command) -> Any:
        return self.client.execute_command(*encoded(step.args), **self._options(step))

    def _ask_time(self) -> int:
        asked_s = self.clock.own_s()
        return self.clock.set(self._command(_TIME), asked_s)
