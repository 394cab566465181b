"""Redis goes away, for one pod or for all: work goes on where it can, and nothing is lost or done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.cluster import INFRA, Cluster, until, until_equal
from e2e.job_types import COMPLETED, script, sleeper
from e2e.processes import cut_off, signal_container
from e2e.queues import Queue, Queues

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

Json = dict[str, Any]
OTHER = "redis-2"


def lock(queue: Queue, job_id: str) -> bool:
    return bool(queue.redis.exists(f"bull:{queue.name}:{job_id}:lock"))


@pytest.mark.beside
@pytest.mark.row(41)
@pytest.mark.parametrize("kind", ["managed", "plain"])
@pytest.mark.parametrize("seconds", [pytest.param(30, id="computing"), pytest.param(6, id="done-meanwhile")])
def test_a_pod_that_is_cut_off_for_longer_than_its_lock_completes_in_its_one_attempt(
    cluster: Cluster, queues: Queues, kind: str, seconds: int
) -> None:
    name = f"cut-off-{kind}-{seconds}"
    result = json.dumps({"seconds": seconds})
    text = f"sleep {seconds}; echo '{result}' >$BULLPEN_RESULT"
    # the sidecar gives up on Redis after 10 s, and must then have time to say what the job returned
    plain = script(text, pod={"terminationGracePeriodSeconds": 30})
    queue = queues.serve(name, sleeper() if kind == "managed" else plain, lockDuration="4s")
    job_id = queue.add("demo-sleep" if kind == "managed" else "sh", {"seconds": seconds}, attempts=1)
    life = queue.until_running(job_id, 200)
    [pod] = queue.pods(job_id)
    with cut_off(cluster, life.node, pod["status"]["podIP"], 6379):
        for _ in range(2):
            until("its lock ran out", 60, lambda: not lock(queue, job_id))
            until("the operator holds it in the pod's stead", 60, lambda: lock(queue, job_id))
    queue.until_counts(200, completed=1)
    assert queue.story(job_id) == COMPLETED
    assert queue.spent(job_id) == ("1", "1")
    assert json.loads(queue.job(job_id)["returnvalue"]) == {"seconds": seconds}
    assert [one.name for one in queue.until_ended(job_id)] == [life.name]


def each_completed_once(queue: Queue, ids: list[str]) -> None:
    for job_id in ids:
        assert (queue.story(job_id), queue.spent(job_id)) == (COMPLETED, ("1", "1"))
    until("every pod has ended", 60, lambda: all(life.ended for life in queue.history.of(queue.name)))
    assert sorted(life.job_id for life in queue.history.of(queue.name)) == sorted(ids), "one pod for each job"


@pytest.mark.slow
@pytest.mark.row(41)
def test_a_redis_that_is_killed_twice_and_started_again_loses_and_doubles_nothing(
    cluster: Cluster, queues: Queues
) -> None:
    queue = queues.serve("redis-killed", sleeper(), concurrency=6)
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 1}}] * 24)
    for reached in (3, 12):
        until(f"{reached} jobs are completed", 120, lambda at=reached: queue.completed() >= at)  # type: ignore[misc]
        signal_container(cluster, "redis", "redis", "KILL", namespace=INFRA)
        until("Redis is there again", 90, lambda: answers(queue))
    queue.until_counts(180, completed=24)
    each_completed_once(queue, ids)


def answers(queue: Queue) -> bool:
    try:
        return bool(queue.redis.ping())
    except (ConnectionError, OSError):
        return False


def redis_cli(cluster: Cluster, pod: str, *command: str) -> str:
    return cluster.kubectl("-n", INFRA, "exec", pod, "--", "redis-cli", *command).strip()


def role(cluster: Cluster, pod: str) -> str:
    return redis_cli(cluster, pod, "info", "replication").splitlines()[1].strip()


def address(cluster: Cluster, pod: str) -> str:
    [body] = cluster.objects("pod", pod, "-n", INFRA)
    found: str = body["status"]["podIP"]
    return found


@contextmanager
def replica(cluster: Cluster) -> Iterator[None]:
    """Have a second Redis that follows the first, and lead the Service back to that in the end."""
    arguments = ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/tmp", "--save", ""]
    arguments += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--aclfile", "/users/users.acl"]
    container = {
        "name": "redis",
        "image": "bullpen-redis:e2e",
        "command": [*arguments, "--replicaof", address(cluster, "redis"), "6379"],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "volumeMounts": [{"name": "users", "mountPath": "/users"}],
    }
    spec = {
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "containers": [container],
        "volumes": [{"name": "users", "configMap": {"name": "redis-users"}}],
    }
    metadata = {"name": OTHER, "namespace": INFRA, "labels": {"app": OTHER}}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.kubectl("-n", INFRA, "wait", "--for=condition=Ready", f"pod/{OTHER}", "--timeout=90s")
    until("it follows", 60, lambda: "master_link_status:up" in redis_cli(cluster, OTHER, "info", "replication"))
    try:
        yield
        failed_over(cluster, OTHER, "redis")
    finally:
        cluster.kubectl("-n", INFRA, "delete", "pod", OTHER, "--now")


def failed_over(cluster: Cluster, old: str, new: str) -> None:
    """Hand over without losing a write: the old one follows the new one, and the Service leads there."""
    assert redis_cli(cluster, old, "failover", "to", address(cluster, new), "6379") == "OK"
    until_equal(f"role of {new}", 60, lambda: role(cluster, new), "role:master")
    selector = json.dumps({"spec": {"selector": {"app": new}}})
    cluster.kubectl("-n", INFRA, "patch", "service", "redis", "--type=merge", "-p", selector)


@pytest.mark.slow
@pytest.mark.row(41)
def test_a_redis_that_fails_over_to_its_replica_and_back_loses_and_doubles_nothing(
    cluster: Cluster, queues: Queues
) -> None:
    queue = queues.serve("redis-failed-over", sleeper(), concurrency=6)
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 1}}] * 36)
    with replica(cluster):
        until("3 jobs are completed", 120, lambda: queue.completed() >= 3)
        failed_over(cluster, "redis", OTHER)
        reached = queue.completed()
        until("jobs are completed on the new one", 120, lambda: queue.completed() >= reached + 8)
    queue.until_counts(180, completed=36)
    each_completed_once(queue, ids)
