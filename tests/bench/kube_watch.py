"""When this host heard of the cluster's objects: a watch whose events are stamped as they are received."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from e2e.cluster import JOBS, Cluster

JOB_ID: Final = "bullpen.dev/job-id"
QUEUE: Final = "bullpen.dev/queue"


@dataclass(frozen=True, slots=True)
class Heard:
    """One event. `at` is this host's wall clock, in seconds; the nodes of a kind cluster have the same one."""

    at: float
    kind: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.body["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.body["metadata"].get("labels") or {}

    @property
    def version(self) -> int:
        """etcd's revision: it orders the events of all kinds of objects, however late each was heard of."""
        return int(self.body["metadata"]["resourceVersion"])


class KubeWatch:
    """Follows the attempts' `jobs` or `pods` from now on."""

    def __init__(self, cluster: Cluster, resource: str) -> None:
        command = ["kubectl", "-n", JOBS, "get", resource, "-l", JOB_ID, "--watch-only", "--output-watch-events"]
        command += ["-o", "json", "--kubeconfig", str(cluster.kubeconfig)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._events: list[Heard] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def of(self, queue: str) -> list[Heard]:
        """Events about attempts of a queue."""
        return [one for one in list(self._events) if one.labels.get(QUEUE) == queue]

    def added(self, queue: str) -> dict[str, Heard]:
        """First event of each object of a queue, by the object's name."""
        found: dict[str, Heard] = {}
        for one in self.of(queue):
            if one.kind == "ADDED":
                found.setdefault(one.name, one)
        return found

    def close(self) -> None:
        """Stop following."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at = time.time()
            event = json.loads(line)
            self._events.append(Heard(at, event["type"], event["object"]))


def most_without_a_pod(kube_jobs: dict[str, Heard], pods: dict[str, Heard]) -> int:
    """Return the largest number of KubeJobs that had no pod at one moment, in etcd's own order."""
    steps = [(one.version, 1) for one in kube_jobs.values()] + [(one.version, -1) for one in pods.values()]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
