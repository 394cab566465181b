"""Taking a job: hold it, then load it, however long Redis lets one wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.bullmq import Job, RedisAwayError, SyncQueue
from bullpen_runner.endings import give_back, superseded
from bullpen_runner.lease import Lease
from bullpen_runner.loop import Loop


class Binding:
    """Binds one attempt to this pod."""

    def __init__(self, assignment: Assignment, queue: SyncQueue, lease: Lease, loop: Loop) -> None:
        self._assignment = assignment
        self._queue = queue
        self._lease = lease
        self._loop = loop

    def bind(self, deadline: float, check: Callable[[], None] = lambda: None) -> Job:
        """Hold and load the job; *check* is called before each try. Raises EndedError, also when *deadline* comes."""
        while True:
            try:
                check()
                self._lease.hold()
                with self._lease.seen():
                    job = self._queue.load(self._assignment.job_id)
            except RedisAwayError:
                self._await_redis(deadline)
                continue
            if job is None:
                raise superseded("the job was removed")
            return job

    def _await_redis(self, deadline: float) -> None:
        wait = self._lease.wait()
        if time.monotonic() + wait >= deadline:
            raise give_back("Redis stayed away from the start to the deadline")
        self._loop.pause(wait)
