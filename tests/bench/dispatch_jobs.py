"""The JobQueues and jobs of bench/dispatch.py, and what they leave to be measured."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.kube_watch import Heard, KubeWatch
from e2e.cluster import JOBS, Cluster, until
from e2e.queues import Queue, Queues

BURST: Final = 200
SMALL: Final = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}}
UNSCHEDULED: Final[dict[str, Any]] = {
    "name": "bench",
    "startTimeout": "1h",
    "podTemplate": {"spec": {"schedulerName": "none"}},
}
"""A job type whose pods no scheduler takes: what is measured is not what two cores need to start pods."""

_STAMP: Final = """\
import time
from bullpen_processors.api import Result
class Stamp:
    def process(self, payload, context):
        return Result({"at": time.time() * 1000})
"""
_FOLDER: Final = "bench_stamp-1.0.dist-info"
_FILES: Final = {
    "stamp": ("bench_stamp.py", _STAMP),
    "metadata": (f"{_FOLDER}/METADATA", "Metadata-Version: 2.1\nName: bench-stamp\nVersion: 1.0\n"),
    "entries": (f"{_FOLDER}/entry_points.txt", "[bullpen.processors]\nbench = bench_stamp:Stamp\n"),
}
_KEPT: Final = ("app.kubernetes.io/managed-by", "bullpen.dev/job-type", "bullpen.dev/job-id")
_LOOP: Final = Path(__file__).with_name("bare_loop.py")


def stamp_package(cluster: Cluster) -> None:
    """Put a processor that returns the time (ms) into a ConfigMap: no image of its own for one line."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "bench-stamp", "namespace": JOBS},
            "data": {key: text for key, (_, text) in _FILES.items()},
        }
    )


def stamped() -> dict[str, Any]:
    """Describe the job type that runs that processor."""
    items = [{"key": key, "path": path} for key, (path, _) in _FILES.items()]
    volume = {"name": "stamp", "configMap": {"name": "bench-stamp", "items": items}}
    runner = {"name": "runner", "volumeMounts": [{"name": "stamp", "mountPath": "/stamp", "readOnly": True}]}
    return {
        "name": "bench",
        "resources": SMALL,
        "env": [{"name": "PYTHONPATH", "value": "/stamp"}],
        "podTemplate": {"spec": {"containers": [runner], "volumes": [volume]}},
    }


def sleeping() -> dict[str, Any]:
    """Describe a job type that waits to be killed."""
    return {"name": "demo-sleep", "image": "bullpen-demo:e2e", "resources": SMALL}


def one_a_second(queue: Queue, jobs: int) -> dict[str, float]:
    """Have Node add a job a second; return when each add was begun, by job id."""
    added, began = {}, time.monotonic()
    for number in range(jobs):
        time.sleep(max(0.0, began + number - time.monotonic()))
        at = time.time()
        added[queue.add("bench", {}, attempts=1)] = at
    return added


def kube_requests(metrics: Mapping[str, float]) -> Counter[str]:
    """Add up the operator's requests to the API server, by verb and resource."""
    found: Counter[str] = Counter()
    for name, count in metrics.items():
        if name.startswith("bullpen_kube_requests_total"):
            labels = dict(part.split("=") for part in name.partition("{")[2].rstrip("}").replace('"', "").split(","))
            found[f"{labels['verb']} {labels['resource']}"] += int(count)
    return found


def kill(queue: Queue, job_id: str) -> None:
    """Kill a running attempt's container with SIGKILL, from its node: the first process of its pod's cgroup."""
    node = queue.until_running(job_id, 120).node
    uid = queue.job(job_id)["pb"].partition("#")[2]
    queue.cluster.on_node(
        node,
        f"for p in /proc/[0-9]*; do tr - _ <$p/cgroup | grep -q {uid.replace('-', '_')} "
        "&& grep -q '^NSpid:.*[[:space:]]1$' $p/status && grep -q bullpen_runner $p/cmdline "
        "&& kill -KILL ${p#/proc/}; done 2>/dev/null; true",
    )


def ended_at(pods: KubeWatch, queue: Queue, job_id: str) -> float:
    """When the watch told that the container of a job had terminated; 0: it has not yet."""
    heard = (one for one in pods.of(queue.name) if one.labels["bullpen.dev/job-id"] == job_id)
    return next((one.at for one in heard if _ended(one)), 0.0)


def _ended(pod: Heard) -> bool:
    statuses = pod.body["status"].get("containerStatuses") or ()
    return any("terminated" in status["state"] for status in statuses)


def event_at(queue: Queue, job_id: str, event: str) -> float:
    """When Redis took in a job's *event*, in seconds."""
    entries: Any = queue.redis.xrange(f"bull:{queue.name}:events")
    stamps = (entry for entry, fields in entries if (fields["event"], fields.get("jobId")) == (event, job_id))
    return int(next(stamps).partition("-")[0]) / 1000


def released(queues: Queues, name: str, kube_jobs: KubeWatch) -> Queue:
    """Add BURST jobs to a suspended JobQueue, let go of them, and wait until each has its KubeJob."""
    queue = queues.serve(name, [UNSCHEDULED], concurrency=10 * BURST)
    queue.change(suspend=True)
    queue.until_blocked(60, "spec.suspend is true")
    queue.add_bulk([{"name": "bench", "data": {}}] * BURST)
    queue.change(suspend=False)
    until(f"{BURST} KubeJobs of {name}", 120, lambda: len(kube_jobs.added(name)) == BURST)
    return queue


def bare(cluster: Cluster, kube_jobs: KubeWatch, name: str, pause_s: float = 0.0) -> tuple[str, list[float]]:
    """Create the KubeJobs of a queue again in a bare loop, under the name of another queue.

    Returns that name, and the milliseconds that each creation took.
    """
    other = f"{name}-bare"
    bodies = [_again(heard.body, name, other) for heard in kube_jobs.added(name).values()]
    command = ("exec", "-i", "deploy/bp-bullpen", "--", "python", "-c", _LOOP.read_text(), str(pause_s))
    took = json.loads(cluster.kubectl(*command, stdin=json.dumps(bodies), timeout_s=300 + 2 * pause_s * len(bodies)))
    until(f"the KubeJobs of {other}", 120, lambda: len(kube_jobs.added(other)) == len(bodies))
    return other, [1000 * seconds for seconds in took]


def _again(body: dict[str, Any], queue: str, other: str) -> dict[str, Any]:
    """Make an object to be created of one that was: the same, but no operator's, so that none is busy with it."""
    old = body["metadata"]
    ours = {key: value for key, value in old["labels"].items() if key in _KEPT}
    labels = ours | {"bullpen.dev/queue": other, "bullpen.dev/jobqueue": other}
    template = body["spec"]["template"]
    spec = {key: value for key, value in body["spec"].items() if key != "selector"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": JOBS,
            "name": old["name"].replace(f"bp-{queue}-", f"bp-{other}-"),
            "labels": labels,
            "annotations": old["annotations"],
        },
        "spec": spec
        | {
            "template": {
                "metadata": {"annotations": template["metadata"]["annotations"], "labels": labels},
                "spec": template["spec"],
            }
        },
    }
