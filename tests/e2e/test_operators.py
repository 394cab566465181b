"""Operators come, go, freeze and meet others: what runs, runs on, and nothing is lost or done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from e2e.cluster import CONTROL_PLANE, HERE, INFRA, JOBS, PASSWORD, Cluster, until, until_equal
from e2e.job_types import COMPLETED, GIVEN_BACK_ONCE, RETRIED_ONCE, seconds_between, sleeper
from e2e.processes import OPERATOR, kill_operator, signal_container
from e2e.queues import Queue, Queues
from e2e.test_limits import hungry, limits_of, sizes
from support import ROOT

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

Json = dict[str, Any]
CHART: Final = str(ROOT / "charts" / "bullpen")
VALUES: Final = str(HERE / "values.yaml")
SECOND: Final = "second"
LEASE_S: Final = 15
"""After so long a leader that does not renew may be replaced; the others look every 2 s."""


def each_completed_once(queue: Queue, ids: list[str]) -> None:
    for job_id in ids:
        assert (queue.story(job_id), queue.spent(job_id)) == (COMPLETED, ("1", "1"))
    until("every pod has ended", 60, lambda: all(life.ended for life in queue.history.of(queue.name)))
    assert sorted(life.job_id for life in queue.history.of(queue.name)) == sorted(ids), "one pod for each job"


def scaled(cluster: Cluster, replicas: int) -> None:
    cluster.kubectl("scale", "deploy/bp-bullpen", f"--replicas={replicas}")
    if replicas == 0:
        cluster.kubectl("wait", "--for=delete", "pod", "-l", OPERATOR, "--timeout=60s")


@pytest.mark.row(39)
def test_what_a_job_type_was_learned_to_need_outlives_its_operator(cluster: Cluster, queues: Queues) -> None:
    job_types, payload = hungry("plain", "Job")
    queue = queues.serve("remembered", job_types)
    queue.add("sh", payload, attempts=2)
    queue.until_counts(200, completed=1)
    until_equal("status.sizes", 20, lambda: sizes(queue), [{"jobType": "sh", "memory": "128Mi"}])
    kill_operator(cluster)
    job_id = queue.add("sh", payload, attempts=1)
    queue.until_counts(200, completed=2)
    assert (queue.story(job_id), limits_of(queue, job_id)) == (COMPLETED, ["128Mi"])
    assert sizes(queue) == [{"jobType": "sh", "memory": "128Mi"}]


@pytest.mark.row(39, 40)
def test_pods_that_were_collected_while_no_operator_ran_are_judged_by_their_jobs(
    cluster: Cluster, queues: Queues
) -> None:
    queue = queues.serve("collected", sleeper(), lockDuration="6s")
    finished, died = (queue.add("demo-sleep", {"seconds": seconds}, attempts=1) for seconds in (8, 120))
    pods = {job_id: queue.until_running(job_id, 200) for job_id in (finished, died)}
    scaled(cluster, 0)
    signal_container(cluster, pods[died].name, "runner", "KILL")
    queue.until_counts(120, completed=1, active=1)
    for job_id in (finished, died):
        queue.until_ended(job_id)
        cluster.kubectl("delete", "pod", pods[job_id].name)
    queue.change(jobTypes=sleeper(timeout="5s"))
    scaled(cluster, 1)
    until("it was given back", 120, lambda: queue.story(died)[3:] != [])
    assert queue.story(finished) == COMPLETED
    assert queue.story(died)[:4] == GIVEN_BACK_ONCE[:4]
    assert queue.spent(died)[0] == "0", "nobody can say any more that it was the job's doing"
    assert '"pod-gone"' in queue.job(died)["bullpen"]
    queue.until_counts(200, completed=1, failed=1)
    assert [life.job_id for life in queue.history.of(queue.name)].count(finished) == 1


@pytest.mark.slow
@pytest.mark.row(37)
def test_an_api_server_that_is_killed_costs_no_job_anything(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("api-server", sleeper(), concurrency=4)
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 3}}] * 16)
    until("2 jobs are completed", 120, lambda: queue.completed() >= 2)
    cluster.on_node(CONTROL_PLANE, "pkill -KILL kube-apiserver")
    queue.until_counts(240, completed=16)
    until("the API server answers", 120, lambda: "ok" in cluster.shell("kubectl get --raw /readyz 2>&1 || true"))
    each_completed_once(queue, ids)


@pytest.fixture
def two_operators(cluster: Cluster) -> Iterator[None]:
    def upgraded(*more: str) -> None:
        cluster.helm("upgrade", "bp", CHART, "-f", VALUES, *more)
        cluster.kubectl("rollout", "status", "deploy/bp-bullpen", "--timeout=120s")

    upgraded("--set", "replicas=2")
    until("one of two leads", 60, lambda: len(operators(cluster)) == 2 and leader(cluster) in operators(cluster))
    yield
    upgraded()
    until("the one leads", 60, lambda: [leader(cluster)] == operators(cluster))


def operators(cluster: Cluster) -> list[str]:
    pods = [pod["metadata"] for pod in cluster.objects("pods", "-l", OPERATOR)]
    return [one["name"] for one in pods if "deletionTimestamp" not in one]


def lease(cluster: Cluster) -> Json:
    [found] = cluster.objects("lease", "bp-bullpen")
    spec: Json = found["spec"]
    return spec


def leader(cluster: Cluster) -> str:
    return str(lease(cluster)["holderIdentity"]).rpartition("_")[0]


def taken_over(cluster: Cluster, old: Json) -> float:
    """Wait until another holds the lease; the seconds between the last word of the old holder and its first."""
    last = [old]

    def taken() -> Json | None:
        now = lease(cluster)
        if now["holderIdentity"] == old["holderIdentity"]:
            last[0] = now
        return now if now["holderIdentity"] not in ("", old["holderIdentity"]) else None

    new = until("another operator leads", 90, taken)
    return seconds_between(last[0]["renewTime"], new["acquireTime"])


def busy(queues: Queues, name: str) -> tuple[Queue, list[str]]:
    """Serve a queue with 30 jobs, of which some are done and some run."""
    queue = queues.serve(name, sleeper(), concurrency=4)
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 1}}] * 30)
    until("4 jobs are completed", 120, lambda: queue.completed() >= 4)
    return queue, ids


@pytest.mark.row(39)
def test_a_leader_that_is_deleted_hands_over_at_once(cluster: Cluster, queues: Queues, two_operators: None) -> None:
    queue, ids = busy(queues, "leader-deleted")
    old = lease(cluster)
    cluster.kubectl("delete", "pod", leader(cluster), "--wait=false")
    assert taken_over(cluster, old) < 10, "it released the lease: nobody waited for that to run out"
    queue.until_counts(180, completed=30)
    each_completed_once(queue, ids)


@pytest.mark.slow
@pytest.mark.row(39)
def test_a_leader_that_freezes_is_replaced_when_its_lease_ran_out_and_does_no_harm_when_it_wakes(
    cluster: Cluster, queues: Queues, two_operators: None
) -> None:
    queue, ids = busy(queues, "leader-frozen")
    old, frozen = lease(cluster), leader(cluster)
    signal_container(cluster, frozen, "operator", "STOP")
    assert LEASE_S <= taken_over(cluster, old) <= LEASE_S + 10
    reached = queue.completed()
    until("the other one serves", 60, lambda: queue.completed() > reached)
    signal_container(cluster, frozen, "operator", "CONT")
    queue.until_counts(180, completed=30)
    each_completed_once(queue, ids)
    until("it begins anew, as one that waits", 90, lambda: restarts(cluster, frozen) == 1)
    assert leader(cluster) != frozen


@pytest.mark.slow
@pytest.mark.row(39)
def test_a_leader_that_is_killed_leaves_the_lease_to_whoever_is_first_once_it_ran_out(
    cluster: Cluster, queues: Queues, two_operators: None
) -> None:
    queue, ids = busy(queues, "leader-killed")
    old = lease(cluster)
    signal_container(cluster, leader(cluster), "operator", "KILL")
    assert LEASE_S <= taken_over(cluster, old) <= LEASE_S + 10
    queue.until_counts(180, completed=30)
    each_completed_once(queue, ids)


def restarts(cluster: Cluster, pod: str) -> int:
    [body] = cluster.objects("pod", pod)
    count: int = body["status"]["containerStatuses"][0]["restartCount"]
    return count


def without_operator(cluster: Cluster) -> None:
    cluster.kubectl("-n", SECOND, "scale", f"deploy/{SECOND}-bullpen", "--replicas=0")
    cluster.kubectl("-n", SECOND, "wait", "--for=delete", "pod", "-l", OPERATOR, "--timeout=60s")


@pytest.fixture
def second_cluster(cluster: Cluster) -> Iterator[None]:
    """Another installation on the same Redis: tokens and names are its own, as another cluster's would be."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SECOND, "labels": labels}})
    redis = {"url": f"redis://bullpen:{PASSWORD}@redis.{INFRA}:6379"}
    metadata = {"name": "redis", "namespace": SECOND}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": redis})
    cluster.helm("upgrade", "--install", SECOND, CHART, "-f", VALUES, "--namespace", SECOND)
    cluster.kubectl("-n", SECOND, "rollout", "status", f"deploy/{SECOND}-bullpen", "--timeout=120s")
    yield
    # its Role goes with it: what it would still ask for would be forbidden
    cluster.kubectl("-n", SECOND, "delete", "jobqueues", "--all")
    without_operator(cluster)
    cluster.helm("uninstall", SECOND, "--namespace", SECOND)
    cluster.kubectl("delete", "namespace", SECOND, "--wait=false")


@pytest.mark.slow
def test_two_installations_on_one_queue_divide_its_jobs_and_never_touch_each_other_s(
    cluster: Cluster, queues: Queues, second_cluster: None
) -> None:
    spec = {"concurrency": 3, "lockDuration": "6s"}
    queue = queues.serve("shared", sleeper(), **spec)
    there = json.loads(json.dumps(queue.stored()))
    there["metadata"] = {"name": "shared", "namespace": SECOND}
    cluster.apply({name: there[name] for name in ("apiVersion", "kind", "metadata", "spec")})
    cluster.kubectl("-n", SECOND, "wait", "--for=condition=Ready", "jobqueue/shared", "--timeout=60s")
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 1}}] * 40)
    queue.until_counts(240, completed=40)
    each_completed_once(queue, ids)
    places = {life.namespace for life in queue.history.of("shared")}
    assert places == {JOBS, SECOND}, "both served the queue"

    queue.change(suspend=True)
    queue.until_blocked(60, "spec.suspend is true")
    died = queue.add("demo-sleep", {"seconds": 20}, attempts=2)
    life = queue.until_running(died, 120)
    assert life.namespace == SECOND
    without_operator(cluster)
    signal_container(cluster, life.name, "runner", "KILL", namespace=SECOND)
    until("its lock ran out", 60, lambda: not queue.redis.exists(f"bull:shared:{died}:lock"))
    queue.change(suspend=False)
    own = queue.add("demo-sleep", {"seconds": 10})
    queue.until_counts(200, completed=41, active=1)
    assert queue.story(own) == COMPLETED
    assert queue.story(died) == ["added", "waiting", "active"], "two audits have seen it, and it is not theirs"
    cluster.kubectl("-n", SECOND, "scale", f"deploy/{SECOND}-bullpen", "--replicas=1")
    queue.until_counts(180, completed=42)
    assert (queue.story(died), queue.spent(died)) == (RETRIED_ONCE, ("2", "2"))
