"""What became of every pod, kept beyond its life: one watch for the whole suite."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from e2e.cluster import Cluster

JOB_ID: Final = "bullpen.dev/job-id"
QUEUE: Final = "bullpen.dev/queue"


@dataclass(frozen=True)
class PodLife:
    """The last that was seen of a pod. Times are Kubernetes' (whole seconds, UTC, ISO 8601: they sort as text)."""

    name: str
    namespace: str
    queue: str
    job_id: str
    node: str
    created: str
    started: str
    ended: str
    """Empty while the kubelet has not said that the main container terminated.

    Of a container that it lost sight of it knows no time: then when the pod was no longer ready.
    """
    exit_code: int | None
    reason: str
    disruption: str
    disrupted: str
    """When it was."""


class PodHistory:
    """Follows `kubectl get pods --watch`, in all namespaces; anew when the API server ends it."""

    def __init__(self, cluster: Cluster) -> None:
        self._kubeconfig = str(cluster.kubeconfig)
        self._lives: dict[str, PodLife] = {}
        self._changed = threading.Lock()
        self._closed = False
        self._process = self._watching()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _watching(self) -> subprocess.Popen[str]:
        command = ["kubectl", "get", "pods", "-A", "-l", JOB_ID, "--watch", "--output-watch-events", "-o", "json"]
        command += ["--kubeconfig", self._kubeconfig]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def of(self, queue: str, job_id: str | None = None) -> list[PodLife]:
        """Pods of a queue, or of one of its jobs, oldest first."""
        with self._changed:
            lives = [life for life in self._lives.values() if life.queue == queue]
        return sorted(
            (one for one in lives if job_id in (None, one.job_id)), key=lambda one: (one.created, one.started)
        )

    def close(self) -> None:
        """Stop following."""
        self._closed = True
        self._process.kill()
        self._thread.join()

    def _follow(self) -> None:
        while not self._closed:
            assert self._process.stdout is not None
            with self._process.stdout as lines:
                for line in lines:
                    self._take(json.loads(line)["object"])
            self._process.wait()
            if not self._closed:
                time.sleep(0.5)
                self._process = self._watching()

    def _take(self, pod: dict[str, Any]) -> None:
        life, uid = _life(pod), pod["metadata"]["uid"]
        with self._changed:
            # the last words of a pod that is removed may be without those of its container
            if life.ended or uid not in self._lives or not self._lives[uid].ended:
                self._lives[uid] = life


def _life(pod: dict[str, Any]) -> PodLife:
    metadata, status = pod["metadata"], pod.get("status", {})
    mains = [one for one in status.get("containerStatuses") or () if one["name"] in ("runner", "main")]
    container = mains[0] if mains else {}
    state = container.get("state", {})
    ended = state.get("terminated", {})
    unready, mark = _condition(status, "Ready", "False"), _condition(status, "DisruptionTarget", "True")
    return PodLife(
        name=metadata["name"],
        namespace=metadata["namespace"],
        queue=metadata["labels"][QUEUE],
        job_id=metadata["labels"][JOB_ID],
        node=pod["spec"].get("nodeName", ""),
        created=metadata["creationTimestamp"],
        started=(state.get("running") or ended).get("startedAt") or "",
        ended=ended.get("finishedAt") or (unready.get("lastTransitionTime", "") if ended else ""),
        exit_code=ended.get("exitCode"),
        reason=ended.get("reason", ""),
        disruption=mark.get("reason", ""),
        disrupted=mark.get("lastTransitionTime", ""),
    )


def _condition(status: dict[str, Any], kind: str, value: str) -> dict[str, str]:
    found = (one for one in status.get("conditions", ()) if (one["type"], one["status"]) == (kind, value))
    return next(found, {})
