"""Nodes that fall silent, come back, are removed, run short, and runners that freeze: minutes each."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster import CONTROL_PLANE, WORKER, Cluster, until, until_equal
from e2e.job_types import GIVEN_BACK_ONCE, sleeper
from e2e.processes import paused, signal_container
from e2e.queues import Queue, Queues

pytestmark = [pytest.mark.usefixtures("nothing_is_forbidden"), pytest.mark.slow]

Json = dict[str, Any]
GRAPH: Json = {"graph": {"secretRef": {"name": "graph"}}}


def ready(cluster: Cluster, node: str) -> str:
    [body] = cluster.objects("node", node)
    [condition] = [one for one in body["status"]["conditions"] if one["type"] == "Ready"]
    status: str = condition["status"]
    return status


def until_ready(cluster: Cluster, seconds: float = 120) -> None:
    until("the worker is ready", seconds, lambda: ready(cluster, WORKER) == "True")


@pytest.fixture(autouse=True)
def worker_ready(cluster: Cluster) -> Iterator[None]:
    yield
    until_ready(cluster)
    cluster.kubectl("uncordon", WORKER)


def outcomes(cluster: Cluster, queue: Queue) -> list[str]:
    """Read from the graph what became of the attempts of a queue, by name."""
    query = (
        "PREFIX bullpen: <https://bullpen.dev/ns#> SELECT ?outcome WHERE { GRAPH ?g { "
        f"?attempt bullpen:ofJob ?job ; bullpen:outcome ?outcome . ?job bullpen:queue {json.dumps(queue.name)} }} }}"
    )
    url = f"{cluster.graph_url}?{urllib.parse.urlencode({'query': query})}"
    request = urllib.request.Request(url, headers={"Accept": "application/sparql-results+json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return sorted(row["outcome"]["value"] for row in json.load(response)["results"]["bindings"])


def on_the_worker(queues: Queues, name: str, seconds: float, **spec: Any) -> tuple[Queue, str]:
    queue = queues.serve(name, sleeper(**GRAPH), **spec)
    job_id = queue.add("demo-sleep", {"seconds": seconds}, attempts=1)
    assert queue.until_running(job_id, 200).node == WORKER
    return queue, job_id


@pytest.mark.row(12)
def test_a_node_that_falls_silent_is_given_up_after_its_locks_and_its_runner_writes_nothing_when_it_returns(
    cluster: Cluster, queues: Queues
) -> None:
    queue, job_id = on_the_worker(queues, "node-paused", 20, lockDuration="10s")
    lock = f"bull:{queue.name}:{job_id}:lock"
    with paused(WORKER):
        until("its lock ran out", 60, lambda: not queue.redis.exists(lock))
        until("the node is given up", 90, lambda: ready(cluster, WORKER) != "True")
        until("it was given back", 90, lambda: queue.story(job_id)[3:] != [])
        second = queue.until_running(job_id, 200, pods=2)
        assert second.node == CONTROL_PLANE
        queue.until_counts(200, completed=1)
        until_equal("both attempts are recorded", 60, lambda: outcomes(cluster, queue), ["completed", "given-back"])
        before = queue.job(job_id), queue.events(), outcomes(cluster, queue)
    until_ready(cluster)
    first, _ = queue.until_ended(job_id, 180)
    assert first.node == WORKER
    assert first.exit_code in (76, 137, 143), "superseded, or ended with its KubeJob before it could say so"
    assert (queue.job(job_id), queue.events(), outcomes(cluster, queue)) == before
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.spent(job_id) == ("1", "2")


@pytest.fixture
def short_of_memory(cluster: Cluster) -> Iterator[str]:
    """A script that makes the worker's kubelet believe that it is short of memory; mended afterwards."""
    config = "/var/lib/kubelet/config.yaml"
    cluster.on_node(WORKER, f"cp {config} /tmp/kubelet.yaml")
    # soft: a hard threshold is taken off what the node has for pods, and must be less than it has
    more = 'evictionSoft: {memory.available: "1Ti"}\\nevictionSoftGracePeriod: {memory.available: "1s"}\\n'
    yield f"printf '{more}' >>{config}; systemctl restart kubelet"
    cluster.on_node(WORKER, f"cp /tmp/kubelet.yaml {config}; systemctl restart kubelet")

    def pressed() -> bool:
        return "memory-pressure" in json.dumps(cluster.objects("node", WORKER))

    until("the node has memory again", 400, lambda: not pressed())


@pytest.mark.row(7)
def test_a_pod_that_is_evicted_for_its_node_s_sake_is_given_back(
    cluster: Cluster, queues: Queues, short_of_memory: str
) -> None:
    # a kubelet that was restarted takes its time to see how its memory is
    queue, job_id = on_the_worker(queues, "node-pressed", 90)
    cluster.on_node(WORKER, short_of_memory)
    queue.until_counts(300, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.spent(job_id) == ("1", "2")
    lives = queue.until_ended(job_id)
    assert [life.node for life in lives] == [WORKER, CONTROL_PLANE]
    assert [life.disruption for life in lives] == ["TerminationByKubelet", ""]


@pytest.mark.row(4, 30)
def test_a_runner_that_freezes_is_ended_by_the_deadline_of_its_kube_job_and_pays_for_it(
    cluster: Cluster, queues: Queues
) -> None:
    queue = queues.serve("frozen", sleeper(timeout="20s", startTimeout="5s"), lockDuration="8s")
    job_id = queue.add("demo-sleep", {"seconds": 60}, attempts=1)
    life = queue.until_running(job_id, 200)
    signal_container(cluster, life.name, "runner", "STOP")
    queue.until_counts(300, failed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "failed", "retries-exhausted"]
    assert queue.job(job_id)["failedReason"] == "it ran longer than its timeout (DeadlineExceeded)"
    [ended] = queue.until_ended(job_id)
    assert ended.name == life.name


@pytest.mark.row(13)
def test_a_node_that_is_removed_is_given_up_after_its_locks(cluster: Cluster, queues: Queues) -> None:
    queue, job_id = on_the_worker(queues, "node-removed", 20, lockDuration="10s")
    with paused(WORKER):
        cluster.kubectl("delete", "node", WORKER)
        queue.until_counts(240, completed=1)
        assert queue.story(job_id) == GIVEN_BACK_ONCE
        assert queue.spent(job_id) == ("1", "2")
        until_equal("both attempts are recorded", 60, lambda: outcomes(cluster, queue), ["completed", "given-back"])
        before = queue.job(job_id), queue.events()
    cluster.on_node(WORKER, "systemctl restart kubelet")
    until("the node has joined again", 120, lambda: WORKER in cluster.kubectl("get", "nodes"))
    until_ready(cluster)
    assert (queue.job(job_id), queue.events()) == before
