"""The shape of a plain pod: the user's container as he described it, and two of ours that nobody changes."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml
from pydantic import ValidationError

from bullpen_operator.leftovers import leftovers, trace_of
from bullpen_operator.manifest import Placement, attempt_from_text, kube_job
from bullpen_operator.model import JobQueue, JobQueueSpec, JobType
from bullpen_operator.naming import ANNOTATION_ATTEMPT
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.seen import Attempt
from bullpen_protocol.assignment import Assignment
from support import ROOT

PLACEMENT: Final = Placement(
    "ns", "words", "0123456789abcdef", "redis-secret", default_image="runner:1", image_pull_policy="Never"
)
PLAIN: Final = {"name": "count", "runner": "plain", "image": "debian:1"}
Json = dict[str, Any]


def spec(*job_types: Json, **defaults: Any) -> JobQueueSpec:
    body = {"queue": "q", "redis": {"secretRef": {"name": "r"}}, "jobTypes": list(job_types), "defaults": defaults}
    return JobQueueSpec.model_validate(body)


def whole(*job_types: Json, **defaults: Any) -> JobType:
    found = spec(*job_types, **defaults).job_type("count")
    assert found is not None
    return found


def rendered(patch: Json | None = None, placement: Placement = PLACEMENT, **fields: Any) -> Json:
    job_type = whole({**PLAIN, "timeout": "60500ms", "podTemplate": patch or {}, **fields})
    queue = spec(PLAIN)
    settings = job_type.attempt_settings(queue.lock_duration)
    attempt = Attempt("ns/words", "bull", "words", "a$(HOME)b", "count", "bullpen/i/8e5c", 2, settings)
    return kube_job(attempt, job_type, placement)


def pod_of(kube_job: Json) -> Json:
    pod: Json = kube_job["spec"]["template"]["spec"]
    return pod


def test_the_user_s_container_gets_seven_variables_and_nothing_else_of_ours() -> None:
    [main] = pod_of(rendered(env=[{"name": "A", "value": "1"}]))["containers"]
    assert {one["name"]: one["value"] for one in main["env"]} == {
        "BULLPEN_PAYLOAD": "/bullpen/payload",
        "BULLPEN_PROGRESS": "/bullpen/progress",
        "BULLPEN_RESULT": "/bullpen/result",
        "BULLPEN_QUEUE": "words",
        "BULLPEN_JOB_ID": "a$$(HOME)b",
        "BULLPEN_JOB_NAME": "count",
        "BULLPEN_ATTEMPT": "2",
        "A": "1",
    }
    assert (main["name"], main["image"]) == ("main", "debian:1")
    assert "imagePullPolicy" not in main, "that of the operator is for the runner's image"
    assert main["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_only_the_injected_containers_know_of_redis() -> None:
    pod = pod_of(rendered(env=[{"name": "A", "value": "1"}]))
    fetch, watch = pod["initContainers"]
    assert [one["name"] for one in pod["initContainers"]] == ["bullpen-fetch", "bullpen-watch"]
    assert fetch["command"] == ["python", "-m", "bullpen_runner.plain", "fetch"]
    assert watch["command"] == ["python", "-m", "bullpen_runner.plain", "watch"]
    assert watch["restartPolicy"] == "Always", "a native sidecar: it outlives the main container"
    assert "restartPolicy" not in fetch
    for ours in (fetch, watch):
        assert (ours["image"], ours["imagePullPolicy"]) == ("runner:1", "Never")
        literals = {one["name"]: one["value"].replace("$$", "$") for one in ours["env"] if "value" in one}
        secrets = {"BULLPEN_REDIS_URL": "redis://r", "BULLPEN_POD_UID": "uid"}
        assignment = Assignment.from_environment(literals | secrets)
        assert (assignment.job_id, assignment.fence) == ("a$(HOME)b", "bullpen/i/8e5c#uid")
        assert "A" not in literals
    assert "redis-secret" not in json.dumps(pod["containers"])


def test_the_limits_that_are_told_are_those_of_the_user_s_container() -> None:
    for injected in pod_of(rendered(resources={"limits": {"memory": "64Mi", "cpu": "1"}}))["initContainers"]:
        asked = [one["valueFrom"]["resourceFieldRef"] for one in injected["env"] if "LIMIT" in one["name"]]
        assert [(one["containerName"], one["resource"]) for one in asked] == [
            ("main", "limits.memory"),
            ("main", "limits.cpu"),
        ]


def test_every_container_is_restricted_and_the_files_are_in_a_volume_of_the_pod_s_own() -> None:
    pod = pod_of(rendered())
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["volumeMounts"] == [{"name": "bullpen", "mountPath": "/bullpen"}]
    assert pod["volumes"] == [{"name": "bullpen", "emptyDir": {}}]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False


def test_the_kubelet_ends_it_a_little_after_its_timeout_and_kubernetes_long_after() -> None:
    job = rendered()
    assert pod_of(job)["activeDeadlineSeconds"] == 61 + 15
    assert job["spec"]["activeDeadlineSeconds"] == 61 + 600 + 120


def test_the_verdict_is_stamped_by_the_main_container_s_exit_code_and_none_of_ours_is_taken_from_it() -> None:
    rules = rendered()["spec"]["podFailurePolicy"]["rules"]
    codes = [rule["onExitCodes"] for rule in rules[1:]]
    assert [(one["containerName"], one["operator"], one["values"]) for one in codes] == [
        ("bullpen-fetch", "NotIn", [0]),
        ("main", "In", [137]),
        ("main", "NotIn", [0]),
    ]


def test_kubectl_logs_shows_the_user_s_container() -> None:
    annotations = rendered()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "main"
    attempt = attempt_from_text(annotations[ANNOTATION_ATTEMPT])
    assert attempt is not None
    assert (attempt.settings.plain, attempt.settings.wait_for_unreachable) == (True, True)


def test_what_a_vanished_jobqueue_left_is_found_by_the_secret_of_the_sidecar() -> None:
    [leftover] = leftovers(filter(None, [trace_of(rendered())]), [])
    assert leftover.spec.redis.secret_ref.name == "redis-secret"


def test_a_plain_job_needs_the_runner_s_image_too() -> None:
    with pytest.raises(ConfigurationFaultError, match=r"needs the runner's image too; set runner\.image in the chart"):
        rendered(placement=Placement("ns", "words", "i", "r"))


def test_a_pod_template_patches_the_container_main_and_may_add_others() -> None:
    patch = {
        "containers": [{"name": "main", "command": ["sh"], "securityContext": {"readOnlyRootFilesystem": True}}],
        "initContainers": [{"name": "warm-up", "image": "x"}],
    }
    pod = pod_of(rendered({"spec": patch}))
    assert pod["containers"][0]["command"] == ["sh"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert [one["name"] for one in pod["initContainers"]] == ["bullpen-fetch", "bullpen-watch", "warm-up"]


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        pytest.param(
            {"initContainers": [{"name": "bullpen-watch", "image": "mine"}]},
            "adds or changes the container 'bullpen-watch'",
            id="our-sidecar",
        ),
        pytest.param(
            {"initContainers": [{"name": "bullpen-fetch", "$patch": "delete"}]},
            "removes the container 'bullpen-fetch'",
            id="without-our-init-container",
        ),
        pytest.param(
            {"containers": [{"name": "bullpen-x", "image": "x"}]},
            "adds or changes the container 'bullpen-x'",
            id="name",
        ),
        pytest.param({"containers": [{"name": "main", "$patch": "delete"}]}, "removes the container 'main'", id="main"),
        pytest.param({"shareProcessNamespace": True}, "sets shareProcessNamespace", id="processes"),
        pytest.param({"activeDeadlineSeconds": 5}, "set the job type's timeout instead", id="deadline"),
        pytest.param(
            {"volumes": [{"name": "bullpen", "emptyDir": {"medium": "Memory"}}]},
            "changes the volume 'bullpen'",
            id="volume",
        ),
        pytest.param(
            {"containers": [{"name": "main", "volumeMounts": [{"mountPath": "/bullpen", "$patch": "delete"}]}]},
            "changes the volume 'bullpen'",
            id="mount",
        ),
        pytest.param(
            {"containers": [{"name": "main", "env": [{"name": "BULLPEN_RESULT", "value": "/x"}]}]},
            "starts with BULLPEN_",
            id="our-variable",
        ),
    ],
)
def test_what_would_break_the_attempt_or_show_its_credentials_is_refused(patch: Json, sentence: str) -> None:
    with pytest.raises(ConfigurationFaultError) as caught:
        rendered({"spec": patch})
    assert sentence in str(caught.value)


def test_the_shipped_example_is_served_as_it_is() -> None:
    body = yaml.safe_load((ROOT / "examples" / "plain" / "words.yaml").read_text())
    jobqueue = JobQueue.model_validate(body)
    job_type = jobqueue.spec.job_type("count")
    assert job_type is not None
    settings = job_type.attempt_settings(jobqueue.spec.lock_duration)
    [main] = pod_of(kube_job(Attempt("ns/w", "bull", "words", "1", "count", "t", 1, settings), job_type, PLACEMENT))[
        "containers"
    ]
    assert main["command"] == ["/bin/sh", "-euc"]
    assert main["env"][0]["name"] == "BULLPEN_PAYLOAD"


# ---- the model ----


@pytest.mark.parametrize(
    ("job_type", "defaults", "sentence"),
    [
        pytest.param({"image": None}, {}, "has runner: plain and no image", id="no-image"),
        pytest.param({"processor": "p"}, {}, "has runner: plain and processor", id="processor"),
        pytest.param({"settings": {}}, {}, "has runner: plain and settings", id="settings"),
        pytest.param({"graph": {"secretRef": {"name": "g"}}}, {}, "has runner: plain and graph", id="graph"),
        pytest.param(
            {"runner": None, "processor": "p"}, {"runner": "plain"}, "has runner: plain and processor", id="by-default"
        ),
        pytest.param({"runner": "managed", "onUnreachable": "giveBack"}, {}, "sets onUnreachable", id="managed"),
        pytest.param({"runner": "odd"}, {}, "'managed' or 'plain'", id="no-such-runner"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(job_type: Json, defaults: Json, sentence: str) -> None:
    body = {name: value for name, value in (PLAIN | job_type).items() if value is not None}
    with pytest.raises(ValidationError) as caught:
        spec(body, **defaults)
    assert sentence in str(caught.value)


def test_a_plain_job_type_takes_its_image_and_runner_from_the_defaults() -> None:
    job_type = whole({"name": "count"}, runner="plain", image="debian:2", onUnreachable="giveBack")
    assert (job_type.runner, job_type.image) == ("plain", "debian:2")
    assert not job_type.attempt_settings(spec(PLAIN).lock_duration).wait_for_unreachable


def test_a_plain_job_type_does_not_inherit_what_is_for_managed_ones() -> None:
    defaults = {"processor": "p", "settings": {"a": 1}, "graph": {"secretRef": {"name": "g"}}, "timeout": "7s"}
    job_type = whole(PLAIN, **defaults)
    assert (job_type.processor, job_type.settings, job_type.graph) == (None, {}, None)
    assert job_type.timeout.total_seconds() == 7


def test_a_job_type_is_managed_unless_it_says_otherwise() -> None:
    job_type = whole({"name": "count"})
    assert job_type.runner == "managed"
    assert not job_type.attempt_settings(spec(PLAIN).lock_duration).plain
