"""What a cluster does to jobs, and what becomes of them: exact counts and exact events, always."""

from __future__ import annotations

import json
import random
import urllib.parse
import urllib.request
from typing import Any

import pytest

from e2e.cluster import CONTROL_PLANE, WORKER, Cluster, CommandError, run, until, until_equal
from e2e.job_types import DEMO, GIVEN_BACK_ONCE, SMALL, assert_never_two_at_once, seconds_between, sleeper
from e2e.processes import kill_operator, signal_main
from e2e.queues import Queues
from support import ROOT

SAMPLE = ROOT / "examples" / "traffic" / "vulpy.json"

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")


def select(cluster: Cluster, query: str) -> list[dict[str, str]]:
    url = f"{cluster.graph_url}?{urllib.parse.urlencode({'query': query})}"
    request = urllib.request.Request(url, headers={"Accept": "application/sparql-results+json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        rows = json.load(response)["results"]["bindings"]
    return [{name: cell["value"] for name, cell in row.items()} for row in rows]


def test_http_traffic_goes_from_add_to_a_sparql_answer(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve(
        "http",
        [{"name": "http-ingest", "resources": SMALL, "timeout": "1m"}],
        defaults={"graph": {"secretRef": {"name": "graph"}}},
    )
    payload = json.loads(SAMPLE.read_text())
    items = payload["payload"]["items"]
    job_id = queue.add("http-ingest", payload)
    queue.until_counts(60, completed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
    [completed] = [event for event in queue.events() if event["event"] == "completed"]
    assert json.loads(completed["returnvalue"])["count"] == len(items)
    assert json.loads(queue.job(job_id)["returnvalue"]) == json.loads(completed["returnvalue"])
    [life] = queue.until_ended(job_id)
    assert (life.exit_code, life.reason) == (0, "Completed")

    ours = f"bullpen.dev/queue=http,bullpen.dev/job-id={job_id}"
    log = [json.loads(line) for line in cluster.kubectl("logs", "-l", ours).splitlines()]
    assert {(line["queue"], line["job_id"], line["attempt"]) for line in log} == {("http", job_id, 1)}

    counted = select(
        cluster,
        "SELECT (COUNT(DISTINCT ?s) AS ?n) { GRAPH ?g { ?s ?p ?o } FILTER(STRENDS(STR(?s), ?id)) VALUES ?id { "
        + " ".join(json.dumps(item["id"]) for item in items)
        + " } }",
    )
    assert counted == [{"n": str(len(items))}]

    told = ('bullpen_claims_total{jobqueue="jobs/http"}', 'bullpen_jobs{jobqueue="jobs/http",state="completed"}')

    def metrics() -> list[float]:
        found = queues.metrics()
        return [found.get(name, 0.0) for name in told]

    # jobs are counted as often as the status is written
    until_equal("one claimed, one completed", 30, metrics, [1.0, 1.0])


@pytest.mark.row(2, 4)
def test_out_of_memory_is_counted_retried_and_failed_with_its_reason(queues: Queues) -> None:
    job_type = {"name": "demo-oom", "image": DEMO, "resources": {"limits": {"memory": "64Mi"}}}
    queue = queues.serve("oom", [job_type])
    job_id = queue.add("demo-oom", {"mebibytes": 512}, attempts=2, backoff={"type": "fixed", "delay": 500})
    queue.until_counts(90, failed=1)
    story = ["added", "waiting", "active", "delayed", "waiting", "active", "failed", "retries-exhausted"]
    assert queue.story(job_id) == story
    job = queue.job(job_id)
    assert (job["atm"], job["ats"]) == ("2", "2")
    assert "memory" in job["failedReason"]
    [failed] = [event for event in queue.events() if event["event"] == "failed"]
    assert failed["failedReason"] == job["failedReason"]
    lives = queue.until_ended(job_id)
    # containerd hears of the kernel's kill beside the end, at times too late: the runner's own words decide
    assert [life.exit_code for life in lives] == [137] * 2
    assert {life.reason for life in lives} <= {"OOMKilled", "Error"}
    assert_never_two_at_once(lives)


@pytest.mark.row(9)
def test_a_drained_job_is_given_back_and_runs_elsewhere(queues: Queues, worker_back: None) -> None:
    queue = queues.serve("drained", sleeper())
    job_id = queue.add("demo-sleep", {"seconds": 6}, attempts=1)
    assert queue.until_running(job_id).node == WORKER
    queue.drain_worker()
    queue.until_counts(60, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert (queue.job(job_id)["atm"], queue.job(job_id)["ats"]) == ("1", "2"), "no attempt was spent on the drain"
    lives = queue.until_ended(job_id)
    assert [life.node for life in lives] == [WORKER, CONTROL_PLANE]
    assert [life.disruption for life in lives] == ["EvictionByEvictionAPI", ""]
    assert [life.exit_code for life in lives] == [143, 0]
    assert_never_two_at_once(lives)


@pytest.mark.row(9)
def test_a_drained_pod_that_lingers_is_waited_for(queues: Queues, worker_back: None) -> None:
    queue = queues.serve("lingering", sleeper(grace_s=20, linger_s=12))
    job_id = queue.add("demo-sleep", {"seconds": 25}, attempts=1)
    first = queue.until_running(job_id)
    assert first.node == WORKER
    queue.drain_worker()
    queue.until_counts(60, completed=1)
    lives = queue.until_ended(job_id)
    assert len(lives) == 2
    assert seconds_between(lives[0].disrupted, lives[0].ended) >= 10, "it did linger"
    assert_never_two_at_once(lives)
    assert queue.story(job_id) == GIVEN_BACK_ONCE


@pytest.mark.row(18)
def test_a_deleted_kube_job_is_given_back_and_runs_again(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("deleted", sleeper())
    job_id = queue.add("demo-sleep", {"seconds": 5}, attempts=1)
    queue.until_running(job_id)
    cluster.kubectl("delete", "job", "-l", f"bullpen.dev/queue={queue.name}", "--wait=false")
    queue.until_counts(60, completed=1)
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert queue.job(job_id)["atm"] == "1"
    lives = queue.until_ended(job_id)
    assert [life.exit_code for life in lives] == [143, 0]
    assert_never_two_at_once(lives)


def test_a_deleted_jobqueue_gives_its_running_job_back(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("forgotten", sleeper())
    job_id = queue.add("demo-sleep", {"seconds": 300}, attempts=1)
    queue.until_running(job_id)
    cluster.kubectl("delete", "jobqueue", queue.name)
    waiting = queue.add("demo-sleep", {"seconds": 300})
    queue.until_counts(60, delayed=1, waiting=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "delayed"]
    assert queue.job(job_id).get("atm", "0") == "0", "no attempt was spent"
    assert queue.story(waiting) == ["added", "waiting"]
    [life] = queue.until_ended(job_id)
    assert life.exit_code == 143
    left = ("jobs,pods", "-l", "bullpen.dev/queue=forgotten")
    until("nothing is left of its attempt", 30, lambda: not cluster.objects(*left))


@pytest.mark.row(39)
def test_what_a_vanished_jobqueue_left_is_settled_by_the_next_operator(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("vanished", sleeper())
    job_id = queue.add("demo-sleep", {"seconds": 60}, attempts=1)
    queue.until_running(job_id)
    cluster.kubectl("scale", "deploy/bp-bullpen", "--replicas=0")
    cluster.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=60s")
    cluster.kubectl("delete", "jobqueue", queue.name)
    signal_main(cluster, WORKER, "TERM", "bullpen_runner")
    queue.until_ended(job_id)
    assert queue.counts() == {"active": 1}, "nobody settles what the runner did not finish"
    cluster.kubectl("scale", "deploy/bp-bullpen", "--replicas=1")
    queue.until_counts(90, delayed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "delayed"]
    assert queue.job(job_id).get("atm", "0") == "0"


@pytest.mark.row(39)
def test_an_operator_killed_at_random_loses_and_doubles_nothing(cluster: Cluster, queues: Queues) -> None:
    jobs, chance = 100, random.Random(20261123)
    queue = queues.serve("killed", sleeper(), concurrency=12)
    ids = queue.add_bulk([{"name": "demo-sleep", "data": {"seconds": 0.2}}] * jobs)
    kill_at, kills = chance.randint(3, 15), 0
    while kill_at < jobs:
        until(f"{kill_at} jobs are completed", 120, lambda at=kill_at: queue.completed() >= at)  # type: ignore[misc]
        kill_operator(cluster)
        kill_at, kills = kill_at + chance.randint(10, 25), kills + 1
    queue.until_counts(120, completed=jobs)
    assert kills >= 4
    for job_id in ids:
        assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
    until("every pod has ended", 60, lambda: all(life.ended for life in queue.history.of(queue.name)))
    assert sorted(life.job_id for life in queue.history.of(queue.name)) == sorted(ids), "one pod for each job"
    until("every KubeJob is recorded", 60, lambda: recorded(cluster, queue.name) == jobs)
    assert queue.redis.keys("bull:bullpen:outbox") == []


def recorded(cluster: Cluster, queue: str) -> int:
    marks = [one["metadata"]["annotations"] for one in cluster.objects("jobs", "-l", f"bullpen.dev/queue={queue}")]
    return sum("bullpen.dev/recorded" in one for one in marks)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"jobTypes": []}, "should have at least 1 items", id="no-job-types"),
        pytest.param({"jobTypes": [{"name": "a"}, {"name": "a"}]}, "Duplicate value", id="a-name-twice"),
        pytest.param({"jobTypes": [{"name": "a", "timeout": "0s"}]}, "expected a duration above 0", id="no-time"),
        pytest.param({"jobTypes": [{"name": "a", "colour": "red"}]}, "unknown field", id="unknown-field"),
        pytest.param({"lockDuration": "500ms"}, "expected a duration of 1s or more", id="short-lock"),
        pytest.param(
            {"jobTypes": [{"name": "a", "env": [{"name": "BULLPEN_TOKEN", "value": "x"}]}]},
            "names that start with BULLPEN_ are the operator's own",
            id="our-variable",
        ),
        pytest.param(
            {"jobTypes": [{"name": "a", "env": [{"name": "A"}]}]},
            "expected exactly one of value and valueFrom",
            id="env",
        ),
    ],
)
def test_a_wrong_jobqueue_is_refused_at_apply(cluster: Cluster, spec: dict[str, Any], sentence: str) -> None:
    body = {
        "apiVersion": "bullpen.dev/v1alpha1",
        "kind": "JobQueue",
        "metadata": {"name": "wrong", "namespace": "jobs"},
        "spec": {"queue": "q", "redis": {"secretRef": {"name": "redis"}}, "jobTypes": [{"name": "a"}], **spec},
    }
    with pytest.raises(CommandError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert sentence in str(caught.value)


def test_a_jobqueue_without_its_secret_says_so_and_is_served_once_it_is_there(cluster: Cluster) -> None:
    body = {
        "apiVersion": "bullpen.dev/v1alpha1",
        "kind": "JobQueue",
        "metadata": {"name": "secretless", "namespace": "jobs"},
        "spec": {"queue": "s", "redis": {"secretRef": {"name": "later"}}, "jobTypes": [{"name": "a"}]},
    }
    cluster.kubectl("delete", "secret", "later", "--ignore-not-found")
    cluster.apply(body)
    until("it says why", 20, lambda: "'later' does not exist" in cluster.kubectl("get", "jq", "secretless"))
    cluster.kubectl("create", "secret", "generic", "later", "--from-literal=url=redis://redis.infra:6379")
    cluster.kubectl("annotate", "jq", "secretless", "look=again")
    cluster.kubectl("wait", "--for=condition=Ready", "jobqueue/secretless", "--timeout=30s")
    cluster.kubectl("delete", "jq", "secretless")


def test_the_images_hold_only_what_is_theirs(cluster: Cluster) -> None:
    program = "import importlib.util as u, sys; print([m for m in sys.argv[1:] if u.find_spec(m)])"
    inside = {
        image: run("docker", "run", "--rm", "--entrypoint", "python", f"bullpen-{image}:e2e", "-c", program, *modules)
        for image, modules in {
            "runner": ["kopf", "kubernetes", "bullpen_operator", "bullpen_runner", "bullpen_processors"],
            "operator": ["bullpen_runner", "bullpen_processors", "pyoxigraph", "bullpen_operator"],
        }.items()
    }
    assert inside == {"runner": "['bullpen_runner', 'bullpen_processors']\n", "operator": "['bullpen_operator']\n"}
    users = [
        run("docker", "image", "inspect", "-f", "{{.Config.User}}", f"bullpen-{i}:e2e")
        for i in ("runner", "demo", "operator")
    ]
    assert users == ["10001:10001\n"] * 3
