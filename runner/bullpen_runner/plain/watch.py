"""The sidecar of a plain pod: renews the lock, passes on progress, and says at the end what the job returned.

A native sidecar outlives the main containers: SIGTERM tells it that they have ended. How they ended, the kubelet tells
the operator, which finishes the job; what they returned, this tells it by the termination message, or, above 3 KiB, by
a field of the job that is written under the fence.
"""

from __future__ import annotations

import json
from typing import Final

from bullpen_protocol import plain
from bullpen_protocol.assignment import Assignment, ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import RedisAwayError, SyncQueue
from bullpen_runner.endings import EndedError, Ending, completed, write_message
from bullpen_runner.lease import Lease
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop, Signals
from bullpen_runner.plain.files import Files, Stamp, UnreadableError
from bullpen_runner.plain.result import ResultError, value_of
from bullpen_runner.relay import Relay
from bullpen_runner.values import progress_text

LOOK_EVERY_S: Final = 1.0
"""How often the progress file is looked at: one lstat, and a read when it has changed."""


class Watch:
    """One attempt, from before its main container starts until after it ended."""

    def __init__(self, assignment: Assignment, queue: SyncQueue, files: Files, loop: Loop, log: Log) -> None:
        self._assignment = assignment
        self._files = files
        self._loop = loop
        self._log = log
        self._lease = Lease(queue, assignment, loop, log)
        self._relay = Relay(queue, assignment.job_id, self._lease, loop, log)
        self._stamp: Stamp | None = None

    def run(self, signals: Signals) -> Ending:
        """Watch until SIGTERM. Whoever lost the job waits for it too: a sidecar that exits is started again."""
        try:
            self._hold(signals)
            self._look_now_and_then()
            self._loop.run_until(lambda: signals.stop_requested)
            return self._say()
        except EndedError as error:
            if error.ending.code is not ExitCode.SUPERSEDED:
                return error.ending
            return self._idle(error.ending, signals)

    def _hold(self, signals: Signals) -> None:
        """Hold the job, which the init container has bound, and renew its lock from here on."""
        while not signals.stop_requested:
            try:
                self._lease.hold()
            except RedisAwayError:
                self._loop.pause(self._lease.wait())
            else:
                self._lease.keep()
                self._log.info("watching")
                return

    def _look_now_and_then(self) -> None:
        stamp = self._files.stamp(plain.PROGRESS)
        if stamp != self._stamp:
            self._stamp = stamp
            self._look()
        self._loop.after(LOOK_EVERY_S, self._look_now_and_then)

    def _look(self) -> None:
        """Pass on a progress; what is none (being written at this moment) is passed over."""
        try:
            value = json.loads(self._files.read(plain.PROGRESS, plain.PROGRESS_LIMIT_BYTES))
        except (UnreadableError, ValueError, RecursionError):
            return
        if progress_text(value) is not None:
            self._relay.progress(value)

    def _say(self) -> Ending:
        """Tell what the job returned. Words first: they need no Redis."""
        try:
            value = value_of(self._files.read(plain.RESULT, plain.RESULT_LIMIT_BYTES))
            message = completed(value)
        except (UnreadableError, ResultError) as error:
            value, message = "", TerminationMessage(RunnerOutcome.FAILED, str(error))
        said = write_message(self._assignment.termination_log, message)
        self._look()
        self._relay.flush()
        if value and not (said and message.fits):
            self._keep(value)
        self._log.info("the job has ended", outcome=message.outcome.value, reason=message.reason, bytes=len(value))
        return Ending(ExitCode.COMPLETED)

    def _keep(self, value: str) -> None:
        """Keep in Redis what the message has no room for; the grace time of the pod bounds the tries."""
        while True:
            try:
                self._lease.hold(value)
            except RedisAwayError:
                self._loop.pause(self._lease.wait())
            else:
                return

    def _idle(self, ending: Ending, signals: Signals) -> Ending:
        """Do nothing more: the operator ends the pod of an attempt that lost its job."""
        assert ending.message is not None
        self._log.warn("lost the job; waiting for the end of the pod", reason=ending.message.reason)
        self._loop.forget_timers()
        self._loop.run_until(lambda: signals.stop_requested)
        return ending
