"""`make bench-dispatch`: what a job waits for on a kind cluster, what it asks of the API server, the operator's memory.

    dispatch.py [--jobs 100] [--only steady,kills,default-burst,burst,crowd]

A cluster of its own (E2E_CLUSTER names it, E2E_KEEP=1 keeps it), with the shipped chart and its default intervals.
Times that are compared are of one clock, this host's, which containers share. A KubeJob or pod is timed when a watch of
this host (kubectl's) hands it over, so creation is later than it was; a settled job by the id that Redis gave to its
event. Ratios are of one run. Two cores are few for two nodes: the load is printed beside the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from bench.crowd import ATTEMPTS, FOREIGN, LIMIT_MIB, crowded
from bench.dispatch_jobs import (
    BURST,
    bare,
    ended_at,
    event_at,
    kill,
    kube_requests,
    one_a_second,
    released,
    sleeping,
    stamp_package,
    stamped,
)
from bench.kube_watch import KubeWatch, most_without_a_pod
from bench.table import HEADER, Row, load, timed, told
from e2e.cluster import Clock, Cluster, made, removed, until
from e2e.history import PodHistory
from e2e.queues import Queue, Queues
from servers.node import NodeClient
from support import ROOT

NODE: Final = "5.81.5"
PARTS: Final = ("steady", "kills", "default-burst", "burst", "crowd")
KILLS: Final = 40
ROUNDS: Final = 3
RAISED: Final = {"limits.apiRate": 10_000, "limits.apiBurst": 10_000, "limits.podless": 100_000}
SLOW_START_S: Final = 31
"""Until the operator's limit is whole after its start (pacing.SLOW_START_S)."""


class Bench:
    """One cluster, its queues, and two watches."""

    def __init__(self, cluster: Cluster, queues: Queues) -> None:
        self.cluster = cluster
        self.queues = queues
        self.kube_jobs, self.pods = KubeWatch(cluster, "jobs"), KubeWatch(cluster, "pods")

    def configure(self, values: dict[str, Any]) -> None:
        """Install the chart as it is shipped, but for *values*; return when a new operator serves at its full rate."""
        chart, here = str(ROOT / "charts" / "bullpen"), str(ROOT / "tests" / "e2e" / "values.yaml")
        settings = {"intervals.auditSeconds": 60, "intervals.statusSeconds": 5} | values
        options = [text for name, value in settings.items() for text in ("--set", f"{name}={value}")]
        self.cluster.helm("upgrade", "bp", chart, "-f", here, *options)
        self.cluster.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=operator", "--grace-period=1")
        self.cluster.kubectl("rollout", "status", "deploy/bp-bullpen", "--timeout=90s")
        until("one operator is left", 60, self._alone)
        time.sleep(SLOW_START_S)

    def _alone(self) -> bool:
        return len(self.cluster.objects("pods", "-l", "app.kubernetes.io/component=operator")) == 1

    def clear(self) -> None:
        """Remove what a part left, which would busy the operator during the next."""
        self.cluster.kubectl("delete", "jobqueues", "--all")
        self.cluster.kubectl("delete", "pods", "-l", "app=foreign", "--wait=false", timeout_s=900)
        self.cluster.kubectl("delete", "jobs", "--all", "--cascade=foreground", timeout_s=900)

    def close(self) -> None:
        """Stop the watches."""
        self.kube_jobs.close()
        self.pods.close()


@contextmanager
def bench() -> Iterator[Bench]:
    """Make the cluster and what talks to it; remove what was made."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = made(Path(folder) / "config", Clock())
        connection = redis.Redis.from_url(cluster.redis_url, decode_responses=True)
        cluster.kubectl("delete", "jobqueues,jobs", "--all", "--cascade=foreground", timeout_s=600)
        connection.flushall()  # of our own pod's Redis, which has the last run's jobs
        client, history = NodeClient(NODE), PodHistory(cluster)
        one = Bench(cluster, Queues(cluster, connection, client, history))
        try:
            yield one
        finally:
            one.close()
            client.forget(cluster.redis_url)
            client.close()
            history.close()
            connection.close()
            if os.environ.get("E2E_KEEP") != "1":
                removed()


def steady(one: Bench, jobs: int) -> list[Row]:
    """One job a second: from add to KubeJob, from the processor's return to Node's `completed`, and requests."""
    one.configure({})
    stamp_package(one.cluster)
    queue = one.queues.serve("steady", [stamped()], concurrency=jobs)  # so that no job waits for a place
    queue.node.listen()
    before = kube_requests(one.queues.metrics())
    added = one_a_second(queue, jobs)
    queue.until_counts(300, completed=jobs)
    until("every KubeJob is recorded", 60, lambda: _recorded(one, queue) == jobs)
    after = kube_requests(one.queues.metrics())
    created = {heard.labels["bullpen.dev/job-id"]: heard.at for heard in one.kube_jobs.added(queue.name).values()}
    waits = [(created[job_id] - at) * 1000 for job_id, at in added.items()]
    seen = queue.node.heard()
    tells = [seen[job_id]["at"] - seen[job_id]["returnvalue"]["at"] for job_id in added]
    _, posts = bare(one.cluster, one.kube_jobs, queue.name, pause_s=1.0)
    spent = {name: (count - before.get(name, 0.0)) / jobs for name, count in after.items()}
    return [
        timed("add -> KubeJob created, 1 job/s", waits, 50, 300),
        timed("... beside a bare create of the same object", posts, None, None),
        timed("processor returned -> `completed` in Node", tells, None, None),
        _requests(spent),
    ]


def _recorded(one: Bench, queue: Queue) -> int:
    marks = [
        job["metadata"]["annotations"] for job in one.cluster.objects("jobs", "-l", f"bullpen.dev/queue={queue.name}")
    ]
    return sum("bullpen.dev/recorded" in mark for mark in marks)


def _requests(spent: dict[str, float]) -> Row:
    total = sum(spent.values())
    most = sorted(spent.items(), key=lambda item: -item[1])[:4]
    words = ", ".join(f"{name} {count:.2f}" for name, count in most)
    return Row("our API requests per job, all of them", "<= 4", f"{total:.2f} ({words})", total <= 4)


def kills(one: Bench) -> list[Row]:
    """Containers killed one after the other: from the watch's event of the end to the job's `failed` in Redis."""
    queue = one.queues.serve("killed", [sleeping()], concurrency=6)
    ids = [queue.add("demo-sleep", {"seconds": 3600}, attempts=1) for _ in range(KILLS)]
    waits = []
    for job_id in ids:
        kill(queue, job_id)
        until(f"job {job_id} is settled", 60, lambda job_id=job_id: "failed" in queue.story(job_id))  # type: ignore[misc]
        heard = until("its end was heard", 60, lambda job_id=job_id: ended_at(one.pods, queue, job_id))  # type: ignore[misc]
        waits.append((event_at(queue, job_id, "failed") - heard) * 1000)
    return [timed("watch event of a killed container -> settled", waits, None, 500)]


def burst(one: Bench) -> list[Row]:
    """200 jobs with the limits raised, in turns with a bare loop that creates the same objects."""
    one.configure(RAISED)
    ratios, rates = [], []
    for number in range(ROUNDS):
        queue = released(one.queues, f"burst{number}", one.kube_jobs)
        ours = _rate(one.kube_jobs, queue.name)
        _all_have_pods(one, queue.name)
        theirs, _ = bare(one.cluster, one.kube_jobs, queue.name)
        _all_have_pods(one, theirs)
        rates.append((ours, _rate(one.kube_jobs, theirs)))
        ratios.append(ours / rates[-1][1])
    words = ", ".join(f"{ours:.0f}/s beside {loop:.0f}/s" for ours, loop in rates)
    ratio = statistics.median(ratios)
    return [Row(f"burst of {BURST}, limits raised / bare loop", ">= 0.85", f"{ratio:.2f} ({words})", ratio >= 0.85)]


def default_burst(one: Bench) -> list[Row]:
    """200 jobs with the chart's own limits: how many KubeJobs are without a pod at once."""
    one.configure({})
    queue = released(one.queues, "defaults", one.kube_jobs)
    _all_have_pods(one, queue.name)
    most = most_without_a_pod(one.kube_jobs.added(queue.name), one.pods.added(queue.name))
    rate = _rate(one.kube_jobs, queue.name)
    return [Row(f"burst of {BURST}, defaults: KubeJobs without a pod", "<= 50", f"{most} ({rate:.1f}/s)", most <= 50)]


def crowd(one: Bench) -> list[Row]:
    """The operator's memory among many pods."""
    one.configure({"limits.podless": 500})
    most, peak = crowded(one.cluster, one.queues)
    measure = f"operator RSS, {ATTEMPTS:,} attempts beside {FOREIGN:,} foreign pods"
    measured = f"{most:.0f} MiB over two audits, {peak:.0f} MiB ever"
    return [Row(measure, f"<= {LIMIT_MIB} MiB", measured, peak <= LIMIT_MIB)]


def _all_have_pods(one: Bench, queue: str) -> None:
    until(f"{BURST} pods of {queue}", 300, lambda: len(one.pods.added(queue)) == BURST)


def _rate(watch: KubeWatch, queue: str) -> float:
    times = sorted(heard.at for heard in watch.added(queue).values())
    return (len(times) - 1) / (times[-1] - times[0])


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100, help="jobs at 1 job/s")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    options = parser.parse_args()
    missed = False
    print(HEADER, flush=True)
    with bench() as one:
        parts: dict[str, Callable[[], list[Row]]] = {
            "steady": lambda: steady(one, options.jobs),
            "kills": lambda: kills(one),
            "burst": lambda: burst(one),
            "default-burst": lambda: default_burst(one),
            "crowd": lambda: crowd(one),
        }
        for number, name in enumerate(options.only.split(",")):
            if number:
                one.clear()
            for row in parts[name]():
                missed = missed or not row.met
                print(told(row, load()), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
