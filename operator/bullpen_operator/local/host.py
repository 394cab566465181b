"""`bullpen local` without its face: state folder, stores, launchers and one engine, brought up and down in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Self

from bullpen_operator.attempt_log import AttemptLog
from bullpen_operator.engine import Engine, EngineSettings, QueueStatus, Served
from bullpen_operator.events import Report, all_of
from bullpen_operator.graph_store import HttpStore, StorePlace, StorePlaceError
from bullpen_operator.leftovers import job_types_of
from bullpen_operator.local.environment import Connections, RunnerEnvironment, resolved, shown
from bullpen_operator.local.launcher import LauncherSettings, LocalLauncher
from bullpen_operator.local.redis import RunningRedis, start_redis
from bullpen_operator.local.state import NAMESPACE, StateFolder
from bullpen_operator.local.store import RunningStore, StoreUnusableError, start_store
from bullpen_operator.model import ANY_NAME, JobQueue, JobQueueSpec
from bullpen_operator.ports import Store
from bullpen_operator.seen import Attempt
from bullpen_operator.server import RedisServer
from bullpen_protocol.bullmq import AsyncQueue, RedisFaultError, connect_async
from bullpen_protocol.forwarding.entries import Target

FINISHED_STATES = frozenset({"completed", "failed"})


class UnfitRedisError(Exception):
    """This Redis would lose jobs, or can't run BullMQ's scripts; one sentence says why."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What is served, from where, and with which stores."""

    jobqueues: Sequence[JobQueue]
    state: Path
    redis_url: str | None = field(default=None, repr=False)
    """None: the embedded one."""
    redis_ca: str | None = None
    redis_port: int = 0
    """Of the embedded Redis; 0: its last one, or any."""
    graph_url: str | None = None
    """None: the embedded store, if any job type writes to a graph."""
    graph_update_url: str | None = None
    graph_username: str | None = None
    graph_password: str | None = field(default=None, repr=False)
    concurrency: int | None = None
    """In the place of every JobQueue's own."""
    keep_scratch: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def specs(self) -> Iterator[tuple[str, JobQueueSpec]]:
        """Name and spec of each JobQueue as it is served here."""
        change = {} if self.concurrency is None else {"concurrency": self.concurrency}
        for jobqueue in self.jobqueues:
            yield jobqueue.metadata.name, jobqueue.spec.model_copy(update=change)


class LocalHost:
    """Everything that `bullpen local` runs; an async context manager.

    Raises on entry:
        StateError, RedisUnavailableError, StoreUnusableError, UnfitRedisError, ServerUrlError: one sentence each;
        nothing was claimed.
    """

    def __init__(self, settings: HostSettings, report: Report | None = None) -> None:
        """Make it ready; raises ForwardingError for a log server that is none."""
        self._settings = settings
        self._attempt_log = AttemptLog(Target.from_environment(settings.environ))
        reports = [self._attempt_log.report, *([report] if report else [])]
        self.engine = Engine(report=all_of(*reports), settings=settings.engine)
        self._launchers: list[LocalLauncher] = []
        self._server: RedisServer | None = None
        self._redis: RunningRedis | None = None
        self._store: RunningStore | None = None
        self._state: StateFolder | None = None
        self.connections = Connections("")

    async def __aenter__(self) -> Self:
        """Bring everything up; what was brought up before a failure is brought down again."""
        self._state = await asyncio.to_thread(StateFolder.take, self._settings.state)
        try:
            self.connections = await self._connect(self._state)
            await self._check_redis()
            self._serve(self._state)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Bring everything down; the stores stay up for attempts that still run."""
        await self._close()

    async def status(self) -> Sequence[QueueStatus]:
        """Every JobQueue as it is now."""
        return await self.engine.status()

    def kill(self) -> None:
        """Kill what runs, at once; a drain that is under way then settles it."""
        for launcher in self._launchers:
            launcher.kill()

    async def _connect(self, state: StateFolder) -> Connections:
        settings = self._settings
        url, graph_url = settings.redis_url, settings.graph_url
        if url is None:
            self._redis = await asyncio.to_thread(start_redis, state.redis, port=settings.redis_port)
            url = self._redis.url
        if graph_url is None and any(spec.graph_secrets() for _, spec in settings.specs()):
            self._store = await asyncio.to_thread(start_store, state.store)
            graph_url = self._store.url
        return Connections(
            url,
            settings.redis_ca,
            graph_url,
            settings.graph_update_url,
            settings.graph_username,
            settings.graph_password,
        )

    async def _check_redis(self) -> None:
        client = connect_async(self.connections.redis_url, ca=self.connections.redis_ca)
        try:
            complaint = await AsyncQueue(client, "any").check_server()
        except RedisFaultError as error:
            raise UnfitRedisError(f"Redis at {shown(self.connections.redis_url)} can't be used: {error}") from error
        finally:
            await client.aclose()
        if complaint is not None:
            raise UnfitRedisError(complaint)

    def _serve(self, state: StateFolder) -> None:
        self._server = server = RedisServer(self.connections.redis_url, ca=self.connections.redis_ca)
        environment = RunnerEnvironment(self.connections, self._settings.environ)
        graph = self._graph()
        served = dict(self._settings.specs())
        left = {name: spec for name, spec in _left(state) if name not in served}
        for name, spec in (served | left).items():
            folder = state.jobqueue(name)
            launcher = LocalLauncher(LauncherSettings(folder, environment, keep_scratch=self._settings.keep_scratch))
            self._launchers.append(launcher)
            stores = dict.fromkeys(spec.graph_secrets(), graph) if graph is not None else {}
            self.engine.put(Served(f"{NAMESPACE}/{name}", spec, state.installation(name), server, launcher, stores))
        for name in left:
            self.engine.remove(f"{NAMESPACE}/{name}")

    def _graph(self) -> Store | None:
        """Name the one store that stands in for every Secret of a graph."""
        stores = self.connections
        if stores.graph_url is None:
            return None
        try:
            return HttpStore(
                StorePlace(stores.graph_url, stores.graph_update_url, stores.graph_username, stores.graph_password)
            )
        except StorePlaceError as error:
            raise StoreUnusableError(f"the graph store can't be used: its {error}") from error

    async def _close(self) -> None:
        await asyncio.to_thread(self._attempt_log.close)
        for launcher in self._launchers:
            await launcher.close()
        if self._server is not None:
            await self._server.close()
        assert self._state is not None
        needed = any(folder.live() for folder in self._state.attempts())
        for running in (self._redis, self._store):
            if running is not None:
                await asyncio.to_thread(running.leave if needed else running.stop)
        self._state.leave()


def _left(state: StateFolder) -> Iterator[tuple[str, JobQueueSpec]]:
    """JobQueues that attempts on disk belong to, by what the attempts know: their manifests may be gone."""
    attempts: dict[str, list[Attempt]] = {}
    for folder in state.attempts():
        if folder.exists:
            attempts.setdefault(folder.jobqueue, []).append(folder.attempt)
    for name, left in attempts.items():
        body = {"queue": left[-1].queue, "prefix": left[-1].prefix, "redis": {"secretRef": {"name": NAMESPACE}}}
        yield name, JobQueueSpec.model_validate(body | {"jobTypes": job_types_of(left)})


def idle(statuses: Sequence[QueueStatus]) -> bool:
    """Whether every queue was audited and nothing in it waits, runs, is delayed or waits for the graph store.

    Of those removed: whether nothing of them runs.
    """
    return all(_idle(status) for status in statuses)


def _idle(status: QueueStatus) -> bool:
    if status.leaving:
        return not status.attempts and not status.undelivered
    unfinished = sum(count for state, count in status.counts.items() if state not in FINISHED_STATES)
    return (
        bool(status.audited_at and status.counts) and not unfinished and not status.attempts and not status.undelivered
    )


def notices(jobqueues: Sequence[JobQueue]) -> Iterator[str]:
    """Say what of the manifests holds in a cluster and not here, a sentence each."""
    types = [one for jobqueue in jobqueues for one in resolved(jobqueue.spec)]
    if images := sum(one.image is not None for one in types):
        yield f"image is ignored here ({images} job types name one): jobs run in this Python environment"
    if sum(bool(one.pod_template) for one in types):
        yield "podTemplate is checked and not applied here"
    if any(one.resources.limits.ephemeral_storage for one in types):
        yield "limits of ephemeral-storage do not hold here; memory, cpu and timeout do"
    installed = {point.name for point in entry_points(group="bullpen.processors")}
    for one in types:
        wanted = one.processor or one.name
        if wanted != ANY_NAME and wanted not in installed:
            yield f"job type {one.name!r}: its processor {wanted!r} is not installed here; install its package"
