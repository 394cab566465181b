"""A release from its first version to its end, under a user that no image knows: jobs run through all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import CONTROL_PLANE, Cluster, CommandError, until
from e2e.job_types import DEMO, SMALL, assert_never_two_at_once
from e2e.queues import Queues
from support import ROOT

HERE = Path(__file__).parent
CHART = ROOT / "charts" / "bullpen"
NAMESPACE = "leaving"
ANYBODY = {"runAsUser": 1000660000, "runAsGroup": 0}
"""As OpenShift gives them."""
VALUES: dict[str, Any] = {
    "podSecurityContext": ANYBODY,
    "podAnnotations": {"bullpen.dev/note": "before"},
    "drain": {"graceSeconds": 8},
    "test": {"redisSecret": "nowhere", "timeoutSeconds": 2},
    # the suite's own image in the place of the official one
    "redis": {"trial": {"enabled": True, "image": {"repository": "bullpen-redis", "tag": "e2e"}, "runAsUser": 0}},
    "queues": {"tried": {"jobTypes": [{"name": "http-ingest"}]}},
}


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Cluster:
    there = cluster.elsewhere(NAMESPACE)
    # of a run that was kept: the operator first, or it would ask for what it may no more
    there.kubectl("delete", "deployments", "--all", "--cascade=foreground")
    there.helm("uninstall", "bp", "--ignore-not-found", "--no-hooks", "--wait")
    there.kubectl("delete", "jobs,pods,jobqueues", "--all", "--wait=true")
    return there


@pytest.fixture(scope="module")
def there(place: Cluster, queues: Queues) -> Queues:
    return Queues(place, queues.redis, queues.client, queues.history)


@pytest.fixture(scope="module")
def version_before(place: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Install what a release before this one would have been: another version, image and pod."""
    known = "docker.io/library/bullpen-operator"
    place.on_node(CONTROL_PLANE, f"ctr -n k8s.io images tag --force {known}:e2e {known}:before")
    folder = tmp_path_factory.mktemp("charts")
    place.helm("package", str(CHART), "--version", "0.0.1", "--app-version", "before", "-d", str(folder))
    values = folder / "values.json"
    values.write_text(json.dumps(VALUES | {"image": {"tag": "before"}}))
    arguments = ("-f", str(HERE / "values.yaml"), "-f", str(values), "--wait")
    place.helm("install", "bp", str(folder / "bullpen-0.0.1.tgz"), *arguments)


def sleeper(name: str, workload: str = "Job") -> dict[str, Any]:
    template = {"spec": {"securityContext": ANYBODY, "terminationGracePeriodSeconds": 5}}
    known = {"processor": "demo-sleep", "image": DEMO, "resources": SMALL, "podTemplate": template}
    return {"name": name, "workload": workload, **known}


def waiting_script(name: str, workload: str = "Job") -> dict[str, Any]:
    """A job type whose jobs end when they are let go."""
    return script(name, "while [ ! -e /bullpen/go ]; do sleep 0.1; done", workload=workload)


def script(name: str, text: str, grace_s: int = 5, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "command": ["sh", "-c", text], "securityContext": {"readOnlyRootFilesystem": True}}
    spec = {"securityContext": ANYBODY, "terminationGracePeriodSeconds": grace_s, "containers": [container]}
    image = {"runner": "plain", "image": "debian:bookworm-slim"}
    return {"name": name, "resources": SMALL, "podTemplate": {"spec": spec}, **image, **more}


def uids(cluster: Cluster, *arguments: str) -> list[str]:
    return sorted(one["metadata"]["uid"] for one in cluster.objects("pods", *arguments))


def columns(cluster: Cluster) -> list[str]:
    [crd] = cluster.objects("crd", "jobqueues.bullpen.dev")
    return [one["name"] for one in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


MATRIX: dict[str, dict[str, Any]] = {
    "by-itself": {},
    "everything": {
        "replicas": 2,
        "imagePullSecrets": ["pull"],
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],
        "networkPolicy": {"enabled": True, "runnerEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
        "redis": {"trial": {"enabled": True}},
        "queues": {"q": {"jobTypes": [{"name": "*"}]}},
        "podSecurityContext": ANYBODY,
    },
    "several-namespaces": {"namespaces": ["jobs", NAMESPACE], "redisSecrets": ["redis"], "graphSecrets": ["graph"]},
    "nothing-of-its-own": {"rbac": {"create": False}, "serviceAccount": {"create": False}, "crds": {"install": False}},
}


JUDGED = "kubectl create --dry-run=server --validate=strict -f -"


@pytest.mark.parametrize("name", MATRIX)
def test_the_api_server_takes_all_that_the_chart_renders(place: Cluster, name: str) -> None:
    rendered = place.helm("template", "dry", str(CHART), "--validate", "-f", "-", stdin=json.dumps(MATRIX[name]))
    said = place.shell(JUDGED, stdin=rendered)
    assert said.count("created (server dry run)") == len([one for one in yaml.safe_load_all(rendered) if one])


def test_the_api_server_takes_the_preset_of_ontoweb_pt(place: Cluster) -> None:
    rendered = place.helm("template", "dry", str(CHART), "--validate", "-f", str(ROOT / "presets" / "ontowebpt.yaml"))
    said = place.shell(JUDGED, stdin=rendered)
    assert len(re.findall(r"^jobqueue.bullpen.dev/ontoweb-\w+ created", said, re.MULTILINE)) == 4


@pytest.mark.parametrize("what", ["PodMonitor", "NetworkPolicy enforcement", "OpenShift's SCC"])
def test_what_this_cluster_cannot_verify_is_said_by_name(what: str) -> None:
    pytest.skip(f"RENDERED ONLY: {what}")


def test_an_upgrade_touches_no_running_pod_and_brings_the_definition_up_to_date(
    place: Cluster, there: Queues, version_before: None, tmp_path: Path
) -> None:
    job_types = [waiting_script("job"), waiting_script("pod", "Pod"), sleeper("sleep")]
    queue = there.serve("upgraded", job_types, concurrency=2)
    ids = [queue.add(name, {}, attempts=1) for name in ("job", "pod")]
    pods = [queue.until_running(job_id).name for job_id in ids]
    last = queue.add("sleep", {"seconds": 0.1}, attempts=1)
    attempts = ("-l", "bullpen.dev/queue=upgraded")
    running, operator = uids(place, *attempts), uids(place, "-l", "app.kubernetes.io/component=operator")
    shown = columns(place)
    more = [{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-", "value": _GONE}]
    place.kubectl("patch", "crd", "jobqueues.bullpen.dev", "--type=json", "-p", json.dumps(more))

    (tmp_path / "values.json").write_text(json.dumps(VALUES | {"podAnnotations": {}}))
    place.helm(
        "upgrade", "bp", str(CHART), "-f", str(HERE / "values.yaml"), "-f", str(tmp_path / "values.json"), "--wait"
    )
    assert uids(place, "-l", "app.kubernetes.io/component=operator") != operator
    assert uids(place, *attempts) == running
    assert columns(place) == shown
    assert [queue.story(job_id) for job_id in ids] == [["added", "waiting", "active"]] * 2, "and they still run"

    for pod in pods:
        place.kubectl("exec", pod, "-c", "main", "--", "touch", "/bullpen/go")
    queue.until_counts(120, completed=3)
    for job_id in (*ids, last):
        assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
        [life] = queue.until_ended(job_id)
        assert life.exit_code == 0


_GONE = {"name": "Gone", "type": "string", "jsonPath": ".spec.queue"}


def test_helm_test_has_a_real_job_completed(cluster: Cluster, queues: Queues) -> None:
    said = cluster.helm("test", "bp", "--logs")
    assert "Phase:          Succeeded" in said
    assert re.search(r"^added job \d+ \(echo\) to queue bp-bullpen-test$", said, re.MULTILINE)
    assert re.search(r'^it completed: \{"release":"bp","revision":\d+\}$', said, re.MULTILINE)
    assert "bp-bullpen-test" not in [one["metadata"]["name"] for one in cluster.objects("jobqueues")]


def test_queues_of_the_values_are_served_by_the_redis_for_trials_of_which_the_notes_warn(
    place: Cluster, version_before: None
) -> None:
    place.kubectl("wait", "--for=condition=Ready", "jobqueue/tried", "--timeout=60s")
    [queue] = place.objects("jobqueue", "tried")
    assert queue["spec"]["redis"] == {"secretRef": {"name": "bp-bullpen-redis"}}
    notes = place.helm("get", "notes", "bp")
    assert "a Redis FOR TRIALS ONLY" in notes
    assert "Its queues: tried. Next:" in notes


def test_helm_test_says_in_one_sentence_why_it_failed(place: Cluster, version_before: None) -> None:
    secret = {"name": "nowhere", "namespace": NAMESPACE}
    place.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {"url": "redis://127.0.0.1:1"}}
    )
    with pytest.raises(CommandError) as caught:
        place.helm("test", "bp", "--logs")
    assert "Phase:          Failed" in str(caught.value)
    assert re.search(
        r"^Redis does not .* 127.0.0.1:1. .*may pods reach it\?$", place.kubectl("logs", "bp-bullpen-test")
    )


def test_an_uninstall_gives_everything_back_and_leaves_nothing(
    place: Cluster, there: Queues, version_before: None
) -> None:
    unschedulable = sleeper("nowhere")
    unschedulable["podTemplate"]["spec"]["nodeSelector"] = {"no.such/label": "x"}
    deaf = script("deaf", "trap '' TERM; while :; do sleep 0.2; done", grace_s=3600)
    job_types = [sleeper("job"), sleeper("pod", "Pod"), deaf, unschedulable]
    queue = there.serve("left", job_types, concurrency=4)
    running = [queue.add(name, {"seconds": 300}, attempts=1) for name in ("job", "pod", "deaf")]
    for job_id in running:
        queue.until_running(job_id)
    pending = queue.add("nowhere", {}, attempts=1)
    queue.until_counts(30, active=4)
    waiting = [queue.add("job", {}, attempts=1) for _ in range(3)]
    later = queue.add("job", {}, attempts=1, delay=3_600_000)

    place.helm("uninstall", "bp")
    assert queue.counts() == {"waiting": 3, "delayed": 5}
    for job_id in (*running, pending):
        assert queue.story(job_id) == ["added", "waiting", "active", "delayed"]
    assert [queue.story(job_id) for job_id in waiting] == [["added", "waiting"]] * 3
    everybody = (*running, pending, *waiting, later)
    assert [queue.node.job(job_id, "toJSON")["attemptsMade"] for job_id in everybody] == [0] * 8
    for job_id in running:
        assert_never_two_at_once(queue.until_ended(job_id))
    assert not queue.redis.exists("bull:bullpen:outbox")

    kinds = "jobs,pods,leases,deployments,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,services"

    def gone() -> bool:
        names = {one["metadata"]["name"] for one in place.objects(kinds)}
        return names == {"default", "kube-root-ca.crt"}

    until("nothing is left of the release", 30, gone)
    clustered = place.objects("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=bp")
    assert [one["metadata"]["name"] for one in clustered if NAMESPACE in one["metadata"]["name"]] == []
    assert columns(place), "the definition stays, and with it JobQueues that the release did not make"
    assert [one["metadata"]["name"] for one in place.objects("jobqueues")] == ["left", "upgraded"]
