"""One JobQueue's use cases over Redis and a cluster in memory, and a clock that the test turns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bullpen_operator.events import Event, EventKind
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.served import Lane, Served
from bullpen_operator.serving import Serving
from bullpen_protocol.bullmq import Claimed, Job, Location
from fakes.cluster import FakeCluster, FakeKubeJob, FakePod
from fakes.memory_redis import MemoryQueue, MemoryRedis, MemoryServer
from fakes.stores import FakeStore

EPOCH: Final = datetime(2026, 11, 23, tzinfo=UTC)
P: Final = "bull:q:"


def a_spec(**fields: Any) -> JobQueueSpec:
    """One job type, `resize`, unless told otherwise."""
    return JobQueueSpec.model_validate(
        {
            "queue": "q", "redis": {"secretRef": {"name": "r"}}, "concurrency": 3, "lockDuration": "40s",
            "jobTypes": [{"name": "resize"}],
        }
        | fields
    )  # fmt: skip


def a_graph_spec(**fields: Any) -> JobQueueSpec:
    """One job type, `resize`, that writes to the store of the Secret `graph`."""
    return a_spec(jobTypes=[{"name": "resize", "graph": {"secretRef": {"name": "graph"}}}], **fields)


class TurnedClock:
    """The Clock port, turned by hand."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def monotonic(self) -> float:
        return self.ms / 1000

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.ms)

    async def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class Desk:
    """An operator of one JobQueue, and a hand on everything around it."""

    spec: JobQueueSpec = field(default_factory=a_spec)
    installation: str = "inst"
    clock: TurnedClock = field(default_factory=TurnedClock)
    redis: MemoryRedis = field(init=False)
    server: MemoryServer = field(init=False)
    cluster: FakeCluster = field(init=False)
    reported: list[Event] = field(default_factory=list)
    store: FakeStore | None = None
    """Of the Secret `graph`."""

    def __post_init__(self) -> None:
        self.redis = MemoryRedis(lambda: self.clock.ms)
        self.server = MemoryServer(self.redis)
        self.cluster = FakeCluster(self.clock.now)
        self._ids = itertools.count(1)
        self.serving = self.operator()

    def operator(self, installation: str | None = None) -> Serving:
        """Make an operator process that knows nothing yet."""
        stores = {} if self.store is None else {"graph": self.store}
        served = Served("ns/q", self.spec, installation or self.installation, self.server, self.cluster, stores)
        return Serving(Lane(served, self.clock, self.reported.append), lambda: f"{next(self._ids):04d}", 30_000)

    @property
    def lane(self) -> Lane:
        return self.serving.lane

    @property
    def queue(self) -> MemoryQueue:
        return self.server.queue("q", "bull")

    def pass_s(self, seconds: float) -> None:
        self.clock.ms += int(seconds * 1000)

    async def add(self, name: str = "resize", **opts: Any) -> str:
        return await self.queue.add(name, "{}", opts)

    async def dispatch(self) -> Job | None:
        """Claim one job and start it."""
        claim = await self.serving.dispatch.claim()
        if not isinstance(claim, Claimed):
            return None
        await self.serving.dispatch.start(claim.job)
        return claim.job

    async def launched(self, **opts: Any) -> tuple[Job, FakeKubeJob, FakePod]:
        """A job whose attempt has a pod that has not started."""
        await self.add(**opts)
        job = await self.dispatch()
        assert job is not None
        kube_job = self.cluster.of(job.id)
        return job, kube_job, kube_job.pods[0]

    async def bound(self, **opts: Any) -> tuple[Job, FakeKubeJob, FakePod]:
        """A job whose pod runs and has bound the attempt."""
        job, kube_job, pod = await self.launched(**opts)
        pod.start()
        await self.queue.hold(job.id, kube_job.attempt.token, f"{kube_job.attempt.token}#{pod.uid}", 40_000)
        return job, kube_job, pod

    async def hear(self, kube_job: FakeKubeJob) -> None:
        await self.serving.watch.heard(kube_job.seen())

    async def audit(self, seconds: float = 0.0) -> None:
        """Let time pass and audit."""
        self.pass_s(seconds)
        await self.serving.audit.round()

    async def location(self, job_id: str) -> Location:
        return await self.queue.location(job_id)

    async def state(self, job_id: str) -> str:
        return await self.queue.state(job_id)

    def hash(self, job_id: str) -> dict[str, str]:
        return self.redis.hash(P + job_id)

    def events(self, job_id: str) -> list[str]:
        """What QueueEvents would hear of a job."""
        return [entry["event"] for entry in self.redis.events.get(f"{P}events", []) if entry.get("jobId") == job_id]

    def told(self, kind: EventKind) -> list[Event]:
        return [event for event in self.reported if event.kind is kind]

    def drifts(self) -> list[str]:
        return [event.code for event in self.told(EventKind.DRIFT)]

    def log_of(self, job_id: str) -> list[str]:
        """The job's log in Redis."""
        return self.redis.items(f"{P}{job_id}:logs")
