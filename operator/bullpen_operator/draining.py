"""`python -m bullpen_operator drain`: everything that runs is given back, before a release is uninstalled.

The operator is stopped for good first and its Lease taken, so nobody claims behind our back. What is left to do is what
the operator does when JobQueues are deleted, so its own engine does it; the JobQueue objects are left alone.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bullpen_operator.classify import over
from bullpen_operator.engine import Engine, EngineSettings, Served
from bullpen_operator.events import ENDS, Event
from bullpen_operator.kube import KubeApi, KubeError, batch, core
from bullpen_operator.lease import Election, leases
from bullpen_operator.namespace_mirror import OURS, NamespaceMirror
from bullpen_operator.pacing import Gate, Pacer
from bullpen_operator.roster import Roster, Serves
from bullpen_operator.seen import KubeJobSeen
from bullpen_operator.seen_from import attempts_seen, kube_job_seen, owned_pod
from bullpen_operator.server import RedisServer
from bullpen_operator.settings import Settings

logger = logging.getLogger(__name__)

LIMIT_S: Final = 240.0
"""Below Helm's five minutes for a hook; longer than a minute's grace, a lock's minute and a graph write's."""
LOOK_S: Final = 1.0
NAMED: Final = 20
"""Of the attempts that could not be ended, as many are named."""


@dataclass(frozen=True, slots=True)
class Release:
    """Names of what goes, in the operator's own namespace."""

    deployment: str
    tests: str | None = None
    """The pod of `helm test`."""


class Closing:
    """Serves nothing: whatever is put to it is drained."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, served: Served) -> None:
        """Have its attempts told to end, and what they had given back."""
        self._engine.put(served)
        self._engine.remove(served.name, drain=True)

    def remove(self, name: str, *, drain: bool = False) -> None:
        """It was drained as soon as it was put."""


async def drain(settings: Settings, release: Release, grace_s: float) -> list[str]:
    """Stop the operator and give back what runs in the served namespaces; then remove what has ended, and the Lease.

    What has not ended *grace_s* after it was told to is killed.

    Returns:
        What could not be ended in time, one sentence each; nothing of it is removed, nor the Lease.
    """
    until = time.monotonic() + LIMIT_S
    api = await KubeApi.connect(Pacer(settings.api_rate, settings.api_burst, asyncio.get_running_loop().time()))
    try:
        await stop_operator(api, settings.own_namespace, release.deployment)
        async with _sole(api, settings):
            told = await _give_all_back(api, settings, grace_s, until)
        left = [one for namespace in settings.namespaces for one in await still_there(api, namespace)]
        if told or left:
            return [*told, *left[:NAMED]]
        for namespace in settings.namespaces:
            await remove_ended(api, namespace)
        await api.delete(leases(settings.own_namespace, settings.lease))
        if release.tests:
            await api.delete(core(settings.own_namespace, "pods", release.tests))
        return []
    finally:
        await api.close()


async def run(settings: Settings, release: Release, grace_s: float) -> int:
    """Drain, and say what is left; the exit code is 1 if something is."""
    try:
        left = await drain(settings, release, grace_s)
    except KubeError as error:
        left = [f"the API server does not do what it is asked: {error}"]
    if left:
        sys.stderr.write("\n".join([_LEFT, *left, _ADVICE]) + "\n")
    return int(bool(left))


_LEFT: Final = "Not everything could be given back:"
_ADVICE: Final = (
    "End it by hand and try again, or ask nobody (helm uninstall --no-hooks): docs/kubernetes.md, Uninstall"
)


async def stop_operator(api: KubeApi, namespace: str, deployment: str) -> None:
    """Scale the Deployment to nothing: an operator that only lost its Lease would take it again."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}/scale"
    if not await api.patch(path, {"spec": {"replicas": 0}}):
        logger.warning("there is no such Deployment", extra={"deployment": deployment})


@asynccontextmanager
async def _sole(api: KubeApi, settings: Settings) -> AsyncIterator[None]:
    """Hold the Lease: the operator has let go of it, or has been silent for as long as it takes."""
    election = Election(api, settings.own_namespace, settings.lease, f"drain_{uuid.uuid4().hex[:8]}")
    await election.acquire()
    keeping = asyncio.create_task(election.keep())
    try:
        yield
    finally:
        keeping.cancel()


async def _give_all_back(api: KubeApi, settings: Settings, grace_s: float, until: float) -> list[str]:
    ends: Counter[str] = Counter()

    def count(event: Event) -> None:
        if event.kind in ENDS:
            ends[event.outcome] += 1

    engine = Engine(report=count, settings=EngineSettings(drain_timeout_s=grace_s))
    gate = Gate(settings.podless_limit)
    mirrors = {namespace: NamespaceMirror(api, namespace, gate=gate) for namespace in settings.namespaces}
    closing: Serves = Closing(engine)
    roster = Roster(api, closing, settings, mirrors, RedisServer)
    loops = [asyncio.create_task(one) for one in (engine.run(), *(mirror.run() for mirror in mirrors.values()))]
    try:
        told = await _until_empty(engine, roster, until)
    finally:
        await engine.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    logger.info("drained", extra={"ended": dict(ends)})
    return told


async def _until_empty(engine: Engine, roster: Roster, until: float) -> list[str]:
    """Wait; what keeps JobQueues from being drained when the time is over."""
    found = False
    while time.monotonic() < until:
        try:
            await roster.resync()
            found = True
        except KubeError as error:
            logger.warning("could not read the JobQueues", extra={"error": str(error)})
        await asyncio.sleep(LOOK_S)
        if found and engine.empty:
            return []
    return [f"JobQueue {queue.name}: {queue.degraded or 'attempts have not ended'}" for queue in await engine.status()]


async def still_there(api: KubeApi, namespace: str) -> list[str]:
    """Name the attempts of a namespace that have not ended: those of JobQueues that can't be served, say."""
    attempts = await _attempts(api, namespace)
    return [
        f"job {one.attempt.job_id} of queue {one.attempt.queue}: {name} has not ended"
        for name, one in attempts.items()
        if not over(one)
    ]


async def remove_ended(api: KubeApi, namespace: str) -> None:
    """Remove KubeJobs and bare pods that ended: bare pods have no time to live, and nobody else is left to do it."""
    for name, seen in (await _attempts(api, namespace)).items():
        await api.delete(core(namespace, "pods", name) if seen.bare else batch(namespace, name), "Background")


async def _attempts(api: KubeApi, namespace: str) -> Mapping[str, KubeJobSeen]:
    pods = filter(None, map(owned_pod, await api.objects(core(namespace, "pods"), OURS)))
    kube_jobs = filter(None, map(kube_job_seen, await api.objects(batch(namespace), OURS)))
    return {one.name: one for one in attempts_seen(kube_jobs, list(pods))}
