"""`make bench-techstack`: parallel techstack-analyze jobs before a fake NVD that counts, the operator killed twice.

    techstack.py [--jobs 20] [--no-key] [--no-restarts]

Every job looks up three technologies that all have in common and three of its own, by real runners under a real
`bullpen local`; NVD's real limit holds: 50 requests in any 30 s with a key, 5 without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import redis

from bullpen_operator.local.store import start_store
from fakes.bulk import add_many
from fakes.nvd import LIMITS, FakeNvd, cpe, record
from servers.local import BullpenLocal

QUEUE: Final = "bull:techstack-analyze:"
COMMON: Final = ("nginx", "jQuery", "PHP")
OWN: Final = 3
"""Technologies that only one job has."""
PATIENCE_S: Final = 900.0
_MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {{name: techstack}}
spec:
  queue: techstack-analyze
  redis: {{secretRef: {{name: redis}}}}
  concurrency: {concurrency}
  lockDuration: 10s
  jobTypes:
    - name: techstack-analyze
      timeout: 15m
      graph: {{secretRef: {{name: graph}}}}
      settings: {{nvdUrl: {url}, nvdPatienceSeconds: 800}}
      env: [{{name: NVD_API_KEY, value: "{key}"}}]
"""


@dataclass
class Counted:
    """What came of it."""

    jobs: int
    limit: int
    """Requests that NVD allows in 30 s."""
    restarts: int = 0
    seconds: float = 0.0
    completed: int = 0
    lookups: int = 0
    """Questions of all completed jobs together."""
    failed_lookups: int = 0
    findings: int = 0
    requests: int = 0
    distinct: int = 0
    """Questions that were asked of NVD at least once."""
    cache_hits: int = 0
    busiest: int = 0
    """Most requests that arrived in any 30 s, as NVD counts."""
    refused: int = 0

    def complaints(self) -> Iterator[str]:
        """Say what must not be."""
        if self.completed != self.jobs:
            yield f"{self.jobs - self.completed} jobs did not complete"
        if self.refused or self.busiest > self.limit:
            yield f"the limit was exceeded: {self.busiest} requests in 30 s, {self.refused} refused"
        if self.failed_lookups or self.findings != self.lookups:
            yield f"{self.failed_lookups} look-ups failed, {self.findings} findings of {self.lookups} look-ups"
        if not self.restarts and self.requests != self.distinct:
            yield f"{self.requests} requests were made for {self.distinct} questions"

    def __str__(self) -> str:
        return "\n".join(f"{one.name:14} {getattr(self, one.name)}" for one in fields(self))


def items(jobs: int) -> list[Any]:
    """Return a record for each technology that is asked for."""
    pairs = (("f5", "nginx"), ("jquery", "jquery"), ("php", "php"))
    common = [record(f"CVE-2024-{1000 + i}", "", cpe(*pair, versionEndExcluding="99")) for i, pair in enumerate(pairs)]
    own = [
        record(f"CVE-2025-{10_000 + number}", f"{name} is broken.", cpe("fict", name, versionEndExcluding="99"))
        for number, name in enumerate(own_name(job, index) for job in range(1, jobs + 1) for index in range(OWN))
    ]
    return [*common, *own]


def own_name(job: int, index: int) -> str:
    """Name a technology that only one job has; no name begins another."""
    return f"fictware{'abcdefghij'[index]}{job:03}"


def bench(folder: Path, jobs: int, *, key: bool, restarts: int) -> Counted:
    """Run *jobs* at once; the operator is killed and started again *restarts* times on the way."""
    counted = Counted(jobs, LIMITS[key])
    store = start_store(folder / "graph")
    with FakeNvd(items(jobs)).served() as nvd:
        manifest = _MANIFEST.format(concurrency=jobs, url=nvd.url, key=nvd.key if key else "")
        local = BullpenLocal(folder, manifest, "--graph-url", store.url)
        began = time.monotonic()
        try:
            local.start()
            with local.client() as client:
                _add(client, jobs)
                while _ended(client) < jobs:
                    assert time.monotonic() < began + PATIENCE_S, f"{_ended(client)} jobs have ended:\n{local.errors()}"
                    if counted.restarts < restarts and len(nvd.arrivals) >= (counted.restarts + 1) * counted.limit // 3:
                        local.kill()
                        local.start()
                        counted.restarts += 1
                    time.sleep(0.05)
                counted.seconds = round(time.monotonic() - began, 1)
                _count(counted, client, nvd)
            local.interrupt()
        finally:
            local.close()
            store.stop()
    return counted


def _add(client: redis.Redis, jobs: int) -> None:
    payloads = {}
    for number in range(1, jobs + 1):
        names = [*COMMON, *(own_name(number, index) for index in range(OWN))]
        payloads[number] = {"technologies": [{"name": name, "version": f"1.{number}"} for name in names]}
    add_many(client, QUEUE, "techstack-analyze", payloads, '{"attempts":3}')


def _ended(client: Any) -> int:
    return sum(int(client.zcard(QUEUE + state)) for state in ("completed", "failed"))


def _count(counted: Counted, client: Any, nvd: FakeNvd) -> None:
    counted.completed = client.zcard(f"{QUEUE}completed")
    for job_id in client.zrange(f"{QUEUE}completed", 0, -1):
        result = json.loads(client.hget(f"{QUEUE}{job_id}", "returnvalue"))["result"]
        counted.lookups += len(result["technologies"])
        counted.failed_lookups += len(result["failedLookups"])
        counted.findings += result["summary"]["totalFindings"]
    counted.requests = len(nvd.arrivals)
    counted.distinct = len({json.dumps(query, sort_keys=True) for query in nvd.queries})
    counted.cache_hits = counted.lookups - counted.requests
    counted.busiest, counted.refused = nvd.busiest(), nvd.refused


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print; 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--no-key", action="store_true", help="ask without a key: 5 requests in 30 s; takes minutes")
    parser.add_argument("--no-restarts", action="store_true", help="leave the operator alone")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        counted = bench(Path(folder), options.jobs, key=not options.no_key, restarts=0 if options.no_restarts else 2)
    print(counted)
    complaints = list(counted.complaints())
    print("\n".join(complaints) or "the limit was never exceeded")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
