"""Have a cluster produce the failures that one node can show, and write down what its API server said of them.

KUBECONFIG=... python tests/corpus/capture.py [NAME...]      needs debian:bookworm-slim on the node, and nothing else

Each case becomes NN-name.json beside this file: what was reported is the cluster's; row, `seen` and `expected` are kept
from the file that is there. Cases that need two nodes, a pressed kubelet or a preemptor were written by hand from
Kubernetes' sources; they are the files that are not named here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt

Json = dict[str, Any]
HERE: Final = Path(__file__).parent
IMAGE: Final = "debian:bookworm-slim"
PATIENCE_S: Final = 150.0
KEPT: Final = "example.com/kept"
_NOISE: Final = ("managedFields", "resourceVersion", "generation", "selfLink")
_OF_SPEC: Final = ("nodeName", "restartPolicy", "containers", "initContainers")
_OF_EVENT: Final = (
    "type",
    "reason",
    "message",
    "count",
    "involvedObject",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
)


def kubectl(*arguments: str, stdin: Json | None = None, check: bool = True) -> str:
    text = None if stdin is None else json.dumps(stdin)
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout or done.stderr


def listed(namespace: str, kind: str, *more: str) -> list[Json]:
    items: list[Json] = json.loads(kubectl("-n", namespace, "get", kind, "-o", "json", *more))["items"]
    return items


@dataclass
class Case:
    """One failure. `script` is the main container's; `patch` goes into podTemplate, `after` is done once it runs."""

    name: str
    script: str = "sleep 600"
    patch: Json = field(default_factory=dict)
    type_: Json = field(default_factory=dict)
    bend: Callable[[Json], None] = lambda _: None
    """Changes the rendered KubeJob, for what the operator itself would not render."""
    before: Callable[[Case], None] = lambda _: None
    after: Callable[[Case], None] | None = None
    until: Callable[[Case], bool] = lambda case: any("terminated" in state for state in case.states())

    @property
    def namespace(self) -> str:
        return f"c-{self.name}"

    def pods(self) -> list[Json]:
        return listed(self.namespace, "pods")

    def states(self) -> Iterator[Json]:
        for pod in self.pods():
            statuses = pod["status"].get("containerStatuses", [])
            yield from (one["state"] for one in statuses if one["name"] == "runner")

    def conditions(self) -> set[str]:
        found = listed(self.namespace, "jobs")
        return {one["type"] for job in found for one in job["status"].get("conditions", [])}

    def events(self) -> set[str]:
        return {one["reason"] for one in listed(self.namespace, "events")}


def runs(case: Case) -> bool:
    return any("running" in state for state in case.states())


def waits(*reasons: str) -> Callable[[Case], bool]:
    return lambda case: any((state.get("waiting") or {}).get("reason") in reasons for state in case.states())


def told(*reasons: str) -> Callable[[Case], bool]:
    return lambda case: bool(case.events() & set(reasons))


def failed(case: Case) -> bool:
    return any(pod["status"].get("phase") == "Failed" for pod in case.pods())


def unscheduled(case: Case) -> bool:
    return any(c["type"] == "PodScheduled" and c["status"] == "False" for p in case.pods()
               for c in p["status"].get("conditions", []))  # fmt: skip


def ends(condition: str) -> Callable[[Case], bool]:
    return lambda case: condition in case.conditions()


def container(**fields: Any) -> Json:
    return {"spec": {"containers": [{"name": "runner", **fields}]}}


def side(name: str, script: str, **more: Any) -> Json:
    secure = {"runAsUser": 1000, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], "securityContext": secure, **more}


def volume(**source: Any) -> Json:
    return {
        "spec": {
            "volumes": [{"name": "v", **source}],
            "containers": [{"name": "runner", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        }
    }


def deleted(what: str) -> Callable[[Case], None]:
    def delete(case: Case) -> None:
        kubectl("-n", case.namespace, "delete", what, "--all", "--wait=false")

    return delete


def evicted(case: Case) -> None:
    name = case.pods()[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": case.namespace}}
    kubectl("create", "--raw", f"/api/v1/namespaces/{case.namespace}/pods/{name}/eviction", "-f", "-", stdin=body)


def applied(*bodies: Json) -> Callable[[Case], None]:
    def apply(case: Case) -> None:
        for body in bodies:
            kubectl("-n", case.namespace, "apply", "-f", "-", stdin=body)

    return apply


def restricted(case: Case) -> None:
    kubectl("label", "namespace", case.namespace, "pod-security.kubernetes.io/enforce=restricted")


def webhook_away(case: Case) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": "pods.example.com",
        "rules": [rule],
        "clientConfig": {"service": {"name": "nobody", "namespace": case.namespace, "path": "/"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": case.namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 2,
    }
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": case.namespace}, "webhooks": [hook]}  # fmt: skip
    kubectl("apply", "-f", "-", stdin=body)


def suspended(case: Case) -> None:
    [job] = listed(case.namespace, "jobs")
    kubectl("-n", case.namespace, "patch", "job", job["metadata"]["name"], "-p", '{"spec": {"suspend": true}}')


def spec_of(kube_job: Json) -> Json:
    spec: Json = kube_job["spec"]["template"]["spec"]
    return spec


QUOTA: Final[Json] = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
                      "spec": {"hard": {"pods": "0"}}}  # fmt: skip
RANGE: Final[Json] = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
                      "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}}  # fmt: skip
ON_TERM: Final = "trap 'exit 143' TERM; while true; do sleep 0.1; done"

CASES: Final = (
    Case("01-exit-code", "exit 3"),
    Case("02-oom", "tail /dev/zero", type_={"resources": {"limits": {"memory": "32Mi"}}}),
    Case("08-disk-limit", "head -c 30M /dev/zero > /tmp/x; sleep 600", until=failed,
         type_={"resources": {"limits": {"ephemeral-storage": "5Mi"}}}),
    Case("09-eviction-api", ON_TERM, after=evicted),
    Case("15-out-of-cpu", type_={"resources": {"requests": {"cpu": 1000}}}, until=failed,
         bend=lambda job: spec_of(job).update(nodeName="bp-kube-control-plane")),
    Case("16-pod-deleted", ON_TERM, after=deleted("pods")),
    Case("19-suspended", after=suspended, until=ends("Suspended")),
    Case("20-unschedulable-cpu", type_={"resources": {"requests": {"cpu": 1000}}}, until=unscheduled),
    Case("20-unschedulable-selector", patch={"spec": {"nodeSelector": {"disk": "fast"}}}, until=unscheduled),
    Case("20-unschedulable-claim", patch=volume(persistentVolumeClaim={"claimName": "nobody-s"}), until=unscheduled),
    Case("21-gated", patch={"spec": {"schedulingGates": [{"name": "example.com/wait"}]}}, until=unscheduled),
    Case("22-invalid-image-name", patch=container(image="Debian:::1"), until=waits("InvalidImageName")),
    Case("22-never-pulled", patch=container(image="nowhere:1", imagePullPolicy="Never"),
         until=waits("ErrImageNeverPull")),
    Case("23-no-registry", patch=container(image="registry.invalid/x:1"), until=waits("ImagePullBackOff")),
    Case("24-no-secret-for-env", until=waits("CreateContainerConfigError"),
         type_={"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "nobody-s", "key": "k"}}}]}),
    Case("25-no-secret-to-mount", patch=volume(secret={"secretName": "nobody-s"}), until=told("FailedMount")),
    Case("26-no-such-command", patch=container(command=["/no/such/program"])),
    Case("27-init-fails", patch={"spec": {"initContainers": [side("prepare", "exit 4")]}}, until=failed),
    Case("28-sidecar-holds", "exit 3", patch={"spec": {"containers": [side("proxy", "sleep 600")]}}),
    Case("29-sidecar-fails", "exit 0", until=failed,
         patch={"spec": {"containers": [side("proxy", "sleep 2; exit 1")]}}),
    Case("30-deadline-of-the-kube-job", ON_TERM, bend=lambda job: job["spec"].update(activeDeadlineSeconds=4)),
    Case("31-deadline-of-the-pod", ON_TERM, patch={"spec": {"activeDeadlineSeconds": 4}}, until=failed),
    Case("32-quota", before=applied(QUOTA), until=told("FailedCreate")),
    Case("33-webhook-away", before=webhook_away, until=told("FailedCreate")),
    Case("34-limit-range", before=applied(RANGE), type_={"resources": {"limits": {"memory": "1Gi"}}},
         until=told("FailedCreate")),
    Case("34-pod-security", before=restricted, patch={"spec": {"securityContext": {"runAsNonRoot": False}}},
         until=told("FailedCreate")),
    Case("35-no-service-account", bend=lambda job: spec_of(job).update(serviceAccountName="nobody"),
         until=told("FailedCreate")),
)  # fmt: skip


def body_of(case: Case) -> Json:
    attempt = Attempt("ns/jq", "bull", "q", "7", "resize", "bullpen/0123456789abcdef/aaaa")
    placement = Placement(case.namespace, "jq", "0123456789abcdef", "redis", default_image=IMAGE)
    command = container(command=["sh", "-c", case.script], securityContext={"runAsUser": 1000})
    plain = JobType.model_validate({"name": "resize", "podTemplate": command, **case.type_})
    body = kube_job(attempt, plain, placement)
    if case.patch:
        merged = JobType.model_validate({"name": "resize", "podTemplate": merge(command, case.patch), **case.type_})
        body = kube_job(attempt, merged, placement)
    case.bend(body)
    # else a pod that is being deleted may be gone before it was looked at
    body["spec"]["template"]["metadata"]["finalizers"] = [KEPT]
    return body


def merge(one: Json, other: Json) -> Json:
    from bullpen_operator.patching import merge as strategic  # noqa: PLC0415 - for the patches of this file only

    return strategic(one, other)


def captured(case: Case) -> Json:
    kubectl("create", "namespace", case.namespace)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}, "stringData": {"url": "redis://r"}}
    kubectl("-n", case.namespace, "apply", "-f", "-", stdin=secret)
    case.before(case)
    kubectl("-n", case.namespace, "create", "-f", "-", stdin=body_of(case))
    if case.after is not None:
        wait(case, runs)
        case.after(case)
    last = wait(case, case.until)
    for pod in case.pods():
        patch = '{"metadata": {"finalizers": null}}'
        kubectl("-n", case.namespace, "patch", "pod", pod["metadata"]["name"], "-p", patch, check=False)
    kubectl("delete", "namespace", case.namespace, "--wait=false")
    kubectl("delete", "validatingwebhookconfiguration", case.namespace, "--ignore-not-found")
    return last


def wait(case: Case, holds: Callable[[Case], bool]) -> Json:
    deadline = time.monotonic() + PATIENCE_S
    last: Json = {}
    while time.monotonic() < deadline:
        seen = {kind: listed(case.namespace, kind) for kind in ("jobs", "pods", "events")}
        last = seen if seen["pods"] or not last else last
        if holds(case):
            return {kind: listed(case.namespace, kind) or last[kind] for kind in seen}
        time.sleep(0.05)
    raise RuntimeError(f"{case.name} did not come about")


def pruned(item: Any) -> Any:
    if isinstance(item, list):
        return [pruned(one) for one in item]
    if isinstance(item, dict):
        return {key: pruned(value) for key, value in item.items() if key not in _NOISE}
    return item


def write(case: Case, seen: Json) -> None:
    path = HERE / f"{case.name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"row": int(case.name[:2]), "seen": "", "expected": {}}
    [job] = seen["jobs"]
    told = {key: kept[key] for key in kept if key not in ("kubeJob", "pods", "events")}
    job["spec"].pop("template")
    for pod in seen["pods"]:
        pod["metadata"].pop("finalizers", None)
        pod["spec"] = {key: _kept(key, pod["spec"][key]) for key in _OF_SPEC if key in pod["spec"]}
    events = [{key: one[key] for key in _OF_EVENT if key in one} for one in seen["events"]]
    body = {**told, "kubeJob": pruned(job), "pods": pruned(seen["pods"]), "events": pruned(events)}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def _kept(key: str, value: Any) -> Any:
    """What is asked for is known: of containers only their names, and which of them are sidecars."""
    if key not in ("containers", "initContainers"):
        return value
    return [{name: one[name] for name in ("name", "restartPolicy") if name in one} for one in value]


def main(names: list[str]) -> int:
    for case in CASES:
        if not names or case.name in names:
            write(case, captured(case))
            print(case.name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
