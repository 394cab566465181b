"""What the chart renders, read back as objects: values arrive, and nothing asks for more than it needs."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from bullpen_operator.model import JobQueueSpec
from support import ROOT, require

CHART = ROOT / "charts" / "bullpen"


def helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    command = [require("helm"), *arguments]
    if values is not None:
        command += ["--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def whole(values: dict[str, Any], *more: str) -> list[dict[str, Any]]:
    done = helm("template", "bp", str(CHART), "--namespace", "ns", "--kube-version", "1.34", *more, values=values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def hook_of(one: dict[str, Any]) -> str:
    hook: str = one["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return hook


def rendered(**values: Any) -> list[dict[str, Any]]:
    """What the release consists of, without its hooks."""
    return [one for one in whole(values) if not hook_of(one)]


def hooks(hook: str, **values: Any) -> list[dict[str, Any]]:
    return [one for one in whole(values) if hook_of(one) == hook]


def names(objects: list[dict[str, Any]]) -> list[str]:
    return [f"{one['kind']}/{one['metadata']['name']}" for one in objects]


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spec of every pod that they lead to."""
    templates = [one["spec"].get("template", one)["spec"] for one in objects if one["kind"] in ("Deployment", "Job")]
    return templates + [one["spec"] for one in objects if one["kind"] == "Pod"]


def refusal(**values: Any) -> str:
    done = helm("template", "bp", str(CHART), "--namespace", "ns", "--kube-version", "1.34", values=values)
    assert done.returncode != 0
    return done.stderr


def only(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == kind]
    return found


def role(name: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == "Role" and one["metadata"]["name"] == name]
    return found


def cluster_role(name: str, **values: Any) -> dict[str, Any]:
    wanted = ("ClusterRole", f"ns-bp-bullpen-{name}")
    [found] = [one for one in rendered(**values) if (one["kind"], one["metadata"]["name"]) == wanted]
    return found


def container(**values: Any) -> dict[str, Any]:
    objects = [one for one in rendered(**values) if one["metadata"]["name"] == "bp-bullpen"]
    [found] = only("Deployment", objects)["spec"]["template"]["spec"]["containers"]
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
    assert cluster_role("nodes")["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]


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
    objects = rendered(rbac={"nodes": False, "aggregate": False})
    assert not {"ClusterRole", "ClusterRoleBinding"} & {one["kind"] for one in objects}


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
        pytest.param({"drain": {"graceSeconds": 600}}, id="longer-than-helm-waits"),
        pytest.param({"podMonitor": {"interval": "often"}}, id="interval"),
        pytest.param({"networkPolicy": {"storePorts": ["redis"]}}, id="port"),
        pytest.param({"redis": {"enabled": True}}, id="no-redis-but-for-trials"),
        pytest.param({"queues": {"q": {"jobTypes": []}}}, id="queue-without-job-types"),
        pytest.param({"queues": {"q": {"jobTypes": [{"name": "a"}], "colour": "red"}}}, id="queue-unknown-field"),
        pytest.param({"queues": {"Q_1": {"jobTypes": [{"name": "a"}]}}}, id="queue-no-name-of-an-object"),
        pytest.param({"queues": {"q": {"jobTypes": [{"name": "a"}], "queue": "a:b"}}}, id="colon"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any]) -> None:
    assert "values don't meet the specifications of the schema" in refusal(**values)


def test_every_value_is_in_the_schema_and_no_object_of_it_takes_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    free = {"global", "resources", "affinity", "podSecurityContext"}

    def compare(values: dict[str, Any], described: dict[str, Any], path: str) -> None:
        described = schema["definitions"][described["$ref"].split("/")[-1]] if "$ref" in described else described
        if "properties" not in described:
            assert path.rpartition(".")[2] in free or "additionalProperties" in described, path
            return
        assert described["additionalProperties"] is False, path
        assert set(values) <= set(described["properties"]), path
        for name, value in values.items():
            if isinstance(value, dict):
                compare(value, described["properties"][name], f"{path}.{name}")

    compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


def test_the_fields_of_a_queue_are_those_of_a_jobqueue() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = {field.alias or name for name, field in JobQueueSpec.model_fields.items()}
    assert set(schema["definitions"]["queue"]["properties"]) == known


def test_queues_are_rendered_as_jobqueues_with_their_name_and_the_first_redis() -> None:
    told = {"queue": "other", "redis": {"secretRef": {"name": "r"}}, "jobTypes": [{"name": "b"}], "concurrency": 3}
    objects = rendered(queues={"a": {"jobTypes": [{"name": "*"}]}, "b": told}, redisSecrets=["one", "two"])
    specs = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "JobQueue"}
    assert specs == {
        "a": {"queue": "a", "redis": {"secretRef": {"name": "one"}}, "jobTypes": [{"name": "*"}]},
        "b": told,
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param({}, "queues.q has no redis; name the Secret with its URL", id="no-redis"),
        pytest.param(
            {"redisSecrets": ["r"], "namespaces": ["a"]}, "the release's namespace ns, which", id="not-served"
        ),
    ],
)
def test_queues_that_nobody_could_serve_are_refused_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(queues={"q": {"jobTypes": [{"name": "a"}]}}, **values)


def test_the_preset_of_ontoweb_pt_is_its_manifests() -> None:
    preset = yaml.safe_load((ROOT / "presets" / "ontowebpt.yaml").read_text())
    manifests = [yaml.safe_load(path.read_text()) for path in (ROOT / "manifests").glob("jobqueue-*.yaml")]
    assert {one["metadata"]["name"]: one["spec"] for one in manifests} == preset["queues"]
    objects = rendered(**preset)
    made = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "JobQueue"}
    assert made == preset["queues"]
    for spec in made.values():
        JobQueueSpec.model_validate(spec)
    served = [name for spec in made.values() for name in (one["name"] for one in spec["jobTypes"])]
    assert sorted(served) == ["http-ingest", "http-resolver", "sast-analyze", "sparql-update", "techstack-analyze"]
    [secrets] = [rule for rule in role("bp-bullpen", objects)["rules"] if "secrets" in rule["resources"]]
    assert secrets["resourceNames"] == ["ontoweb-redis", "ontoweb-graph"]


EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "image": {"registry": "registry.example:5000/team/", "tag": "1"},
    "runner": {"image": {"digest": f"sha256:{'b' * 64}"}},
    "imagePullSecrets": ["pull"],
    "priorityClassName": "high",
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"enabled": True},
    "redis": {"trial": {"enabled": True, "runAsUser": 0}},
    "queues": {"q": {"jobTypes": [{"name": "http-ingest"}]}},
}


def test_every_image_comes_from_the_one_registry() -> None:
    objects = whole(EVERYTHING)
    images = {one["image"] for pod in pods(objects) for one in pod["containers"]}
    assert images == {"registry.example:5000/team/bullpen-operator:1", "registry.example:5000/team/redis:7.4-alpine"}
    runner = f"registry.example:5000/team/bullpen-runner@sha256:{'b' * 64}"
    assert environment(**EVERYTHING)["BULLPEN_RUNNER_IMAGE"] == runner


def test_every_pod_is_restricted_pinned_to_no_user_and_placed_as_told() -> None:
    specs = pods(whole(EVERYTHING))
    assert len(specs) == 5, "operator, trial Redis, drain, definition, test"
    for spec in specs:
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert (spec["imagePullSecrets"], spec["priorityClassName"]) == ([{"name": "pull"}], "high")
        assert (spec["tolerations"], spec["nodeSelector"]) == ([{"operator": "Exists"}], {"a": "b"})
        [only_one] = spec["containers"]
        assert only_one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_user_can_be_named_for_every_pod() -> None:
    specs = pods(whole(EVERYTHING | {"podSecurityContext": {"runAsUser": 7}}))
    assert [spec["securityContext"]["runAsUser"] for spec in specs] == [7] * 5


def test_an_uninstall_is_drained_with_rights_that_nobody_has_before() -> None:
    objects = hooks("pre-delete", drain={"graceSeconds": 30})
    assert names(objects) == ["Role/bp-bullpen-drain", "RoleBinding/bp-bullpen-drain", "Job/bp-bullpen-drain"]
    rules = [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in objects[0]["rules"]]
    assert rules == [
        (["deployments/scale"], ["bp-bullpen"], ["patch"]),
        (["leases"], ["bp-bullpen"], ["delete"]),
        (["pods"], ["bp-bullpen-test"], ["delete"]),
    ]
    [spec] = pods(objects)
    assert spec["containers"][0]["args"] == [
        "drain",
        "--deployment",
        "bp-bullpen",
        "--grace",
        "30",
        "--tests",
        "bp-bullpen-test",
    ]
    assert spec["serviceAccountName"] == "bp-bullpen"
    assert hooks("pre-delete", drain={"enabled": False}) == []


def test_an_upgrade_brings_the_definition_up_to_date_and_may_touch_nothing_else() -> None:
    objects = hooks("pre-upgrade")
    [rules] = [one["rules"] for one in objects if one["kind"] == "ClusterRole"]
    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in rules] == [
        (["customresourcedefinitions"], ["jobqueues.bullpen.dev"], ["get", "update"])
    ]
    assert hooks("pre-upgrade", crds={"install": False}) == []


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        pytest.param({"redisSecrets": ["first", "second"]}, "first", id="the-first"),
        pytest.param({"redis": {"trial": {"enabled": True}}}, "bp-bullpen-redis", id="the-trial-s"),
        pytest.param({"test": {"redisSecret": "told"}, "redisSecrets": ["first"]}, "told", id="told"),
        pytest.param(
            {"queues": {"q": {"jobTypes": [{"name": "a"}], "redis": {"secretRef": {"name": "of-q"}}}}},
            "of-q",
            id="of-a-queue",
        ),
    ],
)
def test_helm_test_finds_its_redis(values: dict[str, Any], secret: str) -> None:
    objects = hooks("test", **values)
    jobqueue, pod = only("JobQueue", objects), only("Pod", objects)
    assert jobqueue["spec"]["redis"]["secretRef"]["name"] == secret
    JobQueueSpec.model_validate(jobqueue["spec"])
    assert pod["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == secret


def test_helm_test_without_any_redis_says_which_value_is_missing() -> None:
    [pod] = hooks("test")
    assert "--set test.redisSecret=NAME" in pod["spec"]["containers"][0]["command"][-1]


def test_people_get_jobqueues_with_the_cluster_s_own_roles() -> None:
    view, edit = cluster_role("view"), cluster_role("edit")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    verbs = [(rule["resources"], rule["verbs"]) for one in (view, edit) for rule in one["rules"]]
    assert verbs == [
        (["jobqueues", "jobqueues/status"], ["get", "list", "watch"]),
        (["jobqueues"], ["create", "update", "patch", "delete", "deletecollection"]),
    ]


def test_one_operator_has_no_budget_that_would_hold_up_a_drain() -> None:
    assert "PodDisruptionBudget" not in {one["kind"] for one in rendered()}
    assert only("PodDisruptionBudget", rendered(replicas=2))["spec"]["maxUnavailable"] == 1


def test_nobody_calls_a_runner_and_the_operator_is_asked_for_its_metrics_only() -> None:
    policies = {
        one["metadata"]["name"]: one["spec"] for one in rendered(**EVERYTHING) if one["kind"] == "NetworkPolicy"
    }
    operator, runners = policies["bp-bullpen"], policies["bp-bullpen-runners"]
    assert operator["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}]}]
    ports = [port["port"] for rule in operator["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 443, 6443, 6379, 26379, 7200]
    assert "ingress" not in runners
    assert (runners["policyTypes"], runners["egress"]) == (["Ingress", "Egress"], [{}])
    out = [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]
    narrow = rendered(networkPolicy={"enabled": True, "runnerEgress": out, "storePorts": [1]})
    [runners] = [one["spec"] for one in narrow if one["metadata"]["name"] == "bp-bullpen-runners"]
    assert runners["egress"][1:] == [{"ports": [{"port": 1, "protocol": "TCP"}]}, *out]


def test_the_trial_redis_is_off_by_itself() -> None:
    assert not [one for one in rendered() if one["metadata"]["labels"]["app.kubernetes.io/component"] == "redis-trial"]
