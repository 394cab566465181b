"""Objects of the API server in the operator's terms, one fact of Kubernetes after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bullpen_operator import naming
from bullpen_operator.manifest import attempt_to_text
from bullpen_operator.seen import Attempt, Condition, PodPhase, PodSeen, Terminated, Waiting
from bullpen_operator.seen_from import (
    NodeSeen,
    attempts_seen,
    kube_job_seen,
    node_seen,
    owned_pod,
    pod_seen,
    with_node,
)

ATTEMPT = Attempt("ns/q", "bull", "q", "7", "http-ingest", "bullpen/i/u")
ANNOTATIONS = {naming.ANNOTATION_ATTEMPT: attempt_to_text(ATTEMPT)}
CREATED = "2026-11-23T10:00:00Z"


def kube_job(name: str = "bp-1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": CREATED, "annotations": ANNOTATIONS, **fields.pop("metadata", {})}
    return {"metadata": metadata, **fields}


def pod(owner: str = "bp-1", state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    container = {"name": "runner", "state": state or {}, "ready": "running" in (state or {})}
    return {
        "metadata": {
            "name": f"{owner}-x",
            "uid": f"uid-{owner}",
            "creationTimestamp": CREATED,
            "annotations": ANNOTATIONS,
            "ownerReferences": [{"kind": "Job", "name": owner}],
        },
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "containerStatuses": [container] if state else [], **status},
    }


def ended(code: int, reason: str = "Error", **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, **fields}}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_a_kube_job_is_read_from_its_annotation() -> None:
    body = kube_job(status={"conditions": [condition("Failed", "True", "PodFailurePolicy", "exit code 3")]})
    seen = kube_job_seen(body)
    assert seen is not None
    assert seen.attempt == ATTEMPT
    assert seen.created_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert seen.conditions == (Condition("Failed", "PodFailurePolicy", "exit code 3"),)
    assert (seen.recorded, seen.deleting, seen.suspended) == (False, False, False)


def test_recorded_deleting_and_suspended_are_seen() -> None:
    metadata = {"annotations": {**ANNOTATIONS, naming.ANNOTATION_RECORDED: CREATED}, "deletionTimestamp": CREATED}
    seen = kube_job_seen(kube_job(metadata=metadata, spec={"suspend": True}))
    assert seen is not None
    assert (seen.recorded, seen.deleting, seen.suspended) == (True, True, True)


def test_a_condition_that_is_not_true_is_none() -> None:
    seen = kube_job_seen(kube_job(status={"conditions": [condition("Suspended", "False")]}))
    assert seen is not None
    assert seen.conditions == ()


def test_a_kube_job_without_our_annotation_is_not_ours() -> None:
    assert kube_job_seen({"metadata": {"name": "other"}}) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(pod(phase="Pending"), {"phase": PodPhase.PENDING, "started": False, "ended": False}, id="new"),
        pytest.param(pod(phase="Odd"), {"phase": PodPhase.UNKNOWN}, id="a-phase-of-the-future"),
        pytest.param(
            pod(state={"running": {}}, conditions=[condition("Ready", "True")]),
            {"started": True, "ended": False, "node_ready": True},
            id="running",
        ),
        pytest.param(
            pod(state={"running": {}}, conditions=[condition("Ready", "False")]),
            {"node_ready": False},
            id="the-node-controller-marked-it-while-its-container-is-ready",
        ),
        pytest.param(pod(phase="Pending"), {"node_ready": None}, id="nothing-known-of-the-node"),
        pytest.param(
            pod(state=ended(137, "OOMKilled"), phase="Failed"),
            {"terminated": Terminated(137, "OOMKilled"), "ended": True, "started": True},
            id="out-of-memory",
        ),
        pytest.param(
            pod(state=ended(143, signal=15, message="{}")),
            {"terminated": Terminated(143, "Error", "{}", 15)},
            id="signal-and-message",
        ),
        pytest.param(
            pod(state=ended(128, "StartError"), phase="Failed"), {"started": False, "ended": True}, id="start-error"
        ),
        pytest.param(
            pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough"),
            {"reason": "OutOfcpu", "message": "Node didn't have enough", "ended": True, "started": False},
            id="refused-by-the-kubelet",
        ),
        pytest.param(
            pod(
                state={"running": {}},
                phase="Failed",
                conditions=[condition("DisruptionTarget", "True", "DeletionByPodGC")],
            ),
            {"disruption": "DeletionByPodGC", "ended": False},
            id="pod-gc-is-not-the-kubelet",
        ),
        pytest.param(
            pod(conditions=[condition("DisruptionTarget", "False", "EvictionByEvictionAPI")]),
            {"disruption": ""},
            id="a-disruption-that-is-over",
        ),
        pytest.param(
            pod(conditions=[condition("PodScheduled", "False", "Unschedulable", "0/5 nodes are available")]),
            {"unschedulable": "0/5 nodes are available"},
            id="unschedulable",
        ),
        pytest.param(
            pod(conditions=[condition("PodScheduled", "False", "SchedulingGated")]),
            {"unschedulable": "SchedulingGated"},
            id="gated",
        ),
        pytest.param(
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            {"waiting": Waiting("ImagePullBackOff", "no such image"), "started": False},
            id="image",
        ),
        pytest.param(
            pod(
                state={"waiting": {"reason": "PodInitializing"}},
                initContainerStatuses=[{"name": "i", "state": {"waiting": {"reason": "CreateContainerConfigError"}}}],
            ),
            {"waiting": Waiting("CreateContainerConfigError")},
            id="an-init-container-says-why",
        ),
        pytest.param(
            pod(state={"waiting": {"reason": "ContainerCreating"}}),
            {"waiting": Waiting("ContainerCreating")},
            id="creating",
        ),
        pytest.param(
            pod(initContainerStatuses=[{"name": "i", "state": ended(3)}]),
            {"init_terminated": Terminated(3, "Error")},
            id="init-failed",
        ),
        pytest.param(
            pod(initContainerStatuses=[{"name": "i", "state": ended(0, "Completed")}]),
            {"init_terminated": None},
            id="init-done",
        ),
        pytest.param(
            pod(state=ended(1, message="x" * 10_000)),
            {"terminated": Terminated(1, "Error", "x" * 4096)},
            id="untrusted-text-is-bounded",
        ),
    ],
)
def test_a_pod_is_translated(body: dict[str, Any], expected: dict[str, Any]) -> None:
    seen = pod_seen(body)
    assert {name: getattr(seen, name) for name in expected} == expected


def test_a_native_sidecar_that_ends_is_no_failed_init_container() -> None:
    body = pod(initContainerStatuses=[{"name": "side", "state": ended(143)}])
    body["spec"]["initContainers"] = [{"name": "side", "restartPolicy": "Always"}]
    assert pod_seen(body).init_terminated is None


def test_an_empty_pod_is_a_pending_pod() -> None:
    assert pod_seen({}) == PodSeen("")


def test_a_pod_that_no_kube_job_owns_is_not_ours() -> None:
    assert owned_pod({"metadata": {"name": "x"}}) is None


def test_pods_join_their_kube_job() -> None:
    first, second = kube_job_seen(kube_job("bp-1")), kube_job_seen(kube_job("bp-2"))
    assert first is not None
    assert second is not None
    pods = [seen for seen in map(owned_pod, [pod("bp-1"), pod("bp-1")]) if seen is not None]
    joined = attempts_seen([first, second], pods)
    assert [(seen.name, len(seen.pods)) for seen in joined] == [("bp-1", 2), ("bp-2", 0)]


def test_a_pod_that_outlives_its_kube_job_is_an_attempt_being_deleted() -> None:
    seen = owned_pod(pod("bp-gone", state={"running": {}}))
    assert seen is not None
    [left] = attempts_seen([], [seen])
    assert (left.name, left.attempt, left.deleting) == ("bp-gone", ATTEMPT, True)
    assert [one.uid for one in left.pods] == ["uid-bp-gone"]


def test_a_pod_of_a_foreign_job_makes_no_attempt() -> None:
    body = pod("theirs")
    body["metadata"]["annotations"] = {}
    seen = owned_pod(body)
    assert seen is not None
    assert attempts_seen([], [seen]) == []


@pytest.mark.parametrize(
    ("node", "seen"),
    [
        pytest.param(None, NodeSeen(ready=False, gone=True), id="gone"),
        pytest.param({"status": {"conditions": [condition("Ready", "True")]}}, NodeSeen(ready=True), id="ready"),
        pytest.param({"status": {"conditions": [condition("Ready", "Unknown")]}}, NodeSeen(ready=False), id="lost"),
        pytest.param({}, NodeSeen(), id="new"),
    ],
)
def test_a_node_is_translated(node: dict[str, Any] | None, seen: NodeSeen) -> None:
    assert node_seen(node) == seen


def test_what_the_node_itself_says_wins_over_what_the_pod_hints() -> None:
    seen = with_node(pod_seen(pod(state={"running": {}})), NodeSeen(ready=False, gone=True))
    assert (seen.node_ready, seen.node_gone) == (False, True)
    assert with_node(seen, None) is seen


def test_image_digest_and_times_of_the_main_container_are_seen() -> None:
    digest = f"sha256:{'a' * 64}"
    body = pod(state=ended(3, startedAt=CREATED, finishedAt="2026-11-23T10:00:05Z"))
    body["spec"]["containers"] = [{"name": "sidecar", "image": "no"}, {"name": "runner", "image": "reg/r:1"}]
    body["status"]["containerStatuses"][0]["imageID"] = f"reg/r@{digest}"
    seen = pod_seen(body)
    assert (seen.image, seen.image_digest) == ("reg/r:1", digest)
    assert seen.started_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert seen.finished_at == datetime(2026, 11, 23, 10, 0, 5, tzinfo=UTC)


def test_a_container_that_runs_has_no_end_and_one_that_waits_no_start() -> None:
    running = pod_seen(pod(state={"running": {"startedAt": CREATED}}))
    assert (running.started_at, running.finished_at) == (datetime(2026, 11, 23, 10, tzinfo=UTC), None)
    waiting = pod_seen(pod(state={"waiting": {"reason": "ContainerCreating"}}))
    assert (waiting.started_at, waiting.finished_at, waiting.image, waiting.image_digest) == (None, None, "", "")
