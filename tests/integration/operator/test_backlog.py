"""What jobs that wait cost the operator: nothing. `make bench-local` prints the figures for 200,000."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from bullpen_operator.local import processes
from servers.local import BullpenLocal
from support import require

QUEUE: Final = "bull:backlog:"
BACKLOG: Final = 100_000
WORKED_OFF: Final = 10
GROWTH: Final = 1.10
_JOB: Final = ["name", "played", "data", '{"steps":[["value",1]]}', "opts", "{}", "timestamp", "1"]
_MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: backlog}
spec:
  queue: backlog
  redis: {secretRef: {name: redis}}
  concurrency: 1
  jobTypes: [{name: played, timeout: 1m}]
"""


def add(client: redis.Redis, first: int, count: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for job_id in range(first, first + count):
            pipeline.hset(f"{QUEUE}{job_id}", items=_JOB)
        pipeline.lpush(f"{QUEUE}wait", *range(first, first + count))
        pipeline.zadd(f"{QUEUE}marker", {"0": 0})
        pipeline.execute()


def bytes_after(local: BullpenLocal, client: redis.Redis, completed: int) -> int:
    """Memory of the operator once so many jobs have completed."""
    assert local.process is not None
    until = time.monotonic() + 120
    while client.zcard(f"{QUEUE}completed") < completed:
        assert time.monotonic() < until, local.errors()
        time.sleep(0.02)
    return int(processes.read(f"/proc/{local.process.pid}/statm").split()[1]) * processes.PAGE


@pytest.fixture
def local(tmp_path: Path) -> Iterator[BullpenLocal]:
    require("redis-server")
    local = BullpenLocal(tmp_path, _MANIFEST)
    yield local
    local.close()


def test_a_backlog_costs_the_operator_no_memory_while_it_works_it_off(local: BullpenLocal) -> None:
    local.start()
    with local.client() as client:
        add(client, 1, WORKED_OFF)
        alone = bytes_after(local, client, WORKED_OFF)
        for first in range(WORKED_OFF + 1, WORKED_OFF + 1 + BACKLOG, 5000):
            add(client, first, 5000)
        before: int = client.zcard(f"{QUEUE}completed")
        crowded = bytes_after(local, client, before + WORKED_OFF)
        waiting: int = client.llen(f"{QUEUE}wait")
    assert waiting > BACKLOG * 0.9
    assert crowded <= alone * GROWTH
