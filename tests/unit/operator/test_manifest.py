"""The shape of a KubeJob: what every attempt gets, and what no podTemplate may take or add."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_operator import naming
from bullpen_operator.manifest import Placement, attempt_from_text, attempt_to_text, kube_job
from bullpen_operator.manifest import rendered as rendered_as
from bullpen_operator.model import JobType
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.seen import Attempt, AttemptSettings
from bullpen_protocol.assignment import Assignment

TOKEN = "bullpen/0123456789abcdef/8e5c"
ATTEMPT = Attempt(
    jobqueue="ns/http",
    prefix="bull",
    queue="http requests",
    job_id="repeat:x:1",
    job_name="http-ingest",
    token=TOKEN,
    number=2,
    settings=AttemptSettings(timeout_s=60.5, start_timeout_s=30, permanent_exit_codes=(3, 4)),
)
PLACEMENT = Placement("ns", "http", "0123456789abcdef", "redis-secret")


def job_type(**fields: Any) -> JobType:
    return JobType.model_validate({"name": "http-ingest", "image": "runner:1", **fields})


def rendered(patch: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return kube_job(ATTEMPT, job_type(podTemplate=patch or {}, **fields), PLACEMENT)


def runner_of(kube_job: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = kube_job["spec"]["template"]["spec"]["containers"][0]
    return container


def environment_of(kube_job: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable for variable in runner_of(kube_job)["env"]}


def test_kubernetes_never_retries_and_never_starts_a_second_pod_beside_the_first() -> None:
    spec = rendered()["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["ttlSecondsAfterFinished"] >= 3600


def test_the_verdict_is_stamped_by_fail_job_rules_in_order() -> None:
    rules = rendered()["spec"]["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in rules} == {"FailJob"}
    assert rules[0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    codes = [(rule["onExitCodes"]["operator"], rule["onExitCodes"]["values"]) for rule in rules[1:]]
    assert codes == [("In", [137]), ("In", [143]), ("In", [64, 70, 75, 76]), ("NotIn", [0])]


def test_kubernetes_own_deadline_comes_after_ours() -> None:
    assert rendered()["spec"]["activeDeadlineSeconds"] == 61 + 30 + 120


def test_the_pod_is_as_restricted_as_pod_security_asks() -> None:
    pod = rendered()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["containers"][0]["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]
    assert pod["volumes"] == [{"name": "scratch", "emptyDir": {}}]


def test_labels_find_the_job_and_the_annotation_holds_it_exactly() -> None:
    kube_job = rendered()
    template = kube_job["spec"]["template"]["metadata"]
    for labels in (kube_job["metadata"]["labels"], template["labels"]):
        assert labels[naming.LABEL_QUEUE] == naming.label_value("http requests")
        assert labels[naming.LABEL_JOB_ID] == naming.label_value("repeat:x:1")
        assert labels[naming.LABEL_JOB_TYPE] == "http-ingest"
        assert labels[naming.LABEL_INSTALLATION] == "0123456789abcdef"
    for kept in (kube_job["metadata"]["annotations"], template["annotations"]):
        assert attempt_from_text(kept[naming.ANNOTATION_ATTEMPT]) == ATTEMPT
    assert template["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_the_runner_can_read_its_assignment_from_the_environment() -> None:
    variables = environment_of(rendered(settings={"base": "http://$(HOME)/"}))
    plain = {name: variable["value"].replace("$$", "$") for name, variable in variables.items() if "value" in variable}
    secrets = {"BULLPEN_REDIS_URL": "redis://r", "BULLPEN_POD_UID": "uid"}
    assignment = Assignment.from_environment(plain | secrets)
    assert assignment.job_id == "repeat:x:1"
    assert assignment.fence == f"{TOKEN}#uid"
    assert assignment.processor == "http-ingest"
    assert assignment.attempt == 2
    assert assignment.timeout_s == 60.5
    assert assignment.settings == {"base": "http://$(HOME)/"}


def test_secrets_come_by_reference_only() -> None:
    variables = environment_of(rendered(graph={"secretRef": {"name": "graph-secret"}}))
    references = {
        name: variable["valueFrom"]["secretKeyRef"]
        for name, variable in variables.items()
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    assert references == {
        "BULLPEN_REDIS_URL": {"name": "redis-secret", "key": "url"},
        "BULLPEN_REDIS_CA": {"name": "redis-secret", "key": "ca.crt", "optional": True},
        "BULLPEN_GRAPH_URL": {"name": "graph-secret", "key": "url"},
        "BULLPEN_GRAPH_UPDATE_URL": {"name": "graph-secret", "key": "updateUrl", "optional": True},
        "BULLPEN_GRAPH_USERNAME": {"name": "graph-secret", "key": "username", "optional": True},
        "BULLPEN_GRAPH_PASSWORD": {"name": "graph-secret", "key": "password", "optional": True},
    }
    assert variables["BULLPEN_POD_UID"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_a_processor_resources_and_variables_of_the_job_type_are_applied() -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi", "ephemeral-storage": "1Gi"}}
    source = {"secretKeyRef": {"name": "s", "key": "k"}}
    kube_job = rendered(
        processor="other", resources=resources, env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": source}]
    )
    variables = environment_of(kube_job)
    assert variables["BULLPEN_PROCESSOR"]["value"] == "other"
    assert variables["A"] == {"name": "A", "value": "1"}
    assert variables["B"] == {"name": "B", "valueFrom": source}
    assert runner_of(kube_job)["resources"] == resources


def test_a_job_type_without_image_uses_the_charts_or_is_refused() -> None:
    bare = JobType.model_validate({"name": "x"})
    placement = Placement("ns", "http", "i", "r", default_image="default:1", image_pull_policy="Never")
    assert runner_of(kube_job(ATTEMPT, bare, placement))["image"] == "default:1"
    assert runner_of(kube_job(ATTEMPT, bare, placement))["imagePullPolicy"] == "Never"
    with pytest.raises(ConfigurationFaultError, match="names no image"):
        kube_job(ATTEMPT, bare, PLACEMENT)


def test_a_pod_template_is_merged_and_our_labels_stay_ours() -> None:
    kube_job = rendered(
        {
            "metadata": {"labels": {"team": "red", naming.LABEL_QUEUE: "forged"}, "annotations": {"a": "b"}},
            "spec": {
                "terminationGracePeriodSeconds": 20,
                "nodeSelector": {"disk": "ssd"},
                "containers": [{"name": "runner", "volumeMounts": [{"mountPath": "/data", "name": "data"}]}],
                "volumes": [{"name": "data", "emptyDir": {}}],
            },
        }
    )
    template = kube_job["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "red"
    assert template["metadata"]["labels"][naming.LABEL_QUEUE] == naming.label_value("http requests")
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["spec"]["terminationGracePeriodSeconds"] == 20
    assert [mount["mountPath"] for mount in runner_of(kube_job)["volumeMounts"]] == ["/tmp", "/data"]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"hostNetwork": True}, "sets hostNetwork", id="host-network"),
        pytest.param({"hostPID": True}, "sets hostPID", id="host-pid"),
        pytest.param({"hostIPC": True}, "sets hostIPC", id="host-ipc"),
        pytest.param({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, "mounts a hostPath", id="host-path"),
        pytest.param(
            {"containers": [{"name": "runner", "securityContext": {"privileged": True}}]}, "privileged", id="privileged"
        ),
        pytest.param(
            {"initContainers": [{"name": "i", "securityContext": {"privileged": True}}]},
            "makes the container 'i' privileged",
            id="privileged-init",
        ),
        pytest.param(
            {"securityContext": {"windowsOptions": {"hostProcess": True}}}, "hostProcess", id="host-process-pod"
        ),
        pytest.param(
            {"containers": [{"name": "runner", "securityContext": {"windowsOptions": {"hostProcess": True}}}]},
            "hostProcess",
            id="host-process",
        ),
        pytest.param({"serviceAccountName": "admin"}, "names the ServiceAccount 'admin'", id="account"),
        pytest.param({"automountServiceAccountToken": True}, "mounts a ServiceAccount token", id="token"),
        pytest.param({"restartPolicy": "OnFailure"}, "changes restartPolicy", id="restart-policy"),
        pytest.param({"containers": [{"name": "runner", "$patch": "delete"}]}, "removes the container", id="no-runner"),
        pytest.param(
            {"containers": [{"name": "runner", "env": [{"name": "BULLPEN_TOKEN", "value": "x"}]}]},
            "starts with BULLPEN_",
            id="our-variable",
        ),
        pytest.param({"volumes": "none"}, "volumes: expected a list", id="no-list"),
        pytest.param({"securityContext": []}, "securityContext: expected an object", id="no-object"),
        pytest.param({"containers": [{"image": "x"}]}, "every element needs a 'name'", id="patch"),
    ],
)
def test_what_no_attempt_may_have_is_refused_in_one_sentence(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationFaultError) as caught:
        rendered({"spec": spec})
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("job type 'http-ingest': ")


def test_the_whole_is_json_and_rendering_twice_gives_the_same() -> None:
    assert json.dumps(rendered()) == json.dumps(rendered())


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"settings": 1}', '{"settings": {}, "queue": "q"}'])
def test_an_annotation_that_is_no_attempt_is_none(text: str) -> None:
    assert attempt_from_text(text) is None


def test_exact_ids_survive_the_annotation() -> None:
    odd = Attempt("ns/q", "p", "q", "\ud800\x00é", "näme", TOKEN)
    assert attempt_to_text(odd).isascii()
    assert attempt_from_text(attempt_to_text(odd)) == odd


def test_a_bare_pod_is_the_kube_job_s_pod_under_the_kube_job_s_name() -> None:
    whole = job_type(workload="Pod", podTemplate={"spec": {"priorityClassName": "low"}})
    pod, kube_job = rendered_as(ATTEMPT, whole, PLACEMENT), rendered({"spec": {"priorityClassName": "low"}})
    template = kube_job["spec"]["template"]
    assert pod["metadata"]["name"] == kube_job["metadata"]["name"]
    assert pod["metadata"]["labels"] == template["metadata"]["labels"]
    assert pod["metadata"]["annotations"] == template["metadata"]["annotations"]
    deadline = {"activeDeadlineSeconds": kube_job["spec"]["activeDeadlineSeconds"]}
    assert pod["spec"] == deadline | template["spec"]


def test_the_runner_is_told_its_image_and_its_limits() -> None:
    limits = {"limits": {"memory": "512Mi", "cpu": "500m"}}
    variables = environment_of(rendered(image="registry/x:1", resources=limits))
    assert variables["BULLPEN_IMAGE"]["value"] == "registry/x:1"
    assert variables["BULLPEN_MEMORY_LIMIT_BYTES"]["valueFrom"]["resourceFieldRef"] == {
        "containerName": "runner",
        "resource": "limits.memory",
        "divisor": "1",
    }
    assert variables["BULLPEN_CPU_LIMIT_MILLICORES"]["valueFrom"]["resourceFieldRef"] == {
        "containerName": "runner",
        "resource": "limits.cpu",
        "divisor": "1m",
    }


def test_a_limit_that_there_is_not_is_not_told() -> None:
    variables = environment_of(rendered(resources={"requests": {"memory": "1Gi", "cpu": "1"}}))
    assert not {"BULLPEN_MEMORY_LIMIT_BYTES", "BULLPEN_CPU_LIMIT_MILLICORES"} & set(variables)


def test_what_is_handed_on_reaches_every_runner_that_does_not_say_otherwise() -> None:
    placement = Placement("ns", "http", "0123456789abcdef", "redis-secret", handed_on={"LOGS_WS_URL": "http://h/$(X)"})
    told = environment_of(kube_job(ATTEMPT, job_type(), placement))
    assert told["LOGS_WS_URL"] == {"name": "LOGS_WS_URL", "value": "http://h/$$(X)"}
    own = kube_job(ATTEMPT, job_type(env=[{"name": "LOGS_WS_URL", "value": ""}]), placement)
    said = [one for one in runner_of(own)["env"] if one["name"] == "LOGS_WS_URL"]
    assert said == [{"name": "LOGS_WS_URL", "value": ""}]
