"""`make outage`: the graph store stops in the middle of a run of jobs and comes back; then all is counted.

    outage.py [--jobs 200] [--seconds 120] [--concurrency 8]

A real store (the embedded one, as a process of its own) is ended and started again under `bullpen local`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import redis

from bullpen_operator.local.store import start_store
from fakes.bulk import add_many
from servers.graph import GraphServer
from servers.local import BullpenLocal

QUEUE: Final = "bull:outage:"
LOCK_S: Final = 4
WAITED_S: Final = 2 * LOCK_S
"""How long a runner waits for a store."""
PATIENCE_S: Final = 240.0
"""Beyond the outage and two seconds for each job."""
_RESULTS: Final = "urn:test:results"
_OUTCOMES: Final = "SELECT ?a ?o { GRAPH ?g { ?a <https://bullpen.dev/ns#outcome> ?o } FILTER(?g = ?a) }"
_MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {{name: outage}}
spec:
  queue: outage
  redis: {{secretRef: {{name: redis}}}}
  concurrency: {concurrency}
  lockDuration: {lock}s  # so that a runner that meets no store waits {waited} s for one, and not two minutes
  jobTypes: [{{name: played, timeout: 8s, giveBack: {{max: 0}}, graph: {{secretRef: {{name: graph}}}}}}]
"""


@dataclass
class Outage:
    """What was counted."""

    jobs: int
    concurrency: int
    outage_s: float
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    """Where the jobs are in the end."""
    attempts_spent: int = 0
    launched: int = 0
    given_back: Counter[str] = field(default_factory=Counter)
    """By reason."""
    told: list[str] = field(default_factory=list)
    """When the JobQueue was degraded and recovered, seconds after the store's end."""
    results: int = 0
    """Jobs whose results are in the graph."""
    recorded: Counter[str] = field(default_factory=Counter)
    """Attempts in the graph, by outcome."""
    outbox_left: int = 0
    exit_code: int | None = None

    def complaints(self) -> Iterator[str]:
        """Say what an outage must not do."""
        if self.states != {"completed": self.jobs} or self.results != self.jobs:
            yield f"jobs or results were lost: {self.states}, {self.results} results"
        if self.attempts_spent != self.jobs:
            yield f"{self.attempts_spent} attempts were spent by {self.jobs} jobs"
        if not 0 < self.given_back.total() <= self.concurrency:
            yield f"{self.given_back.total()} pods were burnt; at most {self.concurrency} run at once"
        if [what.split()[0] for what in self.told] != ["degraded", "recovered"]:
            yield f"not told once each: {self.told}"
        if self.recorded.total() != self.launched or self.recorded["completed"] != self.jobs:
            yield f"{self.launched} attempts, recorded: {self.recorded}"
        if self.outbox_left or self.exit_code != 0:
            yield f"{self.outbox_left} records are left in the outbox, exit code {self.exit_code}"

    def __str__(self) -> str:
        return "\n".join(f"{one.name:14} {_plain(getattr(self, one.name))}" for one in fields(self))


def _plain(value: object) -> object:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, Counter) else value


def outage(folder: Path, jobs: int, seconds: float, concurrency: int) -> Outage:
    """Run *jobs*; once a fifth of them are done the store is away for *seconds*."""
    counted = Outage(jobs, concurrency, seconds)
    store = start_store(folder / "graph")
    local = BullpenLocal(
        folder, _MANIFEST.format(concurrency=concurrency, lock=LOCK_S, waited=WAITED_S), "--graph-url", store.url
    )
    began = time.monotonic()
    until = began + seconds + 2 * jobs + PATIENCE_S
    try:
        local.start()
        with local.client() as client:
            _add(client, jobs)
            _wait(client, jobs // 5, until)
            ended_at = time.time()
            store.stop()
            time.sleep(seconds)
            store = start_store(folder / "graph")
            _wait(client, jobs, until)
            while client.exists(f"{QUEUE}bullpen:outbox") or local.attempts():
                assert time.monotonic() < until, f"records are not delivered: {local.lines()[-5:]}"
                time.sleep(0.1)
            counted.seconds = round(time.monotonic() - began, 1)
            _count(counted, client, GraphServer("embedded", store.url))
        counted.exit_code = local.interrupt()
        _read(counted, local.lines(), ended_at)
    finally:
        local.close()
        store.stop()
    return counted


def _add(client: redis.Redis, jobs: int) -> None:
    texts = {
        number: f"INSERT DATA {{ GRAPH <{_RESULTS}> {{ <urn:test:{number}> <urn:test:done> {number} }} }}"
        for number in range(1, jobs + 1)
    }
    payloads = {number: {"steps": [["update", text]]} for number, text in texts.items()}
    add_many(client, QUEUE, "played", payloads, '{"attempts":1}')


def _wait(client: redis.Redis, done: int, until: float) -> None:
    """Wait until *done* jobs have ended."""
    while (ended := sum(client.zcard(QUEUE + state) for state in ("completed", "failed"))) < done:
        assert time.monotonic() < until, f"{ended} jobs have ended in time, {done} were expected"
        time.sleep(0.05)


def _read(counted: Outage, lines: Sequence[dict[str, Any]], ended_at: float) -> None:
    counted.launched = sum(line["msg"] == "launched" for line in lines)
    for line in lines:
        if line["msg"] == "given back":
            counted.given_back[line["code"]] += 1
        elif line["msg"] in ("degraded", "recovered") and line.get("code") == "store":
            after = datetime.fromisoformat(line["ts"]).timestamp() - ended_at
            counted.told.append(f"{line['msg']} after {after:.1f} s")


def _count(counted: Outage, client: Any, graph: GraphServer) -> None:
    found = {state: client.zcard(QUEUE + state) for state in ("completed", "failed", "delayed")}
    counted.states = +Counter(found)
    spent = (client.hget(f"{QUEUE}{number}", "atm") for number in range(1, counted.jobs + 1))
    counted.attempts_spent = sum(int(attempts or 0) for attempts in spent)
    counted.outbox_left = client.hlen(f"{QUEUE}bullpen:outbox")
    counted.results = graph.count(_RESULTS)
    counted.recorded = Counter(row["o"] for row in graph.rows(_OUTCOMES))


def main() -> int:
    """Run it and print; 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the outage")
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    if options.seconds <= WAITED_S:
        parser.error(f"runners wait {WAITED_S} s for a store: to be told of, an outage must last longer")
    with tempfile.TemporaryDirectory() as folder:
        counted = outage(Path(folder), options.jobs, options.seconds, options.concurrency)
    print(counted)
    complaints = list(counted.complaints())
    print("\n".join(complaints) or "nothing was lost")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
