"""The init container of a plain pod: binds the attempt to the pod and writes its payload into a file."""

from __future__ import annotations

import os
import time

from bullpen_protocol.assignment import Assignment, ExitCode
from bullpen_protocol.bullmq import SyncQueue
from bullpen_runner.binding import Binding
from bullpen_runner.endings import EndedError, Ending
from bullpen_runner.lease import Lease
from bullpen_runner.log import Log
from bullpen_runner.loop import Loop
from bullpen_runner.persist import Persist
from bullpen_runner.plain.files import Files
from bullpen_runner.recording import Recorder
from bullpen_runner.usage import Usage
from bullpen_runner.values import PayloadError, check_size


class Fetch:
    """One attempt's payload. Whatever else the pod does comes after this has ended well."""

    def __init__(self, assignment: Assignment, queue: SyncQueue, files: Files, loop: Loop, log: Log) -> None:
        self._deadline = time.monotonic() + assignment.timeout_s
        self._files = files
        self._log = log
        self._lease = Lease(queue, assignment, loop, log)
        self._binding = Binding(assignment, queue, self._lease, loop)
        recorder = Recorder(assignment, Usage(os.getpid()), lambda: None)
        self._persist = Persist(assignment, queue, self._lease, loop, log, recorder)

    def run(self) -> Ending:
        """Bind and fetch; only a payload that is too large is the job's own fault, and for good."""
        try:
            job = self._binding.bind(self._deadline)
            payload = job.data.encode("utf-8", "surrogateescape")
            try:
                check_size(len(payload))
            except PayloadError as error:
                return self._persist.fail(job, str(error), "", unrecoverable=True, deadline=self._deadline)
        except EndedError as error:
            return error.ending
        self._files.lay_out(payload)
        self._log.info("fetched", bytes=len(payload))
        return Ending(ExitCode.COMPLETED)
