"""The shape of a pod: one attempt of a job type becomes one KubeJob. Pure; knows no client and no clock."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bullpen_operator import naming, plainpod
from bullpen_operator.allowed import Allowed
from bullpen_operator.model import EnvVar, JobType
from bullpen_operator.patching import PatchError, merge
from bullpen_operator.podrules import RUNNER, Rules, check
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.seen import Attempt
from bullpen_operator.sizes import resources_of
from bullpen_protocol import plain
from bullpen_protocol.assignment import VARIABLES, Assignment, ExitCode

TTL_S: Final = 2 * 3600
"""Life of an ended KubeJob: long enough for every audit to have recorded it, and for people to read its logs."""
DEADLINE_GRACE_S: Final = 120
"""By how much Kubernetes' own deadline comes after ours: the runner's timer speaks first and knows more."""
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
"""Annotation: the container that `kubectl logs` shows."""
SCRATCH: Final = "/tmp"  # noqa: S108 - an emptyDir of the pod's own


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the attempts of one JobQueue run, and which Secret leads them to Redis."""

    namespace: str
    jobqueue: str
    installation: str
    redis_secret: str
    default_image: str | None = None
    """For job types that name no image: the runner with the built-in processors."""
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    handed_on: Mapping[str, str] = field(default_factory=dict)
    """Variables that every runner gets, unless its job type sets them itself; never a secret."""
    allowed: Allowed = field(default_factory=Allowed)
    """What job types may ask for."""


def rendered(attempt: Attempt, job_type: JobType, placement: Placement) -> dict[str, Any]:
    """Render what *attempt* is in the cluster: a KubeJob, or a bare pod (`workload: Pod`); raises as they do."""
    return (bare_pod if job_type.workload == "Pod" else kube_job)(attempt, job_type, placement)


def bare_pod(attempt: Attempt, job_type: JobType, placement: Placement) -> dict[str, Any]:
    """Render the pod of *attempt* where no KubeJob stands above it: under the same name, labels and annotation.

    Raises as kube_job does.
    """
    template = _template(attempt, job_type, placement, labels_of(attempt, placement))
    name = naming.kube_job_name(attempt.queue, attempt.job_id, attempt.token)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": name, "namespace": placement.namespace},
        "spec": {"activeDeadlineSeconds": _deadline_s(attempt), **template["spec"]},
    }


def _deadline_s(attempt: Attempt) -> int:
    return math.ceil(attempt.settings.timeout_s + attempt.settings.start_timeout_s + DEADLINE_GRACE_S)


def kube_job(attempt: Attempt, job_type: JobType, placement: Placement) -> dict[str, Any]:
    """Render the KubeJob of *attempt*.

    Raises:
        ConfigurationFaultError: the job type can't be rendered, or asks for what no attempt may have.
    """
    labels = labels_of(attempt, placement)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": naming.kube_job_name(attempt.queue, attempt.job_id, attempt.token),
            "namespace": placement.namespace,
            "labels": labels,
            "annotations": {naming.ANNOTATION_ATTEMPT: attempt_to_text(attempt)},
        },
        "spec": {
            "backoffLimit": 0,  # BullMQ alone retries
            "completions": 1,
            "parallelism": 1,
            # A second pod (the node is lost, the KubeJob was suspended) only after the first has really ended.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _plain_verdict_rules() if attempt.settings.plain else _verdict_rules()},
            "activeDeadlineSeconds": _deadline_s(attempt),
            "ttlSecondsAfterFinished": TTL_S,
            "template": _template(attempt, job_type, placement, labels),
        },
    }


def labels_of(attempt: Attempt, placement: Placement) -> dict[str, str]:
    """Labels of KubeJob and pod: `kubectl logs -l bullpen.dev/queue=mails,bullpen.dev/job-id=7`."""
    return {
        naming.MANAGED_BY[0]: naming.MANAGED_BY[1],
        naming.LABEL_INSTALLATION: placement.installation,
        naming.LABEL_JOBQUEUE: naming.label_value(placement.jobqueue),
        naming.LABEL_QUEUE: naming.label_value(attempt.queue),
        naming.LABEL_JOB_TYPE: naming.label_value(attempt.job_name),
        naming.LABEL_JOB_ID: naming.label_value(attempt.job_id),
    }


def attempt_to_text(attempt: Attempt) -> str:
    """Render for the annotation; ASCII only, so that any id survives any client."""
    return json.dumps(asdict(attempt), sort_keys=True)


def attempt_from_text(text: str) -> Attempt | None:
    """Read the annotation back; None for anything that is not one (an older or newer operator, a hand-made object)."""
    try:
        return Attempt.of(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _verdict_rules() -> list[dict[str, Any]]:
    """FailJob only, ordered: the first match is written into the KubeJob's conditions, where it outlives the pod.

    No Ignore rule: it would start a second pod behind BullMQ's back.
    """
    ours = (ExitCode.BAD_ASSIGNMENT, ExitCode.SOFTWARE, ExitCode.GIVE_BACK, ExitCode.SUPERSEDED)
    return [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        _exit_codes("In", ExitCode.OUT_OF_MEMORY),
        _exit_codes("In", ExitCode.TERMINATED),
        _exit_codes("In", *ours),
        _exit_codes("NotIn", ExitCode.COMPLETED),
    ]


def _plain_verdict_rules() -> list[dict[str, Any]]:
    """As above; of the user's own exit codes none is ours."""
    return [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        _exit_codes("NotIn", ExitCode.COMPLETED, container=plain.FETCH),
        _exit_codes("In", ExitCode.OUT_OF_MEMORY, container=plain.MAIN),
        _exit_codes("NotIn", ExitCode.COMPLETED, container=plain.MAIN),
    ]


def _exit_codes(operator: str, *codes: ExitCode, container: str = RUNNER) -> dict[str, Any]:
    values = sorted(int(code) for code in codes)
    return {"action": "FailJob", "onExitCodes": {"containerName": container, "operator": operator, "values": values}}


def _template(attempt: Attempt, job_type: JobType, placement: Placement, labels: dict[str, str]) -> dict[str, Any]:
    base: dict[str, Any] = {
        "metadata": {"annotations": {SAFE_TO_EVICT: "false"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            **_parts(attempt, job_type, placement),
        },
    }
    if attempt.settings.plain:
        base["metadata"]["annotations"][DEFAULT_CONTAINER] = plain.MAIN
    if placement.image_pull_secrets:
        base["spec"]["imagePullSecrets"] = [{"name": name} for name in placement.image_pull_secrets]
    try:
        template = merge(base, job_type.pod_template)
    except PatchError as error:
        raise ConfigurationFaultError(f"job type {job_type.name!r}: {error}") from error
    check(template, base, job_type.name, Rules(placement.allowed, placement.default_image or ""))
    metadata = template["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    # A pod can outlive its KubeJob (deleted by hand): it must still say whose it is.
    own = {naming.ANNOTATION_ATTEMPT: attempt_to_text(attempt)}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **own}
    return template


def _parts(attempt: Attempt, job_type: JobType, placement: Placement) -> dict[str, Any]:
    if attempt.settings.plain:
        ours = _assigned(attempt, job_type, placement)
        return plainpod.parts(attempt, job_type, _injected_image(job_type, placement), ours)
    return {
        "containers": [_container(attempt, job_type, placement)],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }


def _injected_image(job_type: JobType, placement: Placement) -> dict[str, Any]:
    if not placement.default_image:
        raise ConfigurationFaultError(
            f"job type {job_type.name!r} has runner: plain, which needs the runner's image too; "
            "set runner.image in the chart"
        )
    policy = {"imagePullPolicy": placement.image_pull_policy} if placement.image_pull_policy else {}
    return {"image": placement.default_image, **policy}


def _container(attempt: Attempt, job_type: JobType, placement: Placement) -> dict[str, Any]:
    image = job_type.image or placement.default_image
    if not image:
        raise ConfigurationFaultError(
            f"job type {job_type.name!r} names no image; set image in the job type, in defaults, or in the chart"
        )
    container: dict[str, Any] = {
        "name": RUNNER,
        "image": image,
        "env": _environment(attempt, job_type, placement),
        "resources": resources_of(job_type.resources, attempt.settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }
    if placement.image_pull_policy:
        container["imagePullPolicy"] = placement.image_pull_policy
    return container


def _environment(attempt: Attempt, job_type: JobType, placement: Placement) -> list[dict[str, Any]]:
    ours = _assigned(attempt, job_type, placement)
    return [*ours, {"name": "HOME", "value": SCRATCH}, *map(_variable, job_type.env)]


def _assigned(attempt: Attempt, job_type: JobType, placement: Placement) -> list[dict[str, Any]]:
    literals = Assignment(
        redis_url="",
        pod_uid="",
        prefix=attempt.prefix,
        queue=attempt.queue,
        job_id=attempt.job_id,
        token=attempt.token,
        processor=job_type.processor or attempt.job_name,
        lock_ms=attempt.settings.lock_ms,
        timeout_s=attempt.settings.timeout_s,
        on_timeout=attempt.settings.on_timeout,
        attempt=attempt.number,
        graph_timeout_s=attempt.settings.graph_timeout_s,
        image=job_type.image or placement.default_image,
        settings=job_type.settings,
    ).to_environment()
    own = {variable.name for variable in job_type.env}
    literals |= {name: value for name, value in placement.handed_on.items() if name not in own}
    referenced = _references(job_type, placement)
    values = [
        {"name": name, "value": plainpod.literal(value)} for name, value in literals.items() if name not in referenced
    ]
    return [*values, *({"name": name, "valueFrom": source} for name, source in referenced.items())]


def _references(job_type: JobType, placement: Placement) -> dict[str, Any]:
    sources: dict[str, Any] = {
        VARIABLES["pod_uid"]: {"fieldRef": {"fieldPath": "metadata.uid"}},
        VARIABLES["redis_url"]: _secret_key(placement.redis_secret, "url"),
        VARIABLES["redis_ca"]: _secret_key(placement.redis_secret, "ca.crt", optional=True),
    }
    limits, container = job_type.resources.limits, plain.MAIN if job_type.runner == "plain" else RUNNER
    if limits.memory is not None:  # without a limit Kubernetes would tell what the node has
        sources[VARIABLES["memory_limit_bytes"]] = _resource(container, "limits.memory", "1")
    if limits.cpu is not None:
        sources[VARIABLES["cpu_limit_millicores"]] = _resource(container, "limits.cpu", "1m")
    if job_type.graph is not None:
        secret = job_type.graph.secret_ref.name
        sources[VARIABLES["graph_url"]] = _secret_key(secret, "url")
        sources[VARIABLES["graph_update_url"]] = _secret_key(secret, "updateUrl", optional=True)
        sources[VARIABLES["graph_username"]] = _secret_key(secret, "username", optional=True)
        sources[VARIABLES["graph_password"]] = _secret_key(secret, "password", optional=True)
    return sources


def _secret_key(secret: str, key: str, *, optional: bool = False) -> Mapping[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key} | ({"optional": True} if optional else {})}


def _resource(container: str, resource: str, divisor: str) -> Mapping[str, Any]:
    return {"resourceFieldRef": {"containerName": container, "resource": resource, "divisor": divisor}}


def _variable(variable: EnvVar) -> dict[str, Any]:
    return variable.model_dump(by_alias=True, exclude_none=True)
