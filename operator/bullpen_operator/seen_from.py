"""What the API server says of KubeJobs and pods, in the operator's own terms. Pure; its input is raw JSON objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bullpen_operator import naming
from bullpen_operator.manifest import attempt_from_text
from bullpen_operator.podrules import RUNNER
from bullpen_operator.seen import Attempt, Condition, KubeJobSeen, PodPhase, PodSeen, Terminated, Told, Waiting
from bullpen_protocol import plain

TEXT_LIMIT: Final = 4096
"""Characters kept of any text of the cluster's: the longest is a termination message."""

WARNINGS_KEPT: Final = 20
"""Of the events of one attempt."""

_NEVER_STARTED: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Reasons of a terminated container whose process never ran."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_DULL_WAITS: Final = frozenset({"PodInitializing", "ContainerCreating"})
"""Waits that say no more than that something else comes first."""

_ANOTHER_CONTAINER: Final = "ContainersNotReady"
"""Reason that the kubelet gives for a pod of which another container is not ready; the node controller gives none."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """What is known of a node that a pod is on."""

    ready: bool | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class OwnedPod:
    """A pod and the KubeJob it belongs to, by name; `orphan` stands for that KubeJob where there is none (any more)."""

    kube_job: str
    pod: PodSeen
    orphan: KubeJobSeen | None = None


def kube_job_seen(kube_job: Json, pods: Iterable[PodSeen] = ()) -> KubeJobSeen | None:
    """Translate a KubeJob; None: it carries no attempt, so it is not one of ours."""
    metadata = kube_job.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    attempt = attempt_from_text(annotations.get(naming.ANNOTATION_ATTEMPT) or "")
    if attempt is None:
        return None
    return KubeJobSeen(
        name=metadata.get("name") or "",
        attempt=attempt,
        created_at=_time(metadata.get("creationTimestamp")),
        recorded=naming.ANNOTATION_RECORDED in annotations,
        deleting=bool(metadata.get("deletionTimestamp")),
        suspended=bool((kube_job.get("spec") or {}).get("suspend")),
        conditions=tuple(_true_conditions(kube_job)),
        pods=tuple(pods),
    )


def owned_pod(pod: Json) -> OwnedPod | None:
    """Translate a pod; None: it is no attempt's."""
    metadata = pod.get("metadata") or {}
    owner = next((o["name"] for o in metadata.get("ownerReferences") or () if o.get("kind") == "Job"), None)
    attempt = attempt_from_text((metadata.get("annotations") or {}).get(naming.ANNOTATION_ATTEMPT) or "")
    if attempt is None:
        return None if owner is None else OwnedPod(owner, pod_seen(pod))
    name = owner or naming.kube_job_name(attempt.queue, attempt.job_id, attempt.token)
    seen = pod_seen(pod)
    return OwnedPod(name, seen, _orphan(metadata, name, attempt, seen))


def _orphan(metadata: Json, name: str, attempt: Attempt, pod: PodSeen) -> KubeJobSeen:
    """Make an attempt of a pod: a bare one is all there is of it; of any other the KubeJob is gone."""
    created = _time(metadata.get("creationTimestamp"))
    if metadata.get("name") != name:
        return KubeJobSeen(name, attempt, created, deleting=True, pods=(pod,))
    recorded = (metadata.get("annotations") or {}).get(naming.ANNOTATION_RECORDED)
    seen = KubeJobSeen(name, attempt, created, recorded is not None, deleting=pod.deleting, pods=(pod,), bare=True)
    return seen if recorded is None else replace(seen, recorded_at=_time(recorded))


def attempts_seen(kube_jobs: Iterable[KubeJobSeen], pods: Iterable[OwnedPod]) -> list[KubeJobSeen]:
    """Join KubeJobs with their pods; pods whose KubeJob is gone still make an attempt, one that is being deleted."""
    owned: dict[str, list[OwnedPod]] = {}
    for pod in pods:
        owned.setdefault(pod.kube_job, []).append(pod)
    joined = [attempt_seen(kube_job, owned.pop(kube_job.name, ())) for kube_job in kube_jobs]
    orphans = (attempt_seen(None, family) for family in owned.values())
    return [seen for seen in (*joined, *orphans) if seen is not None]


def attempt_seen(kube_job: KubeJobSeen | None, pods: Sequence[OwnedPod]) -> KubeJobSeen | None:
    """Join one KubeJob, or what is left of it, with its pods; None: nothing is left."""
    kept = kube_job or next((pod.orphan for pod in pods if pod.orphan is not None), None)
    return None if kept is None else replace(kept, pods=tuple(pod.pod for pod in pods))


def pod_seen(pod: Json) -> PodSeen:
    """Translate a pod's own words; what its node is doing is for `with_node` to add."""
    metadata, spec, status = pod.get("metadata") or {}, pod.get("spec") or {}, pod.get("status") or {}
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    is_plain = any(c.get("name") == plain.WATCH for c in spec.get("initContainers") or ())
    runner = _status_of(status.get("containerStatuses"), plain.MAIN if is_plain else RUNNER)
    sidecar = _status_of(status.get("initContainerStatuses"), plain.WATCH)
    terminated, init_terminated = _terminated(runner), _init_terminated(spec, status)
    said = _terminated(sidecar)
    node = spec.get("nodeName") or ""
    return PodSeen(
        uid=metadata.get("uid") or "",
        name=metadata.get("name") or "",
        phase=_phase(status.get("phase")),
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        node=node,
        node_ready=_node_ready(runner, conditions) if node else None,
        deleting=bool(metadata.get("deletionTimestamp")),
        disruption=_reason_if(conditions.get("DisruptionTarget"), "True", "reason"),
        unschedulable=_reason_if(conditions.get("PodScheduled"), "False", "message"),
        waiting=_waiting(runner, status),
        started=_started(runner, terminated),
        terminated=terminated,
        init_terminated=None if init_terminated is None else init_terminated[1],
        fetch_failed=init_terminated is not None and init_terminated[0] == plain.FETCH,
        words_due=is_plain and said is None and _may_speak(sidecar, status),
        returned=said.message if said is not None else "",
        told_at=_told_at(metadata, spec, status, conditions) if is_plain else None,
        image=_image(spec),
        image_digest=_digest(runner.get("imageID")),
        started_at=_moment(runner, "startedAt"),
        finished_at=_moment(runner, "finishedAt"),
    )


def _status_of(statuses: Any, name: str) -> Json:
    return next((container for container in statuses or () if container.get("name") == name), {})


def _may_speak(sidecar: Json, status: Json) -> bool:
    """Whether a sidecar will still say something: the kubelet calls an evicted pod Failed while its containers end."""
    return "running" in (sidecar.get("state") or {}) or status.get("phase") not in ("Succeeded", "Failed")


def _told_at(metadata: Json, spec: Json, status: Json, conditions: Mapping[Any, Json]) -> datetime | None:
    """Find out when a pod was first told to end: a program may take that for a reason to exit with 0."""
    moments = []
    if metadata.get("deletionTimestamp"):  # the time at which its grace will be over
        grace_s = int(metadata.get("deletionGracePeriodSeconds") or 0)
        moments.append(_time(metadata["deletionTimestamp"]) - timedelta(seconds=grace_s))
    disruption = conditions.get("DisruptionTarget") or {}
    if disruption.get("status") == "True":
        moments.append(_time(disruption.get("lastTransitionTime")))
    if status.get("reason") == "DeadlineExceeded":
        allowed_s = int(spec.get("activeDeadlineSeconds") or 0)
        moments.append(_time(status.get("startTime")) + timedelta(seconds=allowed_s))
    return min(moments, default=None)


def with_node(pod: PodSeen, node: NodeSeen | None) -> PodSeen:
    """Add what was asked of the pod's node itself; None: nothing was."""
    return pod if node is None else replace(pod, node_ready=node.ready, node_gone=node.gone)


def node_seen(node: Json | None) -> NodeSeen:
    """Translate a node; None: the API server has no such node."""
    if node is None:
        return NodeSeen(ready=False, gone=True)
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((condition for condition in conditions if condition.get("type") == "Ready"), None)
    return NodeSeen(ready=None if ready is None else ready.get("status") == "True")


def warnings_seen(events: Iterable[Json]) -> tuple[Told, ...]:
    """Translate Events, newest first; what is normal says nothing of a wait."""
    warnings = sorted((one for one in events if one.get("type") == "Warning"), key=_event_time, reverse=True)
    return tuple(Told(_text(one.get("reason")), _text(one.get("message"))) for one in warnings[:WARNINGS_KEPT])


def _event_time(event: Json) -> str:
    times = (event.get(name) for name in ("lastTimestamp", "eventTime", "firstTimestamp"))
    return str(next(filter(None, times), ""))


def _node_ready(runner: Json, conditions: Mapping[Any, Json]) -> bool | None:
    """Read the node's state off the pod, which needs no permission on nodes.

    When a node stops reporting, the node controller sets the condition Ready of its pods to False and leaves the
    containers' own `ready` as the kubelet last wrote it (MarkPodsNotReady); the kubelet itself never lets them differ
    so for a pod without readiness gates.
    """
    ready = conditions.get("Ready")
    if ready is None or not runner.get("ready") or ready.get("reason") == _ANOTHER_CONTAINER:
        return None
    return ready.get("status") == "True"


def _true_conditions(kube_job: Json) -> Iterable[Condition]:
    for condition in (kube_job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True":
            yield Condition(
                condition.get("type") or "", _text(condition.get("reason")), _text(condition.get("message"))
            )


def _phase(phase: Any) -> PodPhase:
    try:
        return PodPhase(phase or "Pending")
    except ValueError:
        return PodPhase.UNKNOWN


def _reason_if(condition: Json | None, status: str, field: str) -> str:
    if condition is None or condition.get("status") != status:
        return ""
    return _text(condition.get(field)) or _text(condition.get("reason")) or status


def _waiting(runner: Json, status: Json) -> Waiting | None:
    """Prefer the container that says why: the main one only says PodInitializing while an init container fails."""
    own = (runner.get("state") or {}).get("waiting")
    if own is not None and own.get("reason") not in _DULL_WAITS:
        return _wait(own)
    inits = ((c.get("state") or {}).get("waiting") for c in status.get("initContainerStatuses") or ())
    telling = next((wait for wait in inits if wait is not None and wait.get("reason") not in _DULL_WAITS), own)
    return None if telling is None else _wait(telling)


def _wait(wait: Json) -> Waiting:
    return Waiting(_text(wait.get("reason")), _text(wait.get("message")))


def _terminated(container: Json) -> Terminated | None:
    end = (container.get("state") or {}).get("terminated")
    if end is None:
        return None
    code, signal = int(end.get("exitCode") or 0), int(end.get("signal") or 0)
    started, finished = (_time(end[name]) if end.get(name) else None for name in ("startedAt", "finishedAt"))
    return Terminated(code, _text(end.get("reason")), _text(end.get("message")), signal, started, finished)


def _started(runner: Json, terminated: Terminated | None) -> bool:
    if (runner.get("state") or {}).get("running") is not None:
        return True
    return terminated is not None and terminated.reason not in _NEVER_STARTED


def _init_terminated(spec: Json, status: Json) -> tuple[str, Terminated] | None:
    # Native sidecars (restartPolicy Always) end with any code when the pod ends: that says nothing of the attempt.
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    for container in status.get("initContainerStatuses") or ():
        end = _terminated(container)
        if end is not None and end.exit_code != 0 and container.get("name") not in sidecars:
            return str(container.get("name")), end
    return None


def _image(spec: Json) -> str:
    return next((_text(c.get("image")) for c in spec.get("containers") or () if c.get("name") == RUNNER), "")


def _digest(image_id: Any) -> str:
    found = _DIGEST.search(_text(image_id))
    return found[0] if found else ""


def _moment(container: Json, name: str) -> datetime | None:
    state = container.get("state") or {}
    value = (state.get("terminated") or state.get("running") or {}).get(name)
    return _time(value) if value else None


def _text(value: Any) -> str:
    return str(value)[:TEXT_LIMIT] if value else ""


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
