"""What a JobQueue may ask for is for whoever runs the operator to say."""

from __future__ import annotations

from typing import Any

import pytest

from bullpen_operator.allowed import Allowed, matches
from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.settings import from_environment
from fakes.sights import an_attempt

STRICT = Allowed(
    images=("registry.example.com/team/*", "exact:1"), service_accounts=("uploader",), volumes=("emptyDir",),
    node_selectors=("example.com/*",),
)  # fmt: skip


def rendered(allowed: Allowed = STRICT, image: str = "exact:1", **spec: Any) -> dict[str, Any]:
    job_type = JobType.model_validate({"name": "t", "image": image, "podTemplate": {"spec": spec}})
    body = kube_job(an_attempt(), job_type, Placement("ns", "jq", "i", "redis", "ours:1", allowed=allowed))
    pod: dict[str, Any] = body["spec"]["template"]["spec"]
    return pod


def affinity(key: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": key, "operator": "Exists"}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def preferred(key: str) -> dict[str, Any]:
    term = {"weight": 1, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}


@pytest.mark.parametrize("image", ["registry.example.com/team/x:1", "exact:1", "ours:1"])
def test_what_is_allowed_is_rendered(image: str) -> None:
    pod = rendered(
        image=image,
        nodeSelector={"example.com/disk": "fast"},
        affinity=affinity("example.com/x"),
        serviceAccountName="uploader",
        automountServiceAccountToken=True,
    )
    assert pod["serviceAccountName"] == "uploader"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"image": "exact:2"}, "uses the image 'exact:2'", id="image"),
        pytest.param(
            {"initContainers": [{"name": "i", "image": "other"}]}, "uses the image 'other'", id="image-of-an-init"
        ),
        pytest.param({"serviceAccountName": "admin"}, "names the ServiceAccount 'admin'", id="account"),
        pytest.param({"serviceAccount": "admin"}, "names the ServiceAccount 'admin'", id="account-by-its-old-name"),
        pytest.param({"volumes": [{"name": "v", "nfs": {}}]}, "mounts a nfs", id="volume"),
        pytest.param({"nodeSelector": {"role": "db"}}, "selects nodes by 'role'", id="selector"),
        pytest.param({"affinity": affinity("role")}, "selects nodes by 'role'", id="affinity"),
        pytest.param({"affinity": preferred("role")}, "selects nodes by 'role'", id="preference"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationFaultError, match=sentence):
        rendered(**spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath", id="host-path"),
        pytest.param({"nodeName": "node-1"}, "nodeName", id="node-name"),
        pytest.param({"automountServiceAccountToken": True}, "ServiceAccount token", id="token"),
        pytest.param(
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}}]},
            "projects a ServiceAccount token",
            id="projected-token",
        ),
        pytest.param(
            {"containers": [{"name": "runner", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
            "adds capabilities",
            id="capabilities",
        ),
    ],
)
def test_some_things_are_refused_whatever_is_allowed(spec: dict[str, Any], sentence: str) -> None:
    everything = Allowed(("*",), (), ("*",), ("*",))
    with pytest.raises(ConfigurationFaultError, match=sentence):
        rendered(everything, **spec)


@pytest.mark.parametrize(("name", "allowed"), [("ab", True), ("a", True), ("b", False), ("", False)])
def test_a_pattern_is_a_beginning(name: str, allowed: bool) -> None:
    assert matches(name, ("a*",)) == allowed


def test_a_star_inside_is_no_pattern() -> None:
    assert not matches("axb", ("a*b",))


def test_the_environment_says_what_is_allowed_and_nothing_is_nothing() -> None:
    settings = from_environment(
        {"BULLPEN_NAMESPACES": "ns", "BULLPEN_ALLOWED_IMAGES": "a/*, b", "BULLPEN_ALLOWED_VOLUMES": ""}
    )
    assert settings.allowed == Allowed(images=("a/*", "b"), volumes=())
