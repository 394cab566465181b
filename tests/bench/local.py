"""`make bench-local`: claims and finishes beside Node, from add to a started process, memory of an operator.

Claims and finishes a second are bench/bullmq.py's. The rest runs through `bullpen local` with its embedded Redis.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import redis

from bench import bullmq
from fakes.bulk import add_many
from servers.local import BullpenLocal

JOBS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 100
WAITING: Final = 200_000
GROWTH: Final = 1.10
SETTLE_S: Final = 10.0
QUEUE: Final = "bull:bench:"
_MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: bench}
spec:
  queue: bench
  redis: {secretRef: {name: redis}}
  concurrency: 1
  jobTypes: [{name: played, timeout: 1h}]
"""


def add(client: redis.Redis, first: int, count: int, payload: object) -> None:
    """Add jobs in one round trip."""
    payloads = dict.fromkeys(range(first, first + count), payload)
    add_many(client, QUEUE, "played", payloads, '{"removeOnComplete":true}')


def latencies(local: BullpenLocal, client: redis.Redis, folder: Path) -> tuple[list[float], list[float]]:
    """Milliseconds from each add to the start of its process, and to the first line of its processor."""
    started, processing = [], []
    for number in range(1, JOBS + 1):
        stamp = folder / f"stamp-{number}"
        began, began_ns = time.time(), time.monotonic_ns()
        add(client, number, 1, {"steps": [["stamp", str(stamp)]]})
        while client.exists(QUEUE + str(number)):
            time.sleep(0.005)
        processing.append((int(stamp.read_text()) - began_ns) / 1e6)
        newest = max(local.state.glob("jobqueues/bench/*/bp-*/process.json"), key=lambda path: path.stat().st_mtime)
        started.append((json.loads(newest.read_text())["started_at"] - began) * 1000)
    return started, processing


def memory(local: BullpenLocal, client: redis.Redis) -> tuple[int, int]:
    """Bytes of the operator with one job running and none waiting, and with 200,000 waiting."""
    add(client, 1_000_000, 1, {"steps": [["sleep", 3600]]})
    time.sleep(SETTLE_S)
    before = local.memory()
    for first in range(2_000_000, 2_000_000 + WAITING, 5000):
        add(client, first, 5000, {"steps": []})
    time.sleep(SETTLE_S)
    waiting = client.llen(f"{QUEUE}wait")
    assert waiting == WAITING, waiting
    return before, local.memory()


def row(name: str, times: Sequence[float]) -> str:
    """p50 and p99."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return f"{name:28} p50 {cuts[49]:7.1f} ms   p99 {cuts[98]:7.1f} ms   of {len(times)}"


def main() -> int:
    """Measure and print."""
    bullmq.main()
    with tempfile.TemporaryDirectory() as name:
        local = BullpenLocal(Path(name), _MANIFEST)
        try:
            local.start()
            with local.client() as client:
                started, processing = latencies(local, client, Path(name))
                empty, full = memory(local, client)
            local.send(signal.SIGINT)
            time.sleep(0.5)
            local.send(signal.SIGINT)
            local.wait()
        finally:
            local.close()
    print(row("add -> process started", started))
    print(row("add -> processor's first line", processing))
    print(f"operator's memory            0 waiting {empty >> 20} MiB   {WAITING:,} waiting {full >> 20} MiB", end="")
    print(f"   x{full / empty:.3f} (target <= {GROWTH:g})")
    return int(full > empty * GROWTH)


if __name__ == "__main__":
    sys.exit(main())
