"""What jobs that wait cost the operator: nothing. `make bench-local` prints the figures for 200,000."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from fakes.bulk import add_many
from servers.local import BullpenLocal
from support import require

QUEUE: Final = "bull:backlog:"
BACKLOG: Final = 100_000
WORKED_OFF: Final = 10
GROWTH: Final = 1.10
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
    add_many(client, QUEUE, "played", {job_id: {"steps": [["value", 1]]} for job_id in range(first, first + count)})


def bytes_after(local: BullpenLocal, client: redis.Redis, completed: int) -> int:
    """Memory of the operator once so many jobs have completed."""
    until = time.monotonic() + 120
    while client.zcard(f"{QUEUE}completed") < completed:
        assert time.monotonic() < until, local.errors()
        time.sleep(0.02)
    return local.memory()


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
