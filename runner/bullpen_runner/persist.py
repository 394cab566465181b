"""Step 4 of the protocol: graph write, last words, finish; each under the fence, none of them blindly repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bullpen_protocol.assignment import (
    Assignment,
    AssignmentError,
    ExitCode,
    RunnerOutcome,
    TerminationMessage,
)
from bullpen_protocol.bullmq import Code, Job, QueueError, RedisAwayError, RedisFaultError, SyncQueue
from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord
from bullpen_runner.endings import (
    EndedError,
    Ending,
    completed,
    give_back,
    misconfigured,
    store_away,
    superseded,
    write_message,
)
from bullpen_runner.failure import bounded
from bullpen_runner.lease import Lease
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop
from bullpen_runner.recording import Recorder

if TYPE_CHECKING:
    from bullpen_runner.graph import GraphStore, PreparedWrite

ROUNDS: Final = 2
"""Write timeouts that persisting gets after the job's own deadline; the deadline of a pod leaves room for them."""

RECORD_S: Final = 5.0
"""Longest try to write a record that comes without results: after that it is left to the operator, who has time."""

NOTE_LIMIT: Final = 300
"""Characters of a store's words in the job's log."""


class RefusedError(Exception):
    """The job can't be completed, whoever tries: `reason` says why."""

    def __init__(self, reason: str, *, unrecoverable: bool) -> None:
        super().__init__(reason)
        self.unrecoverable = unrecoverable


class Persist:
    """Brings one attempt to its end."""

    def __init__(
        self, assignment: Assignment, queue: SyncQueue, lease: Lease, loop: Loop, log: Log, recorder: Recorder
    ) -> None:
        self._assignment = assignment
        self._queue = queue
        self._lease = lease
        self._loop = loop
        self._log = log
        self._recorder = recorder
        self._recorded = self._noted = False

    def write(self, job: Job, packed: bytes, deadline: float) -> int:
        """Send the write to the graph store until it answers, results with their record; returns the status.

        Raises RefusedError, or EndedError when the store or Redis stays away until *deadline*.
        """
        from bullpen_runner.graph import GraphStore, PreparedWrite  # noqa: PLC0415 - many jobs write nothing

        try:
            store = GraphStore.from_assignment(self._assignment)
        except AssignmentError as error:
            raise misconfigured(str(error)) from error
        prepared, about = PreparedWrite.from_bytes(packed), None
        if prepared.text is None:
            about = self._recorder.record(job, AttemptOutcome.COMPLETED, findings=len(prepared.findings))
        tries = 0
        while True:
            tries += 1
            came = self._try_write(store, prepared, about, tries)
            if isinstance(came, int):
                self._recorded = about is not None
                return came
            self._wait(*came, deadline)

    def _try_write(
        self, store: GraphStore, prepared: PreparedWrite, about: AttemptRecord | None, tries: int
    ) -> int | tuple[float, EndedError]:
        """Write once: the status, or how long to wait and how it ends when there is no time to."""
        from bullpen_runner import graph  # noqa: PLC0415 - imported already

        try:
            self._lease.hold()
            return store.write(prepared, self._assignment.graph_timeout_s, self._lease.hold, about)
        except RedisAwayError:
            return self._lease.wait(), give_back("Redis is away")
        except graph.StoreAwayError as error:
            self._log.warn("the graph store is away", reason=str(error), tries=tries)
            self._note_away(str(error))
            return graph.backoff(tries), store_away(str(error))
        except graph.StoreRefusedError as error:
            raise RefusedError(str(error), unrecoverable=True) from error
        except graph.StoreAccessError as error:
            raise misconfigured(str(error)) from error

    def _note_away(self, reason: str) -> None:
        """Tell once, in the job's own log, what keeps an attempt that looks as if it ran; best effort."""
        if not self._noted:
            self._noted = True
            with suppress(RedisFaultError):
                line = f"bullpen: its results wait for the graph store: {bounded(reason, NOTE_LIMIT)}"
                self._queue.note(self._assignment.job_id, line)

    def complete(self, job: Job, value: str, deadline: float) -> Ending:
        """Complete the job with *value*, which is JSON text. Raises RefusedError, EndedError."""
        self._record(job, AttemptOutcome.COMPLETED)
        self._say(completed(value))
        self._finish(lambda: self._queue.complete(job, self._assignment.fence, value), job, deadline)
        return Ending(ExitCode.COMPLETED)

    def fail(self, job: Job, reason: str, stack: str, *, unrecoverable: bool, deadline: float) -> Ending:
        """Fail the attempt; BullMQ decides whether another one follows. Raises EndedError."""
        outcome = RunnerOutcome.UNRECOVERABLE if unrecoverable else RunnerOutcome.FAILED
        self._record(job, AttemptOutcome(outcome.value), reason)
        self._say(TerminationMessage(outcome, reason))
        self._finish(
            lambda: self._queue.fail(job, self._assignment.fence, reason, stack, unrecoverable=unrecoverable),
            job,
            deadline,
        )
        return Ending(ExitCode.FAILED)

    def _record(self, job: Job, outcome: AttemptOutcome, reason: str = "") -> None:
        """Write the attempt's record, if it is not in the graph yet: one try, for it must not delay the finish.

        What earlier attempts of a job found goes when it completes without results, as it does with other results.
        """
        stores = self._assignment.graph_url or self._assignment.graph_update_url
        if self._recorded or not stores:
            return
        from bullpen_runner.graph import GraphStore, PreparedWrite, StoreError  # noqa: PLC0415 - not without a store

        about = self._recorder.record(job, outcome, reason)
        completed = outcome is AttemptOutcome.COMPLETED
        prepared = PreparedWrite() if completed else PreparedWrite(text=about.insert_once().encode("ascii"))
        timeout_s = min(RECORD_S, self._assignment.graph_timeout_s)
        try:
            GraphStore.from_assignment(self._assignment).write_once(prepared, timeout_s, self._lease.hold, about)
            self._recorded = True
        except (StoreError, AssignmentError, RedisAwayError) as error:
            self._log.warn("the attempt's record is left to the operator", reason=str(error))

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
                self._wait(self._lease.wait(), EndedError(Ending(ExitCode.GIVE_BACK)), deadline)
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
        if not write_message(self._assignment.termination_log, replace(message, recorded=self._recorded)):
            self._log.warn("the termination message can't be written", path=self._assignment.termination_log)

    def _wait(self, seconds: float, ending: EndedError, deadline: float) -> None:
        """Let the loop turn, which renews the lock; at the deadline end."""
        if time.monotonic() + seconds >= deadline:
            raise ending
        self._loop.pause(seconds)


def _raise_meaning(error: QueueError) -> None:
    """Raise what a refused finish means; nothing for a lock that ran out, since the job may still be ours."""
    if error.code in {Code.PENDING_CHILDREN, Code.FAILED_CHILDREN}:
        raise RefusedError(str(error), unrecoverable=error.code is Code.FAILED_CHILDREN)
    if error.code is not Code.NO_LOCK:
        raise superseded(str(error))
