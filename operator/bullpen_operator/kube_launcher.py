"""The launcher of a cluster: an attempt is a KubeJob; what is asked is asked of the API server itself."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bullpen_operator import naming
from bullpen_operator.kube import KubeApi, KubeAwayError, KubeRefusedError, batch, core
from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.ports import ConfigurationFaultError, LauncherUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen, PodSeen
from bullpen_operator.seen_from import (
    NodeSeen,
    OwnedPod,
    attempt_seen,
    attempts_seen,
    kube_job_seen,
    node_seen,
    owned_pod,
    with_node,
)

logger = logging.getLogger(__name__)

OF_KUBE_JOB: Final = "batch.kubernetes.io/job-name"
"""Label that the job controller puts on its pods."""
NODE_FRESH_S: Final = 5.0


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


class KubeLauncher:
    """Launcher port for one JobQueue."""

    def __init__(self, api: KubeApi, mirror: NamespaceMirror, nodes: Nodes, placement: Placement) -> None:
        self._api = api
        self._mirror = mirror
        self._nodes = nodes
        self.placement = placement
        """Of the next launch. Its namespace and installation never change."""
        self.installation = placement.installation
        self._selector = f"{naming.LABEL_INSTALLATION}={placement.installation}"

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        """Create the KubeJob; one that is there already is ours, for its name holds the token."""
        body = kube_job(attempt, job_type, self.placement)
        try:
            await self._api.create(batch(self.placement.namespace), body)
        except KubeAwayError as error:
            raise LauncherUnavailableError(str(error)) from error
        except KubeRefusedError as error:
            if error.reason == "AlreadyExists":
                return
            if error.passing or error.status == 401:
                raise LauncherUnavailableError(str(error), error.retry_after_s) from error
            raise ConfigurationFaultError(f"Kubernetes refused the KubeJob of {job_type.name!r}: {error}") from error

    async def list(self) -> Sequence[KubeJobSeen]:
        """List pods first: a KubeJob made between the two lists then has no pod yet, which is the truth soon enough.

        The other way round its pod would look like one that outlived its KubeJob.
        """
        namespace = self.placement.namespace
        with _asking():
            pods = await self._with_nodes(await self._api.objects(core(namespace, "pods"), self._selector))
            found = await self._api.objects(batch(namespace), self._selector)
        seen = {one.name: one for one in attempts_seen(filter(None, map(kube_job_seen, found)), pods)}
        names = [*seen, *(name for name in self._mirror.last_words.names(self.installation) if name not in seen)]
        return [one for name in names if (one := self._mirror.last_words.recall(name, seen.get(name))) is not None]

    async def look(self, name: str) -> KubeJobSeen | None:
        """Read the KubeJob and its pods from the API server."""
        namespace = self.placement.namespace
        with _asking():
            pods = await self._with_nodes(await self._api.objects(core(namespace, "pods"), f"{OF_KUBE_JOB}={name}"))
            found = await self._api.get(batch(namespace, name))
        seen = attempt_seen(None if found is None else kube_job_seen(found), pods)
        return self._mirror.last_words.recall(name, seen)

    async def delete(self, name: str) -> None:
        """Delete in the foreground: the KubeJob stays, being deleted, until its pod has ended."""
        with _asking():
            await self._api.delete(batch(self.placement.namespace, name))

    async def mark_recorded(self, name: str) -> None:
        """Annotate the KubeJob."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with _asking():
            patch = {"metadata": {"annotations": {naming.ANNOTATION_RECORDED: now}}}
            await self._api.patch(batch(self.placement.namespace, name), patch)
        self._mirror.last_words.recorded(name)

    def changes(self) -> AsyncIterator[KubeJobSeen]:
        """Pass on what the mirror hears of this installation."""
        return self._mirror.changes(self.installation)

    async def _with_nodes(self, pods: Iterable[dict[str, object]]) -> Sequence[OwnedPod]:
        owned = [seen for seen in map(owned_pod, pods) if seen is not None]
        return [replace(one, pod=with_node(one.pod, await self._nodes.of(one.pod))) for one in owned]


@contextmanager
def _asking() -> Iterator[None]:
    """Whatever the API server says to a question, the answer is not known: ask again later."""
    try:
        yield
    except KubeAwayError as error:
        raise LauncherUnavailableError(str(error)) from error
    except KubeRefusedError as error:
        raise LauncherUnavailableError(f"Kubernetes refused: {error}", error.retry_after_s) from error
