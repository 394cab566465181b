"""A cluster in memory behind the Launcher port: KubeJobs, pods, nodes, and every way in which one may mislead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bullpen_operator.model import JobType
from bullpen_operator.naming import kube_job_name
from bullpen_operator.ports import LaunchError, LauncherUnavailableError
from bullpen_operator.seen import Attempt, Condition, KubeJobSeen, PodPhase, PodSeen, Terminated, Told, Waiting


@dataclass
class FakePod:
    """A pod. `vanished`: its object is gone from the API while its process may run on."""

    uid: str
    phase: PodPhase = PodPhase.PENDING
    started: bool = False
    node_ready: bool | None = True
    node_gone: bool = False
    deleting: bool = False
    disruption: str = ""
    reason: str = ""
    unschedulable: str = ""
    waiting: Waiting | None = None
    terminated: Terminated | None = None
    vanished: bool = False
    log: str = ""

    def seen(self) -> PodSeen:
        return PodSeen(
            self.uid, f"pod-{self.uid}", self.phase, self.reason, node="node", node_ready=self.node_ready,
            node_gone=self.node_gone, deleting=self.deleting, disruption=self.disruption, started=self.started,
            terminated=self.terminated, unschedulable=self.unschedulable, waiting=self.waiting,
        )  # fmt: skip

    def start(self) -> None:
        self.phase, self.started = PodPhase.RUNNING, True

    def end(self, code: int, reason: str = "", message: str = "") -> None:
        """Have the kubelet say so."""
        self.phase = PodPhase.SUCCEEDED if code == 0 else PodPhase.FAILED
        self.terminated = Terminated(code, reason or ("Completed" if code == 0 else "Error"), message)


@dataclass
class FakeKubeJob:
    """A KubeJob and its pods. `gone`: it was removed."""

    name: str
    attempt: Attempt
    job_type: JobType
    created_at: datetime
    pods: list[FakePod] = field(default_factory=list)
    recorded: bool = False
    deleting: bool = False
    gone: bool = False
    suspended: bool = False
    conditions: tuple[Condition, ...] = ()
    warnings: tuple[Told, ...] = ()
    """What its events say: only `look` asks for them."""

    def seen(self) -> KubeJobSeen:
        return KubeJobSeen(
            self.name, self.attempt, self.created_at, self.recorded, self.deleting, self.suspended, self.conditions,
            tuple(pod.seen() for pod in self.pods if not pod.vanished),
        )  # fmt: skip

    @property
    def live(self) -> bool:
        """Some pod of it may still run."""
        return any(pod.terminated is None for pod in self.pods)


async def _at_once(_: str) -> None:
    """Do not wait."""


class FakeCluster:
    """The Launcher port. `turn` is awaited before each request is carried out; it may raise in its stead."""

    def __init__(
        self,
        now: Callable[[], datetime],
        turn: Callable[[str], Awaitable[None]] = _at_once,
        *,
        pods_at_once: bool = True,
    ) -> None:
        self.now = now
        self.turn = turn
        self.pods_at_once = pods_at_once
        self.kube_jobs: dict[str, FakeKubeJob] = {}
        self.on_delete: Callable[[FakeKubeJob], None] = lambda _: None
        self.keeps_up = True
        self.room = 1_000_000
        """Launches that it takes up."""
        self.refusal: LaunchError | None = None
        """What launches are answered with."""
        self.fails: set[str] = set()
        """Requests that can't be made now: `launch`, `list`, `look`, `delete`, `record`."""
        self.looks: list[str] = []
        """Names that were looked at, in order."""
        self.launches: list[str] = []
        """Names, in order, also of those that were there."""
        self.deleted: list[str] = []
        self.graces: list[float | None] = []
        """What each deletion said of the grace time."""
        self._changes: asyncio.Queue[KubeJobSeen] = asyncio.Queue()
        self._uids = 0

    async def _ask(self, request: str) -> None:
        await self.turn(request)
        if request in self.fails:
            raise LauncherUnavailableError(f"{request}: 503")

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        await self._ask("launch")
        name = kube_job_name(attempt.queue, attempt.job_id, attempt.token)
        self.launches.append(name)
        if self.refusal is not None:
            raise self.refusal
        if name not in self.kube_jobs:
            kube_job = self.kube_jobs[name] = FakeKubeJob(name, attempt, job_type, self.now())
            if self.pods_at_once:
                self.add_pod(kube_job)
            self.tell(kube_job)

    def may_launch(self) -> bool:
        return self.keeps_up and len(self.launches) < self.room

    async def list(self) -> Sequence[KubeJobSeen]:
        await self._ask("list")
        return [kube_job.seen() for kube_job in self.kube_jobs.values()]

    async def look(self, name: str) -> KubeJobSeen | None:
        await self._ask("look")
        self.looks.append(name)
        kube_job = self.kube_jobs.get(name)
        return None if kube_job is None else replace(kube_job.seen(), warnings=kube_job.warnings)

    async def log_tail(self, seen: KubeJobSeen, uid: str, lines: int) -> str:
        await self._ask("log")
        pods = self.kube_jobs[seen.name].pods if seen.name in self.kube_jobs else []
        text = next((pod.log for pod in pods if pod.uid == uid), "")
        return "\n".join(text.splitlines()[-lines:])

    async def delete(self, name: str, *, grace_s: float | None = None) -> None:
        await self._ask("delete")
        self.deleted.append(name)
        self.graces.append(grace_s)
        kube_job = self.kube_jobs.get(name)
        if kube_job is not None and not kube_job.deleting:
            kube_job.deleting = True
            for pod in kube_job.pods:
                pod.deleting = True
            self.tell(kube_job)
            self.on_delete(kube_job)
            self.tidy()

    async def mark_recorded(self, name: str) -> None:
        await self._ask("record")
        kube_job = self.kube_jobs.get(name)
        if kube_job is not None:
            kube_job.recorded = True

    async def changes(self) -> AsyncIterator[KubeJobSeen]:
        while True:
            yield await self._changes.get()

    # ---- what the tests do to it ----

    def tell(self, kube_job: FakeKubeJob) -> None:
        self._changes.put_nowait(kube_job.seen())

    def add_pod(self, kube_job: FakeKubeJob) -> FakePod:
        self._uids += 1
        pod = FakePod(f"uid-{self._uids}", deleting=kube_job.deleting)
        kube_job.pods.append(pod)
        return pod

    def of(self, job_id: str) -> FakeKubeJob:
        """The newest KubeJob of a job."""
        return [one for one in self.kube_jobs.values() if one.attempt.job_id == job_id][-1]

    def tidy(self) -> None:
        """Remove what is being deleted and has ended: foreground deletion."""
        for name, kube_job in list(self.kube_jobs.items()):
            if kube_job.deleting and all(pod.vanished or pod.terminated or not pod.started for pod in kube_job.pods):
                kube_job.gone = True
                del self.kube_jobs[name]
