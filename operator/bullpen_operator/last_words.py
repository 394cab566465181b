"""Pods that ended and were removed: the kubelet's word on an end never becomes untrue, so it outlives its object.

Without it, an attempt whose pod vanished right after its end could be told from a lost one only by its lock, later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bullpen_operator import naming
from bullpen_operator.seen import KubeJobSeen
from bullpen_operator.seen_from import OwnedPod

KEEP_S: Final = 600.0
"""Long enough for an outage of Redis to end and the audit after it; what is forgotten costs the wait for a lock."""


class LastWords:
    """What ended pods said, by KubeJob, until the attempt is recorded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pods: dict[str, dict[str, OwnedPod]] = {}
        self._recorded: set[str] = set()
        self._since: dict[str, float] = {}

    def add(self, pod: OwnedPod) -> None:
        """Remember a pod that is being removed, if it has ended and its attempt is not recorded yet."""
        self._purge()
        if pod.pod.ended and pod.orphan is not None and pod.kube_job not in self._recorded:
            self._pods.setdefault(pod.kube_job, {})[pod.pod.uid] = pod
            self._since.setdefault(pod.kube_job, self._clock())

    def recorded(self, kube_job: str) -> None:
        """Forget what an attempt's pods said: it was put to use. The name stays known as recorded for a while."""
        self._purge()
        self._pods.pop(kube_job, None)
        self._recorded.add(kube_job)
        self._since.setdefault(kube_job, self._clock())

    def recall(self, kube_job: str, seen: KubeJobSeen | None) -> KubeJobSeen | None:
        """Complete what is seen of an attempt with what is remembered of it; None: there is neither."""
        pods = self._pods.get(kube_job, {})
        if seen is None:
            left = next((pod.orphan for pod in pods.values() if pod.orphan is not None), None)
            if left is None:
                return None
            seen = replace(left, pods=())
        here = {pod.uid for pod in seen.pods}
        removed = tuple(one.pod for uid, one in pods.items() if uid not in here)
        return replace(seen, pods=(*removed, *seen.pods), recorded=seen.recorded or kube_job in self._recorded)

    def names(self, installation: str) -> list[str]:
        """Name the KubeJobs of *installation* of which something is remembered."""
        return [name for name, pods in self._pods.items() if any(_of(pod, installation) for pod in pods.values())]

    def _purge(self) -> None:
        horizon = self._clock() - KEEP_S
        # oldest first: a dict keeps the order in which names came
        while self._since and (name := next(iter(self._since))) and self._since[name] < horizon:
            del self._since[name]
            self._pods.pop(name, None)
            self._recorded.discard(name)


def _of(pod: OwnedPod, installation: str) -> bool:
    return pod.orphan is not None and naming.installation_of(pod.orphan.attempt.token) == installation
