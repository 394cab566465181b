"""The supervisor: holds the job, hands the payload to the child, and brings what comes of it to an end.

PID 1 in a pod. One thread, one loop; no pydantic, no processor, no Kubernetes.
"""

from __future__ import annotations

import time
from typing import Any, Final

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.bullmq import Job, SyncQueue
from bullpen_runner.binding import Binding
from bullpen_runner.conversation import Conversation, Failure, Returned
from bullpen_runner.endings import EndedError, Ending, stopped
from bullpen_runner.failure import bounded
from bullpen_runner.lease import Lease
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop, Signals, Stopped
from bullpen_runner.persist import ROUNDS, Persist, RefusedError
from bullpen_runner.process import Child
from bullpen_runner.recording import Recorder
from bullpen_runner.relay import Relay
from bullpen_runner.usage import Usage
from bullpen_runner.values import PayloadError, check_size

NAME_LIMIT: Final = 200
"""Characters of a job's name in the log."""
NO_WRITE: Final = 204
"""The status that `finish` is told when there was nothing to write."""


class Supervisor:
    """One attempt, from its hold to its ending. Made when the child has just been forked: its time starts here."""

    def __init__(self, assignment: Assignment, queue: SyncQueue, child: Child, loop: Loop, log: Log) -> None:
        self._assignment = assignment
        self._queue = queue
        self._log = log
        self._started = time.monotonic()
        self._deadline = self._started + assignment.timeout_s
        self._lease = Lease(queue, assignment, loop, log)
        self._binding = Binding(assignment, queue, self._lease, loop)
        self._relay = Relay(queue, assignment.job_id, self._lease, loop, log)
        final = assignment.on_timeout == "fail"
        self._child = Conversation(child, loop, self._relay, log, assignment.timeout_s, final, self._tell)
        recorder = Recorder(assignment, Usage(child.pid), lambda: self._child.used)
        self._persist = Persist(assignment, queue, self._lease, loop, log, recorder)

    def run(self, signals: Signals) -> Ending:
        """Run the attempt. The child is dead when this returns."""
        try:
            signals.on_child = self._child.on_child
            self._child.listen()
            job = self._binding.bind(self._deadline, self._child.raise_ending)
            self._lease.keep()
            came = self._work(job)
            signals.shield()
            self._relay.flush()
            return self._settle(job, came)
        except EndedError as error:
            return error.ending
        except Stopped:
            return stopped()
        finally:
            self._child.end()

    def _tell(self, asked: Any) -> Any:
        """Answer what the child asks of the commons; few processors ever do."""
        from bullpen_runner.shared import tell  # noqa: PLC0415

        return tell(asked, self._queue, self._lease)

    def _work(self, job: Job) -> Returned | Failure:
        """Let the child process the payload."""
        try:
            payload = job.data.encode("utf-8", "surrogateescape")
            check_size(len(payload))
        except PayloadError as error:
            return Failure(str(error), unrecoverable=True)
        self._child.hand_over(job.name, payload)
        self._log.info("started", name=bounded(job.name, NAME_LIMIT), processor=self._assignment.processor)
        return self._child.wait(self._deadline)

    def _settle(self, job: Job, came: Returned | Failure) -> Ending:
        """Bring *came* into the graph and into Redis."""
        deadline = max(self._deadline, time.monotonic() + ROUNDS * self._assignment.graph_timeout_s)
        try:
            if isinstance(came, Returned):
                value = self._value(job, came, deadline)
                if isinstance(value, str):
                    ending = self._persist.complete(job, value, deadline)
                    self._log.info("completed", seconds=self._seconds())
                    return ending
                came = value
        except RefusedError as error:
            came = Failure(str(error), unrecoverable=error.unrecoverable)
        self._log.warn("failed", reason=came.reason, seconds=self._seconds(), unrecoverable=came.unrecoverable)
        return self._persist.fail(job, came.reason, came.stack, unrecoverable=came.unrecoverable, deadline=deadline)

    def _value(self, job: Job, came: Returned, deadline: float) -> str | Failure:
        """Write what is to be written; return the value, made by the child from the store's answer if it wants that."""
        status = NO_WRITE
        if came.write is not None:
            status = self._persist.write(job, came.write, deadline)
            self._log.info("written to the graph", status=status, bytes=len(came.write))
        if came.value is not None:
            return came.value
        self._child.answer(status)
        made = self._child.wait(deadline)
        if isinstance(made, Failure):
            return made
        return made.value if made.value is not None else Failure("the processor's process spoke out of turn")

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)
