"""Attempts that can't start: no job and no attempt is lost by it, the JobQueue says why, and mending it is enough."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.cluster import INFRA, JOBS, WORKER, Cluster, CommandError, until, until_equal
from e2e.job_types import DEBIAN, DEMO, QUICK, SMALL, given_back, script
from e2e.queues import Queue, Queues

pytestmark = [pytest.mark.usefixtures("nothing_is_forbidden"), pytest.mark.beside]

Json = dict[str, Any]
DONE = 'echo done >"$BULLPEN_RESULT"'
RESTRICTED: Json = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GREEDY: Json = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "64", "memory": "16Mi"}}


def named(body: Json, name: str, namespace: str = "", **metadata: Any) -> Json:
    place = {"namespace": namespace} if namespace else {}
    return body | {"metadata": {"name": name, **place, **metadata}}


def secret(name: str) -> Json:
    return named({"apiVersion": "v1", "kind": "Secret", "stringData": {"key": "value"}}, name, JOBS)


@contextmanager
def there(cluster: Cluster, *bodies: Json) -> Iterator[None]:
    """Have objects for a while."""
    cluster.apply(*bodies)
    try:
        yield
    finally:
        cluster.remove(*bodies)


def condition(queue: Queue, kind: str) -> tuple[str, str]:
    [found] = [one for one in queue.stored()["status"]["conditions"] if one["type"] == kind]
    return found["status"], found["reason"]


def blocks(queue: Queue, job_id: str, *words: str, seconds: float = 150) -> Json:
    """Wait until the job was given back and the breaker says why: the next probe comes 10 s after that; conditions."""
    name = queue.job(job_id)["name"]
    conditions = queue.until_blocked(seconds, f"job type '{name}': ", *words, reason="BreakerOpen")
    assert (conditions["Ready"], conditions["Degraded"]) == (("False", "BreakerOpen"), ("True", "BreakerOpen"))
    return conditions


def runs_after(queue: Queue, job_id: str, give_backs: int) -> None:
    """Wait until the job has completed: after that many give-backs, and without one attempt spent on them.

    A probe every 10 s is one more, should this machine have taken so long to mend what was wrong.
    """
    queue.until_counts(240, completed=1)
    counted = int(queue.spent(job_id)[1]) - 1
    probes = counted - give_backs
    assert queue.story(job_id) == given_back(counted)
    assert queue.spent(job_id)[0] == "1"
    assert 0 <= probes <= (2 if give_backs else 0)
    until_equal("status.giveBacks", 20, lambda: queue.stored()["status"]["giveBacks"], counted)
    until_equal("what blocks it", 20, queue.blocked_by, "")


def only_waits(queue: Queue, job_id: str) -> None:
    """Wait until the job has completed in the one attempt that had waited."""
    runs_after(queue, job_id, 0)


def variable(name: str) -> list[Json]:
    return [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "key"}}}]


@pytest.mark.row(24)
def test_a_secret_of_a_variable_that_comes_late_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    cluster.kubectl("delete", "secret", "late-env", "--ignore-not-found")
    queue = queues.serve("secret-late", script(DONE, env=variable("late-env")))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_blocked(150, "pods can't start (config): ", 'secret "late-env" not found')
    cluster.apply(secret("late-env"))
    only_waits(queue, job_id)


@pytest.mark.row(24)
def test_a_secret_of_a_variable_that_never_comes_blocks_the_jobqueue_by_its_name(
    cluster: Cluster, queues: Queues
) -> None:
    cluster.kubectl("delete", "secret", "never-env", "--ignore-not-found")
    queue = queues.serve("secret-never", script(DONE, env=variable("never-env")))
    job_id = queue.add("sh", {}, attempts=1)
    blocks(queue, job_id, 'secret "never-env" not found', seconds=200)
    cluster.apply(secret("never-env"))
    runs_after(queue, job_id, 1)


@pytest.mark.row(25)
def test_a_secret_to_mount_that_comes_late_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    cluster.kubectl("delete", "secret", "late-volume", "--ignore-not-found")
    job_types = script(DONE, container={"volumeMounts": [{"name": "late", "mountPath": "/late"}]})
    job_types[0]["podTemplate"]["spec"]["volumes"] = [{"name": "late", "secret": {"secretName": "late-volume"}}]
    queue = queues.serve("volume-late", job_types)
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_blocked(150, "pods can't start (volume): ", 'secret "late-volume" not found')
    cluster.apply(secret("late-volume"))
    only_waits(queue, job_id)


@pytest.mark.row(35)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_a_missing_serviceaccount_blocks_the_jobqueue_until_it_is_there(
    cluster: Cluster, queues: Queues, workload: str
) -> None:
    account = f"e2e-{workload.lower()}"
    cluster.kubectl("delete", "serviceaccount", account, "--ignore-not-found")
    pod = {"serviceAccountName": account}
    queue = queues.serve(f"account-{workload.lower()}", script(DONE, pod=pod, workload=workload))
    job_id = queue.add("sh", {}, attempts=1)
    blocks(queue, job_id, f'serviceaccount "{account}" not found', seconds=150)
    cluster.kubectl("create", "serviceaccount", account)
    runs_after(queue, job_id, 1)


@pytest.mark.row(32)
def test_a_used_up_quota_is_waited_for_until_it_is_raised(cluster: Cluster, queues: Queues) -> None:
    kind = named({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 0}, "e2e-quota")
    of_kind = [{"operator": "In", "scopeName": "PriorityClass", "values": ["e2e-quota"]}]
    spec = {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": of_kind}}
    quota = named({"apiVersion": "v1", "kind": "ResourceQuota", "spec": spec}, "e2e-quota", JOBS)
    pod = {"priorityClassName": "e2e-quota"}
    with there(cluster, kind, quota):
        until("the quota is known", 30, lambda: cluster.objects("quota", "e2e-quota")[0].get("status", {}).get("hard"))
        held = [queues.serve(f"quota-{one.lower()}", script(DONE, pod=pod, workload=one)) for one in ("Job", "Pod")]
        ids = [queue.add("sh", {}, attempts=1) for queue in held]
        held[0].until_blocked(150, "pods can't start (quota): ", "exceeded quota: e2e-quota")
        held[1].until_blocked(150, "attempts can't be launched right now", "exceeded quota: e2e-quota")
        assert [queue.counts() for queue in held] == [{"active": 1}] * 2
        assert [condition(queue, "Ready") for queue in held] == [("True", "Serving"), ("False", "LauncherAway")]
        cluster.apply(quota | {"spec": spec | {"hard": {"pods": "10"}}})
        for queue, job_id in zip(held, ids, strict=True):
            only_waits(queue, job_id)


@pytest.mark.row(34)
def test_what_a_limitrange_refuses_blocks_the_jobqueue_until_it_asks_for_less(cluster: Cluster, queues: Queues) -> None:
    disk = "ephemeral-storage"
    limit = {"type": "Container", "max": {disk: "100Gi"}, "default": {disk: "50Gi"}, "defaultRequest": {disk: "1Mi"}}
    ranges = named({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [limit]}}, "e2e-range", JOBS)
    requests = {"cpu": "10m", "memory": "16Mi", disk: "1Mi"}
    too_much = {"limits": {"memory": "64Mi", disk: "200Gi"}, "requests": requests}
    with there(cluster, ranges):
        queue = queues.serve("range", script(DONE, resources=too_much))
        until_equal("TemplateAccepted", 30, lambda: condition(queue, "TemplateAccepted"), ("False", "RefusedSpec"))
        job_id = queue.add("sh", {}, attempts=1)
        blocks(queue, job_id, "maximum ephemeral-storage usage per Container is 100Gi, but limit is 200Gi")
        queue.change(jobTypes=script(DONE))
        runs_after(queue, job_id, 1)
        assert condition(queue, "TemplateAccepted") == ("True", "Accepted")


@pytest.mark.row(34)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_what_pod_security_refuses_blocks_the_jobqueue_until_it_is_mended(queues: Queues, workload: str) -> None:
    as_root = {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}
    queue = queues.serve(f"security-{workload.lower()}", script(DONE, pod=as_root, workload=workload))
    job_id = queue.add("sh", {}, attempts=1)
    conditions = blocks(queue, job_id, 'violates PodSecurity "restricted')
    assert conditions["TemplateAccepted"] == ("False", "PodSecurity")
    queue.change(jobTypes=script(DONE, workload=workload))
    runs_after(queue, job_id, 1)


def labelled(label: str, **more: Any) -> list[Json]:
    job_types = script(DONE, **more)
    job_types[0]["podTemplate"]["metadata"] = {"labels": {label: "yes"}}
    return job_types


PODS: Json = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def denies(label: str, name: str) -> list[Json]:
    group = {"apiVersion": "admissionregistration.k8s.io/v1"}
    expression = f"!has(object.metadata.labels) || !('{label}' in object.metadata.labels)"
    validation = {"expression": expression, "message": "no such pods here"}
    policy = {"matchConstraints": {"resourceRules": [PODS]}, "validations": [validation]}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        named(group | {"kind": "ValidatingAdmissionPolicy", "spec": policy}, name),
        named(group | {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding}, name),
    ]


def refused(cluster: Cluster, label: str) -> str:
    """Have the API server judge a pod with a label, and keep nothing; what it said."""
    container = {"name": "c", "image": DEBIAN, "securityContext": RESTRICTED}
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    body = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container], "securityContext": context}}
    try:
        body = named(body, "judged", JOBS, labels={label: "yes"})
        return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    except CommandError as error:
        return str(error)


@pytest.mark.row(33)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_what_an_admission_policy_denies_blocks_the_jobqueue_until_the_policy_goes(
    cluster: Cluster, queues: Queues, workload: str
) -> None:
    label = f"e2e-denied-{workload.lower()}"
    bodies = denies(label, label)
    with there(cluster, *bodies):
        until("the policy is in force", 60, lambda: "denied request" in refused(cluster, label))
        queue = queues.serve(label, labelled(label, workload=workload))
        job_id = queue.add("sh", {}, attempts=1)
        conditions = blocks(queue, job_id, "denied request: no such pods here")
        assert conditions["TemplateAccepted"] == ("False", "Denied")
        cluster.remove(*bodies)
        runs_after(queue, job_id, 1)


@pytest.mark.row(33)
def test_an_admission_webhook_that_is_away_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    webhook = {
        "name": "away.e2e.bullpen.dev",
        "clientConfig": {"service": {"namespace": INFRA, "name": "nobody"}},
        "rules": [PODS],
        "objectSelector": {"matchLabels": {"e2e-away": "yes"}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    body = named(kind | {"webhooks": [webhook]}, "e2e-away")
    with there(cluster, body):
        until("the webhook is asked", 60, lambda: "failed calling webhook" in refused(cluster, "e2e-away"))
        held = [queues.serve(f"away-{one.lower()}", labelled("e2e-away", workload=one)) for one in ("Job", "Pod")]
        ids = [queue.add("sh", {}, attempts=1) for queue in held]
        held[0].until_blocked(150, "pods can't start (webhook-away): ", "failed calling webhook")
        held[1].until_blocked(150, "attempts can't be launched right now", "failed calling webhook")
        cluster.remove(body)
        for queue, job_id in zip(held, ids, strict=True):
            only_waits(queue, job_id)


@pytest.mark.row(20)
@pytest.mark.parametrize("workload", ["Job", "Pod"])
def test_an_attempt_that_no_node_takes_is_made_anew_once_its_request_is_lowered(queues: Queues, workload: str) -> None:
    queue = queues.serve(f"greedy-{workload.lower()}", script(DONE, resources=GREEDY, workload=workload))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_blocked(150, "pods can't start (unschedulable-resources): no node takes its pod (Insufficient cpu")
    assert condition(queue, "Ready") == ("True", "Serving")
    queue.change(jobTypes=script(DONE, workload=workload))
    runs_after(queue, job_id, 1)
    assert [life.node != "" for life in queue.history.of(queue.name)] == [False, True]


@pytest.mark.row(21)
def test_a_scheduling_gate_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("gated", script(DONE, pod={"schedulingGates": [{"name": "e2e.bullpen.dev/hold"}]}))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_blocked(150, "pods can't start (gated): its pod waits for a scheduling gate")
    opened = json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}])
    cluster.kubectl("patch", "pod", queue.until_pod(job_id), "--type=json", "-p", opened)
    only_waits(queue, job_id)


@pytest.mark.row(19)
def test_a_kube_job_that_somebody_suspends_before_it_starts_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    cluster.kubectl("label", "node", WORKER, "e2e-later-")
    queue = queues.serve("suspended", script(DONE, pod={"nodeSelector": {"e2e-later": "yes"}}))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_blocked(150, "pods can't start (unschedulable-affinity): ")
    selected = ("job", "-l", f"bullpen.dev/queue={queue.name}")
    name = cluster.objects(*selected)[0]["metadata"]["name"]
    cluster.kubectl("patch", "job", name, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    queue.until_blocked(150, "pods can't start (suspended): its KubeJob is suspended")
    cluster.kubectl("label", "node", WORKER, "e2e-later=yes")
    cluster.kubectl("patch", "job", name, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    only_waits(queue, job_id)
    assert [one["metadata"]["name"] for one in cluster.objects(*selected)] == [name]
    cluster.kubectl("label", "node", WORKER, "e2e-later-")


@pytest.mark.row(22)
def test_an_image_that_may_not_be_pulled_blocks_the_jobqueue_until_another_is_named(queues: Queues) -> None:
    never = script(DONE, image="bullpen-absent:e2e", container={"imagePullPolicy": "Never"})
    queue = queues.serve("never-pulled", never)
    job_id = queue.add("sh", {}, attempts=1)
    blocks(queue, job_id, "its image can't be used: ErrImageNeverPull")
    queue.change(jobTypes=script(DONE))
    runs_after(queue, job_id, 1)


_REGISTRY = """\
import http.server

class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = next((code for code in (401, 404, 503) if str(code) in self.path), 200)
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="e2e"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Registry).serve_forever()
"""


def registry() -> list[Json]:
    """A registry that has no image and says so in three ways; nodes reach it at 127.0.0.1:30500."""
    command = ["/opt/bullpen/bin/python", "-c", _REGISTRY]
    probe = {"tcpSocket": {"port": 5000}, "periodSeconds": 1}
    container: Json = {"name": "registry", "image": "bullpen-runner:e2e", "command": command, "readinessProbe": probe}
    service: Json = {"type": "NodePort", "selector": {"app": "registry"}, "ports": [{"port": 5000, "nodePort": 30500}]}
    labels = {"app": "registry"}
    return [
        named(
            {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}, "registry", INFRA, labels=labels
        ),
        named({"apiVersion": "v1", "kind": "Service", "spec": service}, "registry", INFRA),
    ]


@pytest.mark.row(22, 23)
def test_what_a_registry_says_decides_whether_an_image_is_waited_for(cluster: Cluster, queues: Queues) -> None:
    with there(cluster, *registry()):
        cluster.kubectl("-n", INFRA, "wait", "--for=condition=Ready", "pod/registry", "--timeout=90s")
        asked = {
            code: queues.serve(
                f"registry-{code}", script(DONE, image=f"127.0.0.1:30500/no-{code}:1", startTimeout="40s")
            )
            for code in (401, 404, 503)
        }
        ids = {code: queue.add("sh", {}, attempts=1) for code, queue in asked.items()}
        asked[503].until_blocked(150, "pods can't start (image-pull): its image is not there yet: ")
        for code, *words in ((404, "no-404:1: not found"), (401, "no-401:1: ", "401 Unauthorized")):
            blocks(asked[code], ids[code], "its image can't be pulled: ", *words)
            asked[code].change(jobTypes=script(DONE))
        for code in (404, 401):
            runs_after(asked[code], ids[code], 1)
        until("its time to start is over", 60, lambda: "start-failure" in asked[503].job(ids[503]).get("bullpen", ""))
        asked[503].change(jobTypes=script(DONE))
        runs_after(asked[503], ids[503], 1)


@pytest.mark.row(26)
def test_a_command_that_is_not_in_the_image_blocks_the_jobqueue_until_it_is_mended(queues: Queues) -> None:
    queue = queues.serve("commandless", script("", container={"command": ["/no/such/program"]}))
    job_id = queue.add("sh", {}, attempts=1)
    blocks(queue, job_id, "its container can't be started", "/no/such/program")
    queue.change(jobTypes=script(DONE))
    runs_after(queue, job_id, 1)


@pytest.mark.row(27)
def test_an_init_container_that_fails_three_times_blocks_the_jobqueue_until_it_is_mended(queues: Queues) -> None:
    prepare: Json = {"name": "prepare", "image": DEBIAN, "command": ["sh", "-c", "echo 'no such table'; exit 3"]}
    prepare |= {"securityContext": RESTRICTED | {"runAsUser": 65534}}
    job_type: Json = {"name": "demo-sleep", "image": DEMO, "resources": SMALL, "giveBack": QUICK}
    queue = queues.serve("unprepared", [job_type | {"podTemplate": {"spec": {"initContainers": [prepare]}}}])
    job_id = queue.add("demo-sleep", {"seconds": 0}, attempts=1)
    blocks(queue, job_id, "an init container exited with code 3", seconds=200)
    queue.change(jobTypes=[job_type])
    runs_after(queue, job_id, 3)


@pytest.mark.row(15)
def test_a_pod_that_the_kubelet_refuses_is_given_back(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("refused", script(DONE, resources=GREEDY, pod={"schedulerName": "nobody"}))
    job_id = queue.add("sh", {}, attempts=1)
    pod = queue.until_pod(job_id)
    target = {"apiVersion": "v1", "kind": "Node", "name": WORKER}
    binding = named({"apiVersion": "v1", "kind": "Binding", "target": target}, pod)
    path = f"/api/v1/namespaces/{JOBS}/pods/{pod}/binding"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
    until("it was refused", 60, lambda: '"refused"' in queue.job(job_id).get("bullpen", ""))
    queue.change(jobTypes=script(DONE))
    runs_after(queue, job_id, 1)
    assert queue.pods(job_id)[0]["status"].get("reason") == "OutOfcpu"


@pytest.mark.row(42)
def test_restarts_that_a_podtemplate_asks_for_are_refused_in_one_sentence(queues: Queues) -> None:
    queue = queues.serve("restarting", script(DONE, pod={"restartPolicy": "OnFailure"}))
    job_id = queue.add("sh", {}, attempts=1)
    blocks(queue, job_id, "podTemplate changes restartPolicy; BullMQ alone retries: remove it")
    queue.change(jobTypes=script(DONE))
    runs_after(queue, job_id, 1)
