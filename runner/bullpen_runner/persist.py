"""Step 4 of the protocol: graph write, last words, finish; each under the fence, none of them blindly repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bullpen_protocol.assignment import (
    VALUE_LIMIT_BYTES,
    Assignment,
    AssignmentError,
    ExitCode,
    RunnerOutcome,
    TerminationMessage,
)
from bullpen_protocol.bullmq import Code, Job, QueueError, RedisAwayError, RedisFaultError, SyncQueue
from bullpen_runner.endings import EndedError, Ending, give_back, misconfigured, superseded, write_message
from bullpen_runner.lease import Lease
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop

if TYPE_CHECKING:
    from bullpen_runner.graph import GraphStore, PreparedWrite

ROUNDS: Final = 2
"""Write timeouts that persisting gets after the job's own deadline; the deadline of a pod leaves room for them."""


class RefusedError(Exception):
    """The job can't be completed, whoever tries: `reason` says why."""

    def __init__(self, reason: str, *, unrecoverable: bool) -> None:
        super().__init__(reason)
        self.unrecoverable = unrecoverable


class Persist:
    """Brings one attempt to its end."""

    def __init__(self, assignment: Assignment, queue: SyncQueue, lease: Lease, loop: Loop, log: Log) -> None:
        self._assignment = assignment
        self._queue = queue
        self._lease = lease
        self._loop = loop
        self._log = log

    def write(self, packed: bytes, deadline: float) -> int:
        """Send the write to the graph store until it answers; returns the status.

        Raises RefusedError, or EndedError when the store or Redis stays away until *deadline*.
        """
        from bullpen_runner.graph import GraphStore, PreparedWrite  # noqa: PLC0415 - many jobs write nothing

        try:
            store = GraphStore.from_assignment(self._assignment)
        except AssignmentError as error:
            raise misconfigured(str(error)) from error
        prepared = PreparedWrite.from_bytes(packed)
        tries = 0
        while True:
            tries += 1
            status, wait, reason = self._try_write(store, prepared, tries)
            if status is not None:
                return status
            self._wait(wait, deadline, give_back(reason))

    def _try_write(self, store: GraphStore, prepared: PreparedWrite, tries: int) -> tuple[int | None, float, str]:
        """Write once: the status, or how long to wait and why."""
        from bullpen_runner import graph  # noqa: PLC0415 - imported already

        try:
            self._lease.hold()
            return store.write(prepared, self._assignment.graph_timeout_s, self._lease.hold), 0.0, ""
        except RedisAwayError:
            return None, self._lease.wait(), "Redis is away"
        except graph.StoreAwayError as error:
            self._log.warn("the graph store is away", reason=str(error), tries=tries)
            return None, graph.backoff(tries), str(error)
        except graph.StoreRefusedError as error:
            raise RefusedError(str(error), unrecoverable=True) from error
        except graph.StoreAccessError as error:
            raise misconfigured(str(error)) from error

    def complete(self, job: Job, value: str, deadline: float) -> Ending:
        """Complete the job with *value*, which is JSON text. Raises RefusedError, EndedError."""
        self._say(_completed(value))
        self._finish(lambda: self._queue.complete(job, self._assignment.fence, value), job, deadline)
        return Ending(ExitCode.COMPLETED)

    def fail(self, job: Job, reason: str, stack: str, *, unrecoverable: bool, deadline: float) -> Ending:
        """Fail the attempt; BullMQ decides whether another one follows. Raises EndedError."""
        outcome = RunnerOutcome.UNRECOVERABLE if unrecoverable else RunnerOutcome.FAILED
        self._say(TerminationMessage(outcome, reason))
        self._finish(
            lambda: self._queue.fail(job, self._assignment.fence, reason, stack, unrecoverable=unrecoverable),
            job,
            deadline,
        )
        return Ending(ExitCode.FAILED)

    def _finish(self, operation: Callable[[], Any], job: Job, deadline: float) -> None:
        """Run a finish until its outcome is known."""
        unknown = again = False
        while True:
            try:
                if unknown and self._is_done(job):
                    return
                if again:
                    self._lease.hold()
                operation()
            except RedisFaultError:  # refused, too: a script may have run up to the command that was
                unknown = again = True
                self._lease.lost_sight()
                # the last words are said: an operator that finds the job active finishes it with them
                self._wait(self._lease.wait(), deadline, EndedError(Ending(ExitCode.GIVE_BACK)))
            except QueueError as error:
                _raise_meaning(error)
                again = True
            else:
                return

    def _is_done(self, job: Job) -> bool:
        """After an unknown answer: whether our finish took place. Raises RedisFaultError.

        Each finish leaves its token in our field, in the same script; without a hash there is nothing left to finish.
        """
        seen = self._queue.location(job.id)
        return not seen.exists or seen.moved_by(self._assignment.fence)

    def _say(self, message: TerminationMessage) -> None:
        if not write_message(self._assignment.termination_log, message):
            self._log.warn("the termination message can't be written", path=self._assignment.termination_log)

    def _wait(self, seconds: float, deadline: float, ending: EndedError) -> None:
        """Let the loop turn, which renews the lock; at the deadline end."""
        if time.monotonic() + seconds >= deadline:
            raise ending
        self._loop.pause(seconds)


def _completed(value: str) -> TerminationMessage:
    if len(value) > 2 * VALUE_LIMIT_BYTES:
        return TerminationMessage(RunnerOutcome.COMPLETED)
    return TerminationMessage(RunnerOutcome.COMPLETED, value=json.loads(value), has_value=True)


def _raise_meaning(error: QueueError) -> None:
    """Raise what a refused finish means; nothing for a lock that ran out, since the job may still be ours."""
    if error.code in {Code.PENDING_CHILDREN, Code.FAILED_CHILDREN}:
        raise RefusedError(str(error), unrecoverable=error.code is Code.FAILED_CHILDREN)
    if error.code is not Code.NO_LOCK:
        raise superseded(str(error))
