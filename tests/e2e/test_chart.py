"""What the chart renders, read back as objects: values arrive, and nothing asks for more than it needs."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from support import ROOT, require

CHART = ROOT / "charts" / "bullpen"


def helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    command = [require("helm"), *arguments]
    if values is not None:
        command += ["--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def rendered(**values: Any) -> list[dict[str, Any]]:
    done = helm("template", "bp", str(CHART), "--namespace", "ns", "--kube-version", "1.34", values=values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def only(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == kind]
    return found


def role(name: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == "Role" and one["metadata"]["name"] == name]
    return found


def container(**values: Any) -> dict[str, Any]:
    [found] = only("Deployment", rendered(**values))["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(**values: Any) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(**values)["env"]}


def test_helm_has_nothing_to_complain_about() -> None:
    done = helm("lint", str(CHART), "--strict")
    assert done.returncode == 0, done.stdout


def test_two_operators_never_overlap_by_a_rollout() -> None:
    spec = only("Deployment", rendered())["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    several = only("Deployment", rendered(replicas=2))["spec"]
    assert several["replicas"] == 2
    assert several["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_the_operator_is_as_restricted_as_its_runners() -> None:
    pod = only("Deployment", rendered())["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_role_has_only_the_verbs_that_are_used() -> None:
    rules = {
        (rule["apiGroups"][0], resource): (sorted(rule["verbs"]), rule.get("resourceNames"))
        for rule in role("bp-bullpen", rendered())["rules"]
        for resource in rule["resources"]
    }
    assert rules == {
        ("bullpen.dev", "jobqueues"): (["list", "watch"], None),
        ("bullpen.dev", "jobqueues/status"): (["patch"], None),
        ("batch", "jobs"): (["create", "delete", "get", "list", "patch", "watch"], None),
        ("", "pods"): (["create", "delete", "get", "list", "patch", "watch"], None),
        ("", "pods/log"): (["get"], None),
        ("", "events"): (["create", "list"], None),
        ("", "secrets"): (["get"], None),
        ("", "namespaces"): (["get"], ["ns"]),
    }
    assert only("ClusterRole", rendered())["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]


def test_the_lease_is_in_the_release_s_own_namespace_and_only_its_own_is_touched() -> None:
    lease = role("bp-bullpen-lease", rendered(namespaces=["a"]))
    assert lease["metadata"]["namespace"] == "ns"
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in lease["rules"]] == [
        (["create"], None),
        (["get", "patch"], ["bp-bullpen"]),
    ]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"redisSecrets": ["a", "b"]}, ["a", "b"]),
        ({"redisSecrets": ["a"], "graphSecrets": ["g", "a"]}, ["a", "g"]),
        ({"graphSecrets": ["g"]}, None),
    ],
)
def test_secrets_can_be_narrowed_to_those_of_redis_and_of_graph_stores(
    values: dict[str, Any], names: list[str] | None
) -> None:
    [rule] = [rule for rule in role("bp-bullpen", rendered(**values))["rules"] if "secrets" in rule["resources"]]
    assert rule.get("resourceNames") == names


def test_nodes_can_be_left_out() -> None:
    assert "ClusterRole" not in {one["kind"] for one in rendered(rbac={"nodes": False})}


def test_every_served_namespace_gets_a_role_for_the_one_account() -> None:
    objects = rendered(namespaces=["a", "b"])
    roles = [one for one in objects if one["kind"] == "Role" and one["metadata"]["name"] == "bp-bullpen"]
    assert [role["metadata"]["namespace"] for role in roles] == ["a", "b"]
    subjects = [one["subjects"] for one in objects if one["kind"] == "RoleBinding"]
    assert subjects == [[{"kind": "ServiceAccount", "name": "bp-bullpen", "namespace": "ns"}]] * 3  # and the lease's
    assert environment(namespaces=["a", "b"])["BULLPEN_NAMESPACES"] == "a,b"


def test_what_the_operator_reads_is_what_the_values_say() -> None:
    variables = environment(
        image={"tag": "1"},
        runner={"image": {"repository": "r/runner", "tag": "2", "pullPolicy": "Always"}},
        imagePullSecrets=["s", "t"],
        intervals={"auditSeconds": 7},
        limits={"podless": 9},
        allowed={"images": ["r/*", "x"], "volumes": ["emptyDir"]},
        logLevel="DEBUG",
        logServer={"url": "http://node-api:8081/logs", "coalesceWindowMs": 3600000},
    )
    assert variables == {
        "BULLPEN_NAMESPACES": "ns",
        "BULLPEN_RUNNER_IMAGE": "r/runner:2",
        "BULLPEN_IMAGE_PULL_POLICY": "Always",
        "BULLPEN_IMAGE_PULL_SECRETS": "s,t",
        "BULLPEN_AUDIT_INTERVAL_S": "7",
        "BULLPEN_STATUS_INTERVAL_S": "5",
        "BULLPEN_RESYNC_INTERVAL_S": "60",
        "BULLPEN_STALE_AFTER_S": "300",
        "BULLPEN_API_RATE": "50",
        "BULLPEN_API_BURST": "100",
        "BULLPEN_PODLESS_LIMIT": "9",
        "BULLPEN_ALLOWED_IMAGES": "r/*,x",
        "BULLPEN_ALLOWED_SERVICE_ACCOUNTS": "",
        "BULLPEN_ALLOWED_VOLUMES": "emptyDir",
        "BULLPEN_ALLOWED_NODE_SELECTORS": "*",
        "BULLPEN_LEASE": "bp-bullpen",
        "BULLPEN_OWN_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "BULLPEN_HTTP_PORT": "8080",
        "LOG_LEVEL": "DEBUG",
        "LOGS_WS_URL": "http://node-api:8081/logs",
        "LOG_COALESCE_WINDOW_MS": "3600000",
    }
    assert "LOGS_WS_URL" not in environment()


def test_a_digest_wins_over_a_tag() -> None:
    digest = f"sha256:{'a' * 64}"
    assert container(image={"tag": "1", "digest": digest})["image"] == f"bullpen-operator@{digest}"


def test_liveness_asks_whether_the_loops_turn() -> None:
    probe = container()["livenessProbe"]
    assert probe["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"replica": 2}, id="unknown"),
        pytest.param({"logLevel": "LOUD"}, id="level"),
        pytest.param({"logServer": {"url": "node-api:8081"}}, id="log-server"),
        pytest.param({"logServer": {"url": "http://user:password@h"}}, id="log-server-with-a-password"),
        pytest.param({"intervals": {"auditSeconds": 0}}, id="no-interval"),
        pytest.param({"image": {"digest": "latest"}}, id="digest"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any]) -> None:
    done = helm("template", "bp", str(CHART), "--kube-version", "1.34", values=values)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
