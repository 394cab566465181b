"""Jobs from Node through `bullpen local` while operator, shims and runners are killed -9; then all is counted."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, cast

import redis

from bullpen_operator.local import processes
from bullpen_operator.local.folder import AttemptFolder
from servers.local import BullpenLocal
from servers.node import NodeClient, NodeQueue

QUEUE: Final = "soak"
PREFIX: Final = f"bull:{QUEUE}:"
OUTBOX: Final = f"{PREFIX}bullpen:outbox"
KEPT: Final = frozenset({f"{PREFIX}{name}" for name in ("meta", "events", "id", "stalled-check", "marker")})
"""What BullMQ itself leaves of a queue without jobs."""
_MOVES: Final = frozenset({"active", "completed", "failed", "delayed"})
_CHUNK: Final = 500
_FINISHED_BETWEEN: Final = 10
"""Jobs that come to their end between two kills, at least."""
_MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {{name: soak}}
spec:
  queue: soak
  redis: {{secretRef: {{name: redis}}}}
  concurrency: {concurrency}
  lockDuration: 20s
  jobTypes:
    - name: soaked
      graph: {{secretRef: {{name: graph}}}}
      timeout: 2m
      giveBack: {{max: 1000, delay: 100ms}}
      settings: {{log: {folder}/log, locks: {folder}/locks}}
      env: [{{name: LOG_LEVEL, value: error}}]  # a third less to do for each runner
"""


_RECORDED: Final = "SELECT ?a { GRAPH ?a { ?a <https://bullpen.dev/ns#outcome> ?outcome } }"


@dataclass
class Soaked:
    """What was counted."""

    added: int
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Jobs whose events break rule 3, with the events."""
    overlaps: int = 0
    started: int = 0
    recorded: int = 0
    """Attempts of which the graph knows how they ended."""
    kills: Counter[str] = field(default_factory=Counter)
    keys_left: list[str] = field(default_factory=list)
    attempts_left: int = 0
    exit_code: int | None = None

    @property
    def finished(self) -> int:
        """Jobs that came to their one end."""
        return self.events["completed"] + self.events["failed"]

    def __str__(self) -> str:
        values = {one.name: getattr(self, one.name) for one in fields(self)} | {"finished": self.finished}
        return "\n".join(f"{name:14} {_plain(value)}" for name, value in values.items())


def _plain(value: object) -> object:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, Counter) else value


def soak(folder: Path, jobs: int, *, concurrency: int, every_s: tuple[float, float], patience_s: float) -> Soaked:
    """Run *jobs*; something is killed after a random time within *every_s*, again and again."""
    for name in ("log", "locks"):
        (folder / name).touch()
    local = BullpenLocal(folder, _MANIFEST.format(concurrency=concurrency, folder=folder))
    counted = Soaked(jobs)
    node = NodeClient("5.81.5")
    began = time.monotonic()
    try:
        local.start()
        with local.client() as client:
            _add(node, local.url, jobs)
            _kill_until_done(local, client, counted, every_s, patience_s)
            _count(local, client, counted)
        local.await_serving()
        counted.exit_code = local.interrupt()
        counted.attempts_left = len(local.attempts())
    finally:
        node.close()
        local.close()
    counted.seconds = round(time.monotonic() - began, 1)
    return counted


def _add(node: NodeClient, url: str, jobs: int) -> None:
    queue = node.queue(url, QUEUE)
    queue = NodeQueue(node, queue.at | {"options": {"streams": {"events": {"maxLen": 100 * jobs}}}})
    opts = {"attempts": 100, "removeOnComplete": True, "removeOnFail": True}
    for first in range(0, jobs, _CHUNK):
        numbers = range(first, min(first + _CHUNK, jobs))
        queue.call("addBulk", [{"name": "soaked", "data": {"n": n, "ms": n % 7 * 20}, "opts": opts} for n in numbers])


def _kill_until_done(
    local: BullpenLocal, client: redis.Redis, counted: Soaked, every_s: tuple[float, float], patience_s: float
) -> None:
    until = time.monotonic() + patience_s
    while left := _unfinished(client):
        assert time.monotonic() < until, f"not done in {patience_s:g} s, {left} left: {counted}"
        _wait(client, left - _FINISHED_BETWEEN, random.uniform(*every_s), until)
        victim = random.choice(("operator", "runner", "runner", "shim"))
        if victim == "operator":
            local.kill()
            local.start()
            counted.kills[victim] += 1
        else:
            counted.kills[victim] += _kill_one(local, victim)


def _wait(client: redis.Redis, left: int, seconds: float, until: float) -> None:
    """Wait until the time is over and no more than *left* jobs are left: a slow machine is killed less often."""
    began = time.monotonic()
    while (unfinished := _unfinished(client)) and time.monotonic() < until:
        if time.monotonic() - began > seconds and unfinished <= left:
            return
        time.sleep(0.1)


def _unfinished(client: redis.Redis) -> int:
    with client.pipeline() as pipeline:
        for name in ("wait", "active"):
            pipeline.llen(PREFIX + name)
        for name in ("delayed", "prioritized"):
            pipeline.zcard(PREFIX + name)
        return sum(pipeline.execute())


def _kill_one(local: BullpenLocal, victim: str) -> int:
    for path in random.sample(found := local.attempts(), len(found)):
        folder = AttemptFolder(path)
        process = folder.process
        named = (process.get("pid", 0), process.get("start_ticks", 0)) if victim == "runner" else folder.shim()
        if named[0] and processes.start_ticks(named[0]) == named[1]:
            processes.send(named[0], signal.SIGKILL)
            return 1
    return 0


def _count(local: BullpenLocal, client: redis.Redis, counted: Soaked) -> None:
    until = time.monotonic() + 90  # two audits
    while (local.attempts() or client.exists(OUTBOX)) and time.monotonic() < until:
        time.sleep(0.1)
    histories: defaultdict[str, list[str]] = defaultdict(list)
    for name, job_id in _moves(cast("Sequence[Any]", client.xrange(f"{PREFIX}events"))):
        counted.events[name] += 1
        histories[job_id].append(name)
    counted.broken = [f"{job_id}: {history}" for job_id, history in histories.items() if not _is_whole(history)]
    counted.broken += [f"{counted.added - len(histories)} jobs have no events"] * (len(histories) != counted.added)
    lines = Counter(line.split()[0] for line in (local.folder / "log").read_text().splitlines())
    counted.overlaps, counted.started = lines["overlap"], lines["start"]
    counted.recorded = len(local.graph().rows(_RECORDED))
    counted.keys_left = sorted(key for key in map(str, client.keys("*")) if key not in KEPT)


def _moves(events: Sequence[tuple[str, dict[str, str]]]) -> Iterator[tuple[str, str]]:
    """Name each move out of or into `active`: a job that became due was not active before."""
    for _, event in events:
        name = event["event"]
        if name in ("active", "completed", "failed", "delayed") or (
            name == "waiting" and event.get("prev") == "active"
        ):
            yield name, event["jobId"]


def _is_whole(history: Sequence[str]) -> bool:
    """Rule 3: every `active` is followed by exactly one other move before the next, and the last one is an end."""
    takes, leaves = history[::2], history[1::2]
    return (
        len(takes) == len(leaves)
        and set(takes) == {"active"}
        and "active" not in leaves
        and leaves[-1] in ("completed", "failed")
        and not {"completed", "failed"} & set(leaves[:-1])
    )
