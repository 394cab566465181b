"""The launcher of a cluster: an attempt is a KubeJob; what is asked is asked of the API server itself."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from bullpen_operator import naming
from bullpen_operator.kube import KubeApi, KubeAwayError, KubeRefusedError, batch, core
from bullpen_operator.manifest import Placement, rendered
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.podrules import RUNNER
from bullpen_operator.ports import ConfigurationFaultError, LaunchError, LauncherUnavailableError
from bullpen_operator.refusals import refusal_of
from bullpen_operator.seen import Attempt, KubeJobSeen, PodSeen, Told
from bullpen_operator.seen_from import (
    NodeSeen,
    OwnedPod,
    attempt_seen,
    attempts_seen,
    kube_job_seen,
    node_seen,
    owned_pod,
    warnings_seen,
    with_node,
)
from bullpen_operator.waits import unexplained
from bullpen_operator.wording import steady
from bullpen_protocol import plain

logger = logging.getLogger(__name__)

T = TypeVar("T")

OF_KUBE_JOB: Final = "batch.kubernetes.io/job-name"
"""Label that the job controller puts on its pods."""
NODE_FRESH_S: Final = 5.0
DEFAULT_GRACE_S: Final = 30
"""Kubernetes' own, of pods that say nothing."""
LOG_TIMEOUT_S: Final = 3.0
"""The end of a log is a courtesy; a kubelet that does not answer must not keep a job from being settled."""


class Nodes:
    """What nodes say of themselves, asked only for those whose pods hint at trouble. Needs `get` on nodes.

    Without that permission nothing is known but the pods' own hints: a node that was removed is then never
    confirmed gone, and its attempts end by their locks.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._known: dict[str, tuple[float, NodeSeen]] = {}
        self._allowed = True

    async def of(self, pod: PodSeen) -> NodeSeen | None:
        """Ask for the node of *pod*; None: there is no need, or no permission."""
        if not pod.node or pod.ended or pod.node_ready is True or not self._allowed:
            return None
        asked_at, seen = self._known.get(pod.node, (0.0, NodeSeen()))
        if asked_at and time.monotonic() - asked_at < NODE_FRESH_S:
            return seen
        try:
            seen = node_seen(await self._api.get(f"/api/v1/nodes/{pod.node}"))
        except KubeRefusedError as error:
            if error.status != 403:
                raise
            self._allowed = False
            logger.warning("may not read nodes, so pods alone say how theirs are", extra={"error": str(error)})
            return None
        self._known[pod.node] = (time.monotonic(), seen)
        return seen


class Events:
    """What the cluster warns of, asked only for attempts that wait for an unknown reason. Needs `list` on events.

    Without that permission such waits stay what they look like: being started.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._allowed = True

    async def of(self, namespace: str, uid: str) -> tuple[Told, ...]:
        """Ask for the warnings about one object."""
        if not uid or not self._allowed:
            return ()
        try:
            return warnings_seen(await self._api.events(namespace, uid))
        except KubeRefusedError as error:
            if error.status != 403:
                raise
            self._allowed = False
            logger.warning("may not list events, so why a pod is not made stays unknown", extra={"error": str(error)})
            return ()


class KubeLauncher:
    """Launcher port for one JobQueue."""

    def __init__(self, api: KubeApi, mirror: NamespaceMirror, nodes: Nodes, placement: Placement) -> None:
        self._api = api
        self._mirror = mirror
        self._nodes = nodes
        self._events = Events(api)
        self.placement = placement
        """Of the next launch. Its namespace and installation never change."""
        self.installation = placement.installation
        self._selector = f"{naming.LABEL_INSTALLATION}={placement.installation}"

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        """Create the KubeJob or pod; one that is there already is ours, for its name holds the token."""
        body = rendered(attempt, job_type, self.placement)
        name, gate = body["metadata"]["name"], self._mirror.gate
        if body["kind"] == "Job":
            gate.made(name, self.installation, time.monotonic())
        try:
            await self._create(body, job_type)
        except LaunchError:
            gate.gone(name)
            raise

    async def _create(self, body: dict[str, Any], job_type: JobType) -> None:
        namespace = self.placement.namespace
        try:
            await self._api.create(batch(namespace) if body["kind"] == "Job" else core(namespace, "pods"), body)
        except KubeAwayError as error:
            raise LauncherUnavailableError(str(error)) from error
        except KubeRefusedError as error:
            if error.reason != "AlreadyExists":
                raise launch_error(error, job_type.name) from error

    def may_launch(self) -> bool:
        """Whether the cluster has made pods of what was created before."""
        return self._mirror.gate.open(self.installation, time.monotonic())

    async def list(self) -> Sequence[KubeJobSeen]:
        """List pods first: a KubeJob made between the two lists then has no pod yet, which is the truth soon enough.

        The other way round its pod would look like one that outlived its KubeJob.
        """
        namespace = self.placement.namespace
        with _asking():
            pods = await self._with_nodes(await self._all(core(namespace, "pods"), owned_pod))
            found = await self._all(batch(namespace), kube_job_seen)
        seen = {one.name: one for one in attempts_seen(found, pods)}
        names = [*seen, *(name for name in self._mirror.last_words.names(self.installation) if name not in seen)]
        return [one for name in names if (one := self._mirror.last_words.recall(name, seen.get(name))) is not None]

    async def look(self, name: str) -> KubeJobSeen | None:
        """Read the KubeJob and its pods from the API server, and its events where they alone can say why it waits."""
        namespace = self.placement.namespace
        with _asking():
            ours = await self._api.objects(core(namespace, "pods"), f"{OF_KUBE_JOB}={name}")
            pods = await self._with_nodes(filter(None, map(owned_pod, ours)))
            found = await self._api.get(batch(namespace, name))
            if found is None and not pods and (bare := await self._api.get(core(namespace, "pods", name))):
                pods = await self._with_nodes(filter(None, [owned_pod(bare)]))
            seen = attempt_seen(None if found is None else kube_job_seen(found), pods)
            if seen is not None and unexplained(seen):
                uid = seen.pods[-1].uid if seen.pods else ((found or {}).get("metadata") or {}).get("uid") or ""
                seen = replace(seen, warnings=await self._events.of(namespace, uid))
                if any(one.reason == "FailedCreate" for one in seen.warnings):
                    self._mirror.gate.blocked(self.installation)
        return self._mirror.last_words.recall(name, seen)

    async def log_tail(self, seen: KubeJobSeen, uid: str, lines: int) -> str:
        """Ask the kubelet, by way of the API server, for the end of the runner's log."""
        pod = seen.pod(uid)
        if pod is None:
            return ""
        container = plain.MAIN if seen.attempt.settings.plain else RUNNER
        query = {"container": container, "tailLines": str(lines)}
        path = f"{core(self.placement.namespace, 'pods', pod.name)}/log"
        try:
            async with asyncio.timeout(LOG_TIMEOUT_S):
                return await self._api.text(path, query)
        except (KubeAwayError, KubeRefusedError, TimeoutError) as error:
            raise LauncherUnavailableError(f"the log of {pod.name} can't be read: {error}") from error

    async def delete(self, name: str, *, grace_s: float | None = None) -> None:
        """Delete in the foreground: the KubeJob stays, being deleted, until its pod has ended."""
        with _asking():
            if grace_s is not None:
                await self._delete_pods(name, math.ceil(grace_s))
            for path in self._paths(name):
                if await self._api.delete(path):
                    return

    async def _delete_pods(self, name: str, grace_s: int) -> None:
        """Delete its pods first, which would get their whole grace from the KubeJob's deletion."""
        pods = core(self.placement.namespace, "pods")
        bare = await self._api.get(f"{pods}/{name}")
        for pod in [bare] if bare else await self._api.objects(pods, f"{OF_KUBE_JOB}={name}"):
            own_s = (pod.get("spec") or {}).get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
            path = core(self.placement.namespace, "pods", pod["metadata"]["name"])
            await self._api.delete(path, grace_s=max(1, min(own_s, grace_s)))  # 0 would ask no kubelet

    async def mark_recorded(self, name: str) -> None:
        """Annotate the KubeJob or pod."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with _asking():
            patch = {"metadata": {"annotations": {naming.ANNOTATION_RECORDED: now}}}
            for path in self._paths(name):
                if await self._api.patch(path, patch):
                    break
        self._mirror.last_words.recorded(name)

    def _paths(self, name: str) -> Sequence[str]:
        """Where the attempt of this name may be, the likelier place first."""
        namespace = self.placement.namespace
        paths = (batch(namespace, name), core(namespace, "pods", name))
        return paths[::-1] if self._mirror.bare(name) else paths

    def changes(self) -> AsyncIterator[KubeJobSeen]:
        """Pass on what the mirror hears of this installation."""
        return self._mirror.changes(self.installation)

    async def _all(self, path: str, translate: Callable[[dict[str, Any]], T | None]) -> Sequence[T]:
        """List what is of this installation; each object's JSON is let go of once it is translated."""
        items = self._api.each(path, self._selector)
        return [seen async for item in items if (seen := translate(item)) is not None]

    async def _with_nodes(self, owned: Iterable[OwnedPod]) -> Sequence[OwnedPod]:
        return [replace(one, pod=with_node(one.pod, await self._nodes.of(one.pod))) for one in owned]


def launch_error(error: KubeRefusedError, job_type: str) -> LaunchError:
    """Translate a refused creation: what passes by itself keeps the job claimed, the rest is the configuration's."""
    if error.passing or error.status == 401:
        return LauncherUnavailableError(str(error), error.retry_after_s)
    refusal = refusal_of(str(error))
    if refusal is not None and not refusal.configuration:
        return LauncherUnavailableError(f"{refusal.words}: {steady(str(error))}")
    sentence = f"Kubernetes refuses the pods of {job_type!r}: {steady(str(error))}"
    return ConfigurationFaultError(sentence, refusal.code if refusal is not None else "refused-spec")


@contextmanager
def _asking() -> Iterator[None]:
    """Whatever the API server says to a question, the answer is not known: ask again later."""
    try:
        yield
    except KubeAwayError as error:
        raise LauncherUnavailableError(str(error)) from error
    except KubeRefusedError as error:
        raise LauncherUnavailableError(f"Kubernetes refused: {error}", error.retry_after_s) from error
