"""A JobQueue on the cluster and its BullMQ queue, as the scenarios use them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import redis

from e2e.cluster import WORKER, Cluster, until, until_equal
from e2e.history import PodHistory, PodLife
from servers.node import NodeClient, NodeQueue

Json = dict[str, Any]


@dataclass(frozen=True)
class Queue:
    """One BullMQ queue with its producer (Node), its Redis keys and its pods."""

    name: str
    cluster: Cluster
    redis: redis.Redis
    node: NodeQueue
    history: PodHistory

    def add(self, name: str, data: Any, **opts: Any) -> str:
        """Have Node add a job."""
        return self.node.add(name, data, opts)

    def add_bulk(self, jobs: list[Json]) -> list[str]:
        """Have Node add jobs at once."""
        return [str(job["id"]) for job in self.node.call("addBulk", jobs)]

    def job(self, job_id: str) -> dict[str, str]:
        """Read a job's hash."""
        found: dict[str, str] = self.redis.hgetall(f"bull:{self.name}:{job_id}")  # type: ignore[assignment]
        return found

    def counts(self) -> dict[str, int]:
        """Count the jobs by state; states without any are left out."""
        states = ("waiting", "active", "delayed", "prioritized", "completed", "failed", "paused")
        return {state: count for state, count in self.node.counts(*states).items() if count}

    def completed(self) -> int:
        """Count the completed jobs, cheaply."""
        count: int = self.redis.zcard(f"bull:{self.name}:completed")
        return count

    def events(self) -> list[dict[str, str]]:
        """Read the whole stream of events."""
        entries: list[Any] = self.redis.xrange(f"bull:{self.name}:events")  # type: ignore[assignment]
        return [fields for _, fields in entries]

    def story(self, job_id: str) -> list[str]:
        """Name the events of one job in order, progress left out."""
        return [e["event"] for e in self.events() if e.get("jobId") == job_id and e["event"] != "progress"]

    def stored(self) -> Json:
        """Read the JobQueue."""
        [found] = self.cluster.objects("jobqueue", self.name)
        return found

    def blocked_by(self) -> str:
        """Read what `kubectl get jq` shows as Blocked-By."""
        said: str = self.stored().get("status", {}).get("blockedBy", "")
        return said

    def until_blocked(self, seconds: float, *words: str, reason: str = "") -> Json:
        """Wait until what blocks it holds all of these words, and Ready that reason; the conditions then, by type."""
        deadline, said = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            status = self.stored().get("status", {})
            said = status.get("blockedBy", "")
            conditions = {one["type"]: (one["status"], one["reason"]) for one in status.get("conditions", ())}
            if all(word in said for word in words) and reason in ("", *conditions.get("Ready", ())):
                return conditions
            time.sleep(1)  # as often as the status is written: kubectl costs more than what it asks
        raise AssertionError(f"{self.name}: not blocked by {words} within {seconds:g} s, but by {said!r}")

    def change(self, **spec: Any) -> None:
        """Change fields of the JobQueue's spec."""
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "jobqueue", self.name, "--type=merge", "-p", patch)

    def pods(self, job_id: str | None = None) -> list[Json]:
        """Get the pods that are there, oldest first."""
        selector = f"bullpen.dev/queue={self.name}" + (f",bullpen.dev/job-id={job_id}" if job_id else "")
        found = self.cluster.objects("pods", "-l", selector)
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def until_pod(self, job_id: str, seconds: float = 60) -> str:
        """Wait until a job has a pod that is not being deleted; its name."""

        def name() -> str | None:
            live = [pod["metadata"] for pod in self.pods(job_id) if "deletionTimestamp" not in pod["metadata"]]
            return live[-1]["name"] if live else None

        return until(f"job {job_id} of {self.name} has a pod", seconds, name)

    def spent(self, job_id: str) -> tuple[str, str]:
        """Read how many attempts were counted, and how often it was claimed."""
        job = self.job(job_id)
        return job.get("atm", "0"), job["ats"]

    def drain_worker(self) -> None:
        """Drain the worker of this queue's pods alone: evictions are rationed, and others have left many behind."""
        options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
        self.cluster.kubectl("drain", WORKER, *options, f"--pod-selector=bullpen.dev/queue={self.name}")

    def until_counts(self, seconds: float, **counts: int) -> None:
        """Wait until the jobs are distributed exactly so."""
        until_equal(f"the jobs of {self.name}", seconds, self.counts, counts)

    def until_running(self, job_id: str, seconds: float = 60, pods: int = 1) -> PodLife:
        """Wait until the newest of that many pods of a job runs, bound to its job."""

        def running() -> PodLife | None:
            lives = self.history.of(self.name, job_id)
            bound = "#" in self.job(job_id).get("pb", "")
            return lives[-1] if bound and len(lives) == pods and lives[-1].started and not lives[-1].ended else None

        return until(f"job {job_id} of {self.name} runs in pod {pods}", seconds, running)

    def until_ended(self, job_id: str, seconds: float = 60) -> list[PodLife]:
        """Wait until the kubelet has said of every pod of a job that it has ended."""

        def ended() -> list[PodLife] | None:
            lives = self.history.of(self.name, job_id)
            return lives if lives and all(life.ended for life in lives) else None

        return until(f"every pod of job {job_id} of {self.name} has ended", seconds, ended)


@dataclass
class Queues:
    """Makes JobQueues."""

    cluster: Cluster
    redis: redis.Redis
    client: NodeClient
    history: PodHistory

    def serve(self, name: str, job_types: list[Json], **spec: Any) -> Queue:
        """Apply a JobQueue for the queue of this name and wait until it is served."""
        body = {
            "apiVersion": "bullpen.dev/v1alpha1",
            "kind": "JobQueue",
            "metadata": {"name": name, "namespace": self.cluster.namespace},
            "spec": {"queue": name, "redis": {"secretRef": {"name": "redis"}}, "jobTypes": job_types, **spec},
        }
        self.cluster.apply(body)
        self.cluster.kubectl("wait", "--for=condition=Ready", f"jobqueue/{name}", "--timeout=90s")
        node = self.client.queue(self.cluster.redis_url, name)
        return Queue(name, self.cluster, self.redis, node, self.history)

    def log_of_operator(self) -> list[Json]:
        """Read what the running operator has logged."""
        lines = self.cluster.kubectl("logs", "deploy/bp-bullpen", "--tail=-1").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def metrics(self) -> dict[str, float]:
        """Read the operator's metrics, by name and labels as they are written."""
        [pod] = self.cluster.objects("pods", "-l", "app.kubernetes.io/component=operator")
        path = f"/api/v1/namespaces/{self.cluster.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        lines = self.cluster.kubectl("get", "--raw", path).splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}
