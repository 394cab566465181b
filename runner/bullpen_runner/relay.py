"""What a processor reports, on its way to Redis: progress at most four times a second, the job's log line by line.

Best effort: nothing here can end or delay an attempt. While Redis is away the last progress and the lines wait.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from bullpen_protocol.bullmq import QueueError, RedisAwayError, RedisRefusedError, SyncQueue
from bullpen_runner.lease import Lease
from bullpen_runner.log import Level, Log
from bullpen_runner.loop import Loop

PROGRESS_EVERY_S: Final = 0.25
LOG_LINES: Final = 1_000
"""Lines of one attempt that reach the job's log in Redis; the pod's log has them all."""
LOG_KEEP: Final = 5_000
"""Lines of all attempts of a job that its log in Redis keeps."""

_LINES_A_TURN: Final = 50
_AGAIN_S: Final = 1.0


class Relay:
    """Progress and log lines of one attempt."""

    def __init__(self, queue: SyncQueue, job_id: str, lease: Lease, loop: Loop, log: Log) -> None:
        self._queue = queue
        self._job_id = job_id
        self._lease = lease
        self._loop = loop
        self._log = log
        self._progress: Any = None
        self._next_progress = 0.0
        self._lines: deque[str] = deque()
        self._taken = 0
        self._scheduled = False

    def progress(self, value: Any) -> None:
        """Take a progress; only the last one counts."""
        self._progress = value
        self._schedule(self._next_progress)

    def line(self, text: str) -> None:
        """Take a line of the job's log; after LOG_LINES only the pod's log gets more."""
        self._log.line(Level.INFO, "processor", text)
        self._taken += 1
        if self._taken <= LOG_LINES:
            self._lines.append(text)
        elif self._taken == LOG_LINES + 1:
            self._lines.append(f"(more than {LOG_LINES:,} lines: the rest is in the pod's log only)")
        self._schedule(0.0)

    def flush(self) -> None:
        """Send what waits, unless Redis is away: the job is about to be finished."""
        while (self._lines or self._progress is not None) and self._send_lines():
            self._next_progress = 0.0
            if not self._lines and not self._send_progress():
                return

    def _schedule(self, when: float) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.at(when, self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._lease.away or not (self._send_lines() and self._send_progress()):
            self._schedule(time.monotonic() + _AGAIN_S)
        elif self._lines:
            self._schedule(0.0)
        elif self._progress is not None:
            self._schedule(self._next_progress)

    def _send_lines(self) -> bool:
        """Send some lines; False when Redis did not answer."""
        for _ in range(min(_LINES_A_TURN, len(self._lines))):
            if not self._try(lambda: self._queue.log(self._job_id, self._lines[0], keep=LOG_KEEP)):
                return False
            self._lines.popleft()
        return True

    def _send_progress(self) -> bool:
        if self._progress is None or time.monotonic() < self._next_progress:
            return True
        value = self._progress
        if not self._try(lambda: self._queue.progress(self._job_id, value)):
            return False
        self._progress = None
        self._next_progress = time.monotonic() + PROGRESS_EVERY_S
        return True

    def _try(self, operation: Any) -> bool:
        try:
            operation()
        except RedisAwayError:
            self._lease.lost_sight()
            return False
        except (QueueError, RedisRefusedError):
            return True  # the job is gone, as its lock will say; or Redis is full, and this is not worth trying again
        return True
