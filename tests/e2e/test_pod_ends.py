"""What ends a pod that runs: who did it decides whether the job pays for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import JOBS, WORKER, Cluster, run, until
from e2e.job_types import (
    COMPLETED,
    DEBIAN,
    GIVEN_BACK_ONCE,
    RETRIED_ONCE,
    ROLE,
    SMALL,
    assert_never_two_at_once,
    script,
    sleeper,
)
from e2e.processes import signal_container
from e2e.queues import Queue, Queues

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

Json = dict[str, Any]
KINDS = [
    pytest.param("managed", "Job", id="managed-Job"),
    pytest.param("managed", "Pod", id="managed-Pod"),
    pytest.param("plain", "Job", id="plain-Job"),
    pytest.param("plain", "Pod", id="plain-Pod"),
]
RESTRICTED: Json = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsUser": 65534}


def lasting(kind: str, seconds: float, **more: Any) -> tuple[list[Json], Json]:
    """A job type whose attempts take so long, and its payload; told to end, they do."""
    if kind == "managed":
        return sleeper(**more), {"seconds": seconds}
    # a shell that is PID 1 heeds only what it traps, and not before its child has ended unless it waits
    text = f"trap 'exit 143' TERM; sleep {seconds} & wait $!"
    return script(text, **more), {}


def started(queues: Queues, name: str, kind: str, seconds: float, **more: Any) -> tuple[Queue, str]:
    """Serve a queue with one job that takes so long."""
    job_types, payload = lasting(kind, seconds, **more)
    queue = queues.serve(name, job_types)
    return queue, queue.add(job_types[0]["name"], payload, attempts=1)


def given_back_once(queue: Queue, job_id: str, disruption: str, *, codes: tuple[int, ...] = (143,)) -> None:
    """The job ran again, after its first pod had ended, and paid nothing for it."""
    queue.until_counts(240, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.spent(job_id) == ("1", "2")
    first, second = queue.until_ended(job_id)
    assert (first.exit_code in codes, first.disruption) == (True, disruption), first
    assert (second.exit_code, second.disruption) == (0, "")
    assert_never_two_at_once([first, second])


@pytest.mark.beside
@pytest.mark.row(9)
@pytest.mark.parametrize(("kind", "workload"), KINDS)
def test_a_pod_that_is_evicted_through_the_api_is_given_back(
    cluster: Cluster, queues: Queues, kind: str, workload: str
) -> None:
    queue, job_id = started(queues, f"evicted-{kind}-{workload.lower()}", kind, 20, workload=workload)
    pod = queue.until_running(job_id, 200).name
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": JOBS}}
    path = f"/api/v1/namespaces/{JOBS}/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    given_back_once(queue, job_id, "EvictionByEvictionAPI")


@pytest.mark.beside
@pytest.mark.row(16)
@pytest.mark.parametrize(("kind", "workload"), KINDS)
def test_a_pod_that_somebody_deletes_is_given_back(cluster: Cluster, queues: Queues, kind: str, workload: str) -> None:
    queue, job_id = started(queues, f"removed-{kind}-{workload.lower()}", kind, 20, workload=workload)
    cluster.kubectl("delete", "pod", queue.until_running(job_id, 200).name, "--wait=false")
    given_back_once(queue, job_id, "")


@pytest.mark.beside
@pytest.mark.row(17)
def test_a_pod_of_a_kube_job_that_is_force_deleted_is_given_back_once_the_kubelet_has_ended_it(
    cluster: Cluster, queues: Queues
) -> None:
    queue, job_id = started(queues, "forced-job", "managed", 20)
    pod = queue.until_running(job_id, 200).name
    cluster.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")
    given_back_once(queue, job_id, "", codes=(137, 143))


@pytest.mark.beside
@pytest.mark.row(17)
def test_a_bare_pod_that_is_force_deleted_runs_again_only_when_its_lock_has_been_gone_for_long_enough(
    cluster: Cluster, queues: Queues
) -> None:
    job_types, payload = lasting("managed", 20, workload="Pod")
    queue = queues.serve("forced-pod", job_types, lockDuration="8s")
    job_id = queue.add(job_types[0]["name"], payload, attempts=1)
    pod = queue.until_running(job_id, 200).name
    cluster.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")
    queue.until_counts(240, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.spent(job_id) == ("1", "2")
    assert len(queue.history.of(queue.name, job_id)) == 2


@pytest.mark.beside
@pytest.mark.row(5)
@pytest.mark.parametrize("kind", ["managed", "plain"])
def test_a_container_that_is_killed_by_nobody_that_kubernetes_knows_of_costs_an_attempt(
    cluster: Cluster, queues: Queues, kind: str
) -> None:
    job_types, payload = lasting(kind, 25)
    queue = queues.serve(f"sigkill-{kind}", job_types)
    job_id = queue.add(job_types[0]["name"], payload, attempts=2)
    life = queue.until_running(job_id, 200)
    signal_container(cluster, life.name, "runner" if kind == "managed" else "main", "KILL")
    queue.until_counts(180, completed=1)
    assert queue.story(job_id) == RETRIED_ONCE
    assert queue.spent(job_id) == ("2", "2")
    assert "it was killed (SIGKILL), not for its memory limit" in queue.job(job_id)["stacktrace"]
    lives = queue.until_ended(job_id)
    assert [(life.exit_code, life.reason) for life in lives] == [(137, "Error"), (0, "Completed")]


@pytest.mark.beside
@pytest.mark.row(1)
def test_a_managed_job_that_raises_is_retried_and_fails_with_its_own_words(queues: Queues) -> None:
    queue = queues.serve("raises", [sleeper()[0] | {"name": "demo-fail"}])
    job_id = queue.add("demo-fail", {"message": "no such table"}, attempts=2)
    queue.until_counts(200, failed=1)
    story = ["added", "waiting", "active", "waiting", "active", "failed", "retries-exhausted"]
    assert (queue.story(job_id), queue.spent(job_id)) == (story, ("2", "2"))
    assert queue.job(job_id)["failedReason"] == "RuntimeError: no such table"
    assert len(queue.until_ended(job_id)) == 2


@pytest.mark.beside
@pytest.mark.row(29)
@pytest.mark.parametrize("kind", ["managed", "plain"])
def test_a_container_beside_the_job_s_that_fails_takes_nothing_from_a_job_that_ended_well(
    queues: Queues, kind: str
) -> None:
    job_types, payload = lasting(kind, 1)
    beside = {"name": "proxy", "image": DEBIAN, "command": ["sh", "-c", "exit 9"], "securityContext": RESTRICTED}
    spec = job_types[0]["podTemplate"]["spec"]
    spec["containers"] = [*spec.get("containers", []), beside]
    queue = queues.serve(f"side-fails-{kind}", job_types)
    job_id = queue.add(job_types[0]["name"], payload, attempts=1)
    queue.until_counts(180, completed=1)
    assert (queue.story(job_id), queue.spent(job_id)) == (COMPLETED, ("1", "1"))

    def phase() -> str:
        return str(queue.pods(job_id)[0]["status"]["phase"])

    until("Kubernetes calls the pod failed", 60, lambda: phase() == "Failed")
    assert queue.counts() == {"completed": 1}, "nothing was made of that afterwards"


@pytest.mark.beside
@pytest.mark.row(19)
def test_a_kube_job_that_is_suspended_while_it_runs_is_given_back_and_a_second_pod_of_it_writes_nothing(
    cluster: Cluster, queues: Queues
) -> None:
    queue, job_id = started(queues, "preempted-by-kueue", "managed", 20)
    queue.until_running(job_id, 200)
    [kube_job] = cluster.objects("job", "-l", f"bullpen.dev/queue={queue.name}")
    name = kube_job["metadata"]["name"]
    cluster.kubectl("patch", "job", name, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    until("it was given back", 90, lambda: queue.story(job_id)[3:4] == ["delayed"])
    cluster.kubectl("patch", "job", name, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    queue.until_counts(240, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.spent(job_id) == ("1", "2")
    # resumed before its controller has counted the pod that ended, it makes another one; else it has failed
    until(
        "it is over, or has a second pod", 90, lambda: failed(cluster, name) or len(queue.history.of(queue.name)) == 3
    )
    of_old = [life for life in queue.until_ended(job_id) if life.name.startswith(name)]
    assert [life.exit_code for life in of_old] in ([143], [143, 76]), "a second pod found its fence taken"


def failed(cluster: Cluster, kube_job: str) -> bool:
    """The job controller has given a KubeJob up."""
    [body] = cluster.objects("job", kube_job)
    return any(condition["type"] == "Failed" for condition in body["status"].get("conditions", []))


@pytest.mark.beside
def test_a_changed_jobqueue_touches_nothing_that_runs_and_holds_for_the_next_job(queues: Queues) -> None:
    queue, running = started(queues, "reconfigured", "managed", 20)
    before = queue.until_running(running, 120)
    larger = {"limits": {"memory": "160Mi"}, "requests": SMALL["requests"]}
    queue.change(jobTypes=sleeper(resources=larger), concurrency=3)
    until("the change is served", 60, lambda: served(queues, queue.name) == [1, 2])
    after = queue.add("demo-sleep", {"seconds": 0})
    queue.until_counts(180, completed=2)
    assert [queue.story(job_id) for job_id in (running, after)] == [COMPLETED] * 2
    lives = queue.until_ended(running)
    assert [life.name for life in lives] == [before.name]
    pods = {job_id: queue.pods(job_id)[0]["spec"]["containers"][0]["resources"] for job_id in (running, after)}
    assert pods == {running: SMALL, after: larger}


def served(queues: Queues, name: str) -> list[int]:
    """Generations of a JobQueue that the operator has begun to serve."""
    log = [line for line in queues.log_of_operator() if line["msg"] == "serving"]
    return [line["generation"] for line in log if line["jobqueue"] == f"{JOBS}/{name}"]


@pytest.mark.beside
@pytest.mark.parametrize(("kind", "workload"), KINDS)
def test_a_cancelled_job_fails_at_once_when_its_pod_has_ended(queues: Queues, kind: str, workload: str) -> None:
    job_types, payload = lasting(kind, 120, workload=workload)
    queue = queues.serve(f"cancelled-{kind}-{workload.lower()}", job_types)
    job_id = queue.add(job_types[0]["name"], payload, attempts=5)
    queue.until_running(job_id, 200)
    assert cancel(queue, job_id) == 0
    assert queue.story(job_id) == ["added", "waiting", "active", "failed"]
    assert queue.job(job_id)["failedReason"] == "cancelled"
    [life] = queue.until_ended(job_id)
    assert life.exit_code == 143


@pytest.mark.beside
def test_a_job_is_cancelled_while_it_waits_for_a_place_and_while_its_pod_waits_for_a_node(queues: Queues) -> None:
    nowhere = {"nodeSelector": {"e2e-nowhere": "yes"}}
    queue = queues.serve("cancelled-early", script("true", pod=nowhere), concurrency=1)
    pending, waiting = queue.add("sh", {}, attempts=5), queue.add("sh", {}, attempts=5)
    queue.until_pod(pending, 90)
    assert cancel(queue, waiting, "--no-wait") == 0
    assert cancel(queue, pending) == 0
    queue.until_counts(120, failed=2)
    assert queue.story(pending) == ["added", "waiting", "active", "failed"]
    assert queue.story(waiting) == ["added", "waiting", "active", "failed"]
    assert [queue.job(job_id)["failedReason"] for job_id in (pending, waiting)] == ["cancelled"] * 2
    assert [life.job_id for life in queue.history.of(queue.name)] == [pending], "the other one never had a pod"


def cancel(queue: Queue, job_id: str, *options: str) -> int:
    """Run `bullpen cancel` as people do; its exit code."""
    program = str(Path(sys.executable).parent / "bullpen")
    command = [program, "cancel", queue.name, job_id, "--redis-url", queue.cluster.redis_url, *options]
    run(*command)
    return 0


@pytest.fixture
def critical_pod_gone(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.on_node(WORKER, "rm -f /etc/kubernetes/manifests/e2e-critical.yaml")
    until(
        "the static pod is gone", 60, lambda: "e2e-critical" not in cluster.kubectl("-n", "kube-system", "get", "pods")
    )


def most_of_the_worker(cluster: Cluster) -> Json:
    """Resources that fit on the worker once, with nothing but small pods beside."""
    [node] = cluster.objects("node", WORKER)
    millicores = int(float(node["status"]["allocatable"]["cpu"]) * 1000) * 6 // 10
    return {"limits": {"memory": "128Mi"}, "requests": {"cpu": f"{millicores}m", "memory": "32Mi"}}


@pytest.mark.row(10)
def test_a_pod_that_the_scheduler_preempts_is_given_back_and_waits_for_its_place(
    cluster: Cluster, queues: Queues
) -> None:
    needed = most_of_the_worker(cluster)
    kind = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "value": 1000,
        "metadata": {"name": "e2e-high"},
    }
    container = {
        "name": "c",
        "image": DEBIAN,
        "command": ["sleep", "600"],
        "resources": {"requests": needed["requests"]},
    }
    spec = {
        "priorityClassName": "e2e-high", "nodeSelector": {ROLE: "worker"}, "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }  # fmt: skip
    preemptor = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "e2e-high", "namespace": "infra"},
        "spec": spec,
    }
    cluster.apply(kind)
    job_types = sleeper(resources=needed)
    job_types[0]["podTemplate"]["spec"]["nodeSelector"] = {ROLE: "worker"}
    queue = queues.serve("preempted", job_types)
    job_id = queue.add("demo-sleep", {"seconds": 8}, attempts=1)
    queue.until_running(job_id, 200)
    cluster.apply(preemptor)
    queue.until_blocked(150, "pods can't start (unschedulable-resources)")
    cluster.kubectl("-n", "infra", "delete", "pod", "e2e-high", "--wait=false")
    given_back_once(queue, job_id, "PreemptionByScheduler")


@pytest.mark.slow
@pytest.mark.row(11)
def test_a_pod_that_the_kubelet_ends_for_a_critical_one_is_given_back(
    cluster: Cluster, queues: Queues, critical_pod_gone: None
) -> None:
    needed = most_of_the_worker(cluster)
    queue = queues.serve("critical", sleeper(resources=needed))
    job_id = queue.add("demo-sleep", {"seconds": 8}, attempts=1)
    assert queue.until_running(job_id, 200).node == WORKER
    container = {
        "name": "c",
        "image": DEBIAN,
        "command": ["sleep", "600"],
        "resources": {"requests": needed["requests"]},
    }
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "e2e-critical", "namespace": "kube-system"},
        "spec": {"priorityClassName": "system-node-critical", "priority": 2000001000, "containers": [container]},
    }  # fmt: skip
    cluster.on_node(WORKER, f"cat >/etc/kubernetes/manifests/e2e-critical.yaml <<'YAML'\n{json.dumps(body)}\nYAML")
    queue.until_blocked(120, "pods can't start (unschedulable-resources)")
    cluster.on_node(WORKER, "rm /etc/kubernetes/manifests/e2e-critical.yaml")
    queue.until_counts(200, completed=1)
    assert (queue.story(job_id), queue.spent(job_id)) == (GIVEN_BACK_ONCE, ("1", "2"))
    first, second = queue.until_ended(job_id)
    assert (first.disruption, second.disruption) == ("TerminationByKubelet", "")
    assert_never_two_at_once([first, second])
