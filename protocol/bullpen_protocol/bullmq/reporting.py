"""What a running attempt tells about itself: progress and log lines."""

from __future__ import annotations

from typing import Any

from bullpen_protocol.bullmq.encoding import plain, to_json
from bullpen_protocol.bullmq.job import Job
from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.policy import keep_logs
from bullpen_protocol.bullmq.steps import Operation, Script, read


def progress(keys: Keys, job_id: str, value: Any) -> Operation[bool]:
    """Set the progress and emit its event; False: no such job.

    *value* is a number from 0 to 100, which bull-board draws as a bar, or any JSON.
    """
    script_keys = (keys(job_id), keys("events"), keys("meta"))
    code: int = yield Script("updateProgress-3", script_keys, (job_id, to_json(value)))
    return code == 0


def log(keys: Keys, job_id: str, line: str, keep: int | None = None) -> Operation[int]:
    """Append to the job's log, which is cut to its last *keep* lines; returns its length, -1 without such a job.

    The script checks for the job first: a plain RPUSH would leave a key behind for a job that is gone.
    """
    args = (job_id, plain(line), "" if keep is None else keep)
    count: int = yield Script("addLog-2", (keys(job_id), keys(f"{job_id}:logs")), args)
    return count


def note(keys: Keys, job_id: str, line: str) -> Operation[int]:
    """Append to the job's log, which keeps as many lines as its producer asked for; its data is not read."""
    opts = yield read("HGET", keys(job_id), "opts")
    return (yield from log(keys, job_id, line, keep_logs(Job.from_hash(job_id, {"opts": opts or ""}))))
