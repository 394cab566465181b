"""The JobQueues of the served namespaces: each is checked, given its Redis and its launcher, and put to the engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from bullpen_operator import naming
from bullpen_operator.backends import Backends
from bullpen_operator.cluster_version import ClusterVersion
from bullpen_operator.engine import Served
from bullpen_operator.entries import (
    CONFLICT,
    Entry,
    Fault,
    Key,
    belated,
    conflict,
    entry_of,
    identity,
    invalid_spec,
    replaced,
    younger_rivals,
)
from bullpen_operator.jobqueue_status import learned
from bullpen_operator.kube import KubeApi, KubeError, batch, core, jobqueues
from bullpen_operator.kube_launcher import KubeLauncher, Nodes
from bullpen_operator.leftovers import Leftover, leftovers, trace_of
from bullpen_operator.manifest import Placement
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.namespace_mirror import OURS, NamespaceMirror
from bullpen_operator.ports import Server, Store
from bullpen_operator.rehearsal import rehearse
from bullpen_operator.settings import Settings
from bullpen_protocol.bullmq import ServerUrlError

logger = logging.getLogger(__name__)


class Serves(Protocol):
    """The part of the engine that the roster uses."""

    def put(self, served: Served) -> None:
        """Serve as described."""

    def remove(self, name: str, *, drain: bool = False) -> None:
        """Serve no more; *drain*: what runs is told to end."""


class Roster:
    """Keeps the engine in line with the JobQueues, whatever order or number of events they come in."""

    def __init__(
        self,
        api: KubeApi,
        engine: Serves,
        settings: Settings,
        mirrors: Mapping[str, NamespaceMirror],
        connect: Callable[[str, str | None], Server],
    ) -> None:
        """*connect* makes the Redis of a URL and a CA (PEM or None)."""
        self._api = api
        self._engine = engine
        self._settings = settings
        self._mirrors = mirrors
        self._backends = Backends(api, connect)
        self._nodes = Nodes(api)
        self._version = ClusterVersion(api)
        self._launchers: dict[Key, KubeLauncher] = {}
        self._uids: dict[str, str] = {}
        self._searched: set[str] = set()
        self._turn = asyncio.Lock()
        self._again = asyncio.Event()
        self._turned = time.monotonic()
        self.entries: dict[Key, Entry] = {}

    @property
    def age_s(self) -> float:
        """Seconds since everything was last read again."""
        return time.monotonic() - self._turned

    async def seen(self, body: Mapping[str, Any]) -> None:
        """Take in a JobQueue as it is now; the same once more changes nothing."""
        async with self._turn:
            metadata = body.get("metadata") or {}
            key = (str(metadata.get("namespace")), str(metadata.get("name")))
            if (known := self.entries.get(key)) is not None and replaced(known, metadata):
                if belated(known, metadata):
                    return
                self._drop(known)
            entry = self.entries.setdefault(key, entry_of(key, body))
            entry.status = body.get("status") or entry.status
            try:
                await self._take_leftovers(entry.namespace)
                await self._serve(entry, int(metadata.get("generation") or 0), body.get("spec") or {})
            except KubeError as error:
                # Not a fault of the JobQueue: it is read again with the next round.
                logger.warning("could not serve yet", extra={"jobqueue": entry.full_name, "error": str(error)})

    async def gone(self, namespace: str, name: str, uid: str) -> None:
        """Serve a JobQueue no more: somebody deleted it, so what runs of it is given back. Its namesake stays."""
        async with self._turn:
            entry = self.entries.get((namespace, name))
            if entry is not None and entry.uid == uid:
                self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        del self.entries[entry.namespace, entry.name]
        self._engine.remove(entry.full_name, drain=True)
        logger.info("JobQueue is gone", extra={"jobqueue": entry.full_name})
        if any(one.fault is not None and one.fault.reason == CONFLICT for one in self.entries.values()):
            self._again.set()  # another one may serve its queue now

    async def run(self) -> None:
        """Read every JobQueue and Secret again now and then: events can be missed, and Secrets send none."""
        while True:
            try:
                await self.resync()
                self._turned = time.monotonic()
            except KubeError as error:
                logger.warning("could not read the JobQueues", extra={"error": str(error)})
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.resync_interval_s):
                await self._again.wait()
        except TimeoutError:
            return
        self._again.clear()

    async def resync(self) -> None:
        """Bring every entry in line with the API server; raises KubeError, and then nothing is taken for gone."""
        for namespace in self._settings.namespaces:
            async with self._turn:
                await self._take_leftovers(namespace)
            known = [entry for entry in self.entries.values() if entry.namespace == namespace]
            bodies = await self._api.objects(jobqueues(namespace))
            for body in bodies:
                await self.seen(body)
            names = {body["metadata"]["name"] for body in bodies}
            # what was heard of since the list was asked for is not in it, and not gone
            for entry in [entry for entry in known if entry.name not in names]:
                await self.gone(namespace, entry.name, entry.uid)

    async def _take_leftovers(self, namespace: str) -> None:
        """Have the attempts of vanished JobQueues settled: once, before anything of the namespace is served."""
        if namespace in self._searched:
            return
        paths = (batch(namespace), core(namespace, "pods"))
        traces = [trace_of(body) for path in paths async for body in self._api.each(path, OURS)]
        for leftover in leftovers(filter(None, traces), await self._api.objects(jobqueues(namespace))):
            entry = Entry(leftover.namespace, leftover.name)
            place = await self._backends.redis(entry.namespace, leftover.spec)
            if isinstance(place, Fault):
                extra = {"jobqueue": entry.full_name, "error": place.sentence}
                logger.warning("can't settle what is left", extra=extra)
                continue
            stores, _ = await self._backends.stores(entry.namespace, leftover.spec)
            self._settle_what_is_left(entry, leftover, self._backends.server(*place), stores)
        self._searched.add(namespace)

    def _settle_what_is_left(
        self, entry: Entry, leftover: Leftover, server: Server, stores: Mapping[str, Store]
    ) -> None:
        launcher = self._launcher_of(entry, leftover.spec, leftover.installation)
        self._engine.put(Served(entry.full_name, leftover.spec, leftover.installation, server, launcher, stores))
        self._engine.remove(entry.full_name, drain=True)
        logger.info("settling what is left", extra={"jobqueue": entry.full_name, "queue": leftover.spec.queue})

    async def _serve(self, entry: Entry, generation: int, body: Mapping[str, Any]) -> None:
        try:
            spec = JobQueueSpec.model_validate(body)
        except ValidationError as error:
            entry.identity = ""
            self._refuse(entry, generation, invalid_spec(error))
            return
        if too_old := await self._version.complaint(spec):
            self._refuse(entry, generation, Fault("KubernetesTooOld", too_old))
            return
        place = await self._backends.redis(entry.namespace, spec)
        if isinstance(place, Fault):
            self._refuse(entry, generation, place)
            return
        entry.identity = identity(place[0], spec)
        if rival := conflict(entry, self.entries.values()):
            self._refuse(entry, generation, rival)
            return
        await self._serve_at(entry, generation, spec, place)

    async def _serve_at(self, entry: Entry, generation: int, spec: JobQueueSpec, place: tuple[str, str | None]) -> None:
        stores, notice = await self._backends.stores(entry.namespace, spec)
        if notice is not None and notice != entry.notice:
            logger.warning("served with a fault", extra={"jobqueue": entry.full_name, "error": notice.sentence})
        entry.notice = notice
        wanted = (generation, *place, stores)
        if entry.put != wanted:
            try:
                server = self._backends.server(*place)
            except ServerUrlError as error:
                name = spec.redis.secret_ref.name
                self._refuse(entry, generation, Fault("SecretInvalid", f"Secret {name!r}, key url: {error}"))
                return
            installation = naming.installation_id(await self._uid(entry.namespace), entry.namespace, entry.name)
            for younger in younger_rivals(entry, self.entries.values()):
                self._refuse(younger, younger.generation, conflict(younger, [entry]) or Fault(CONFLICT, ""))
            launcher = self._launcher_of(entry, spec, installation)
            sizes = learned(entry.status)
            self._engine.put(Served(entry.full_name, spec, launcher.installation, server, launcher, stores, sizes))
            entry.generation, entry.fault, entry.put = generation, None, wanted
            entry.rehearsed = None
            logger.info("serving", extra={"jobqueue": entry.full_name, "queue": spec.queue, "generation": generation})
        await self._rehearse(entry, spec)

    async def _rehearse(self, entry: Entry, spec: JobQueueSpec) -> None:
        """Have the pods judged until they are accepted; a refusal does not stop anything, the breaker does that."""
        if entry.rehearsed is None or not entry.rehearsed.accepted:
            placement = self._launchers[entry.namespace, entry.name].placement
            entry.rehearsed = await rehearse(self._api, spec, placement)

    def _refuse(self, entry: Entry, generation: int, fault: Fault) -> None:
        """Claim nothing more for a JobQueue that can't be served as it is; what runs, runs on."""
        if entry.fault != fault:
            logger.warning("not serving", extra={"jobqueue": entry.full_name, "error": fault.sentence})
        entry.generation, entry.fault, entry.rehearsed = generation, fault, None
        if entry.put is not None:
            self._engine.remove(entry.full_name)
            entry.put = None

    def _launcher_of(self, entry: Entry, spec: JobQueueSpec, installation: str) -> KubeLauncher:
        """Keep one launcher per JobQueue for good: the engine listens to it."""
        key = (entry.namespace, entry.name)
        placement = Placement(
            namespace=entry.namespace,
            jobqueue=entry.name,
            installation=installation,
            redis_secret=spec.redis.secret_ref.name,
            default_image=self._settings.runner_image,
            image_pull_policy=self._settings.image_pull_policy,
            image_pull_secrets=self._settings.image_pull_secrets,
            allowed=self._settings.allowed,
            handed_on=self._settings.log_server.to_environment() if self._settings.log_server else {},
        )
        if key in self._launchers:
            self._launchers[key].placement = placement
        else:
            mirror = self._mirrors[entry.namespace]
            self._launchers[key] = KubeLauncher(self._api, mirror, self._nodes, placement)
        return self._launchers[key]

    async def _uid(self, namespace: str) -> str:
        """Tell this cluster from all others by the uid of the namespace: a namespaced Role may read that."""
        if namespace not in self._uids:
            found = await self._api.get(f"/api/v1/namespaces/{namespace}")
            if found is None:
                raise KubeError(f"namespace {namespace!r} does not exist")
            self._uids[namespace] = found["metadata"]["uid"]
        return self._uids[namespace]
