"""Pods and KubeJobs of one namespace as they change, shared by the launchers of all its JobQueues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Final

from bullpen_operator import naming
from bullpen_operator.kube import KubeApi, batch, core
from bullpen_operator.last_words import LastWords
from bullpen_operator.pacing import Gate
from bullpen_operator.reflector import Pace, Reflector
from bullpen_operator.seen import KubeJobSeen
from bullpen_operator.seen_from import OwnedPod, attempt_seen, kube_job_seen, owned_pod

OURS: Final = naming.LABEL_INSTALLATION
"""Selects every KubeJob and pod that a Bullpen made."""


class NamespaceMirror:
    """Two reflectors, joined: what changes is told to the installation that it belongs to."""

    def __init__(self, api: KubeApi, namespace: str, pace: Pace | None = None, gate: Gate | None = None) -> None:
        self._kube_jobs = Reflector(api, batch(namespace), OURS, kube_job_seen, self._kube_job_changed, pace)
        self._pods = Reflector(api, core(namespace, "pods"), OURS, owned_pod, self._pod_changed, pace)
        self._family: dict[str, dict[str, OwnedPod]] = {}
        self._news: dict[str, _News] = {}
        self.gate = gate or Gate()
        """Knows which attempts have no pod yet; one for all namespaces, for one job controller makes their pods."""
        self.last_words = LastWords()
        """Of pods that ended and are gone."""

    @property
    def age_s(self) -> float:
        """Seconds since the slower of both last turned."""
        return max(self._kube_jobs.age_s, self._pods.age_s)

    @property
    def answered(self) -> bool:
        """Whether the API server answers both."""
        return self._kube_jobs.answered and self._pods.answered

    def bare(self, name: str) -> bool:
        """Whether the attempt of this name is known to be a pod without a KubeJob."""
        pod = self._family.get(name, {}).get(name)
        return pod is not None and pod.orphan is not None and pod.orphan.bare

    def bare_attempts(self) -> Iterator[KubeJobSeen]:
        """Every attempt that is a pod without a KubeJob."""
        orphans = (pod.orphan for pod in self._pods.objects.values())
        return (orphan for orphan in orphans if orphan is not None and orphan.bare)

    async def run(self) -> None:
        """Mirror until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run())
            group.create_task(self._kube_jobs.run())

    async def changes(self, installation: str) -> AsyncIterator[KubeJobSeen]:
        """Attempts of *installation* as they change; several changes of one may come as its latest state."""
        news = self._news.setdefault(installation, _News())
        while True:
            name, last = await news.next()
            there = attempt_seen(self._kube_jobs.objects.get(name), tuple(self._family.get(name, {}).values()))
            yield self.last_words.recall(name, there) or replace(last, deleting=True, pods=())

    def _kube_job_changed(self, seen: KubeJobSeen) -> None:
        if seen.recorded:
            self.last_words.recorded(seen.name)
        if self._waits_for_its_pod(seen):
            self.gate.made(seen.name, naming.installation_of(seen.attempt.token), time.monotonic(), confirmed=True)
        else:
            self.gate.gone(seen.name)
        self._tell(seen)

    def _waits_for_its_pod(self, seen: KubeJobSeen) -> bool:
        past = seen.recorded or seen.deleting or seen.suspended or seen.conditions
        return not past and seen.name in self._kube_jobs.objects and seen.name not in self._family

    def _pod_changed(self, seen: OwnedPod) -> None:
        family = self._family.setdefault(seen.kube_job, {})
        if seen.pod.name in self._pods.objects:
            family[seen.pod.name] = seen
            self.gate.has_pod(seen.kube_job)
        else:
            self.last_words.add(seen)
            family.pop(seen.pod.name, None)
            if not family:
                del self._family[seen.kube_job]
        if seen.orphan is not None and seen.orphan.bare and seen.orphan.recorded:
            self.last_words.recorded(seen.kube_job)
        owner = self._kube_jobs.objects.get(seen.kube_job) or seen.orphan
        if owner is not None:
            self._tell(owner)

    def _tell(self, seen: KubeJobSeen) -> None:
        news = self._news.get(naming.installation_of(seen.attempt.token))
        if news is not None:
            news.add(seen)


class _News:
    """Names that changed, each once: a listener that lags costs no more memory than there are attempts."""

    def __init__(self) -> None:
        self._changed: dict[str, KubeJobSeen] = {}
        self._some = asyncio.Event()

    def add(self, seen: KubeJobSeen) -> None:
        self._changed[seen.name] = seen
        self._some.set()

    async def next(self) -> tuple[str, KubeJobSeen]:
        while not self._changed:
            self._some.clear()
            await self._some.wait()
        name = next(iter(self._changed))
        return name, self._changed.pop(name)
