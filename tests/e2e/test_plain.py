"""Jobs whose image knows nothing of Bullpen: what a shell script in Debian comes to, as Node sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from e2e.cluster import CONTROL_PLANE, WORKER, Cluster, CommandError, until
from e2e.job_types import GIVEN_BACK_ONCE, script
from e2e.queues import Queue, Queues
from support import ROOT

EXAMPLE = yaml.safe_load((ROOT / "examples" / "plain" / "words.yaml").read_text())
OURS = {"PAYLOAD", "PROGRESS", "RESULT", "QUEUE", "JOB_ID", "JOB_NAME", "ATTEMPT"}


def completed(queue: Queue, job_id: str) -> Any:
    """What Node says that the one job of a queue returned."""
    queue.until_counts(90, completed=1)
    return queue.node.job(job_id, "toJSON")["returnvalue"]


def failed(queue: Queue, job_id: str) -> str:
    """Why Node says that the one job of a queue failed."""
    queue.until_counts(90, failed=1)
    reason: str = queue.node.job(job_id, "toJSON")["failedReason"]
    return reason


def test_the_shipped_example_reports_its_progress_and_returns_its_value(cluster: Cluster, queues: Queues) -> None:
    queue = queues.serve("words", EXAMPLE["spec"]["jobTypes"])
    job_id = queue.add("count", {"text": "a shell script is a job like any other"})
    assert completed(queue, job_id) == {"words": 9, "longest": "script"}
    job = queue.node.job(job_id, "toJSON")
    assert (job["progress"], job["returnvalue"], job["attemptsMade"]) == (100, {"words": 9, "longest": "script"}, 1)
    told = [int(event["data"]) for event in queue.events() if event["event"] == "progress"]
    assert len(told) >= 3, "it was looked at every second, and each word took one"
    assert told == sorted(told)
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
    [life] = queue.until_ended(job_id)
    assert (life.exit_code, life.reason) == (0, "Completed")
    logs = cluster.kubectl("logs", "-l", f"bullpen.dev/job-id={job_id},bullpen.dev/queue=words")
    assert logs == f"job {job_id} of queue words, attempt 1\n"
    assert not queue.job(job_id).get("bullpen.value")


@pytest.mark.row(1)
def test_an_exit_code_listed_as_permanent_fails_at_once_with_the_job_s_own_words(queues: Queues) -> None:
    queue = queues.serve("permanent", EXAMPLE["spec"]["jobTypes"])
    job_id = queue.add("count", {}, attempts=5)
    sentence = 'it exited with code 3, which the job type lists as permanent: the payload has no "text"'
    assert failed(queue, job_id) == sentence
    assert queue.story(job_id) == ["added", "waiting", "active", "failed"]
    assert queue.job(job_id)["failedReason"] == sentence


@pytest.mark.row(1)
def test_another_exit_code_is_counted_and_retried_with_the_last_line_of_the_log(queues: Queues) -> None:
    queue = queues.serve("exits", script("{ echo trying; echo 'no such host'; } >&2; exit 7"))
    job_id = queue.add("sh", {}, attempts=2, backoff={"type": "fixed", "delay": 500})
    assert failed(queue, job_id) == "it exited with code 7: no such host"
    story = ["added", "waiting", "active", "delayed", "waiting", "active", "failed", "retries-exhausted"]
    assert queue.story(job_id) == story
    assert (queue.job(job_id)["atm"], queue.job(job_id)["ats"]) == ("2", "2")
    assert [life.exit_code for life in queue.until_ended(job_id)] == [7, 7]


@pytest.mark.row(2)
def test_out_of_memory_is_counted_and_says_so(queues: Queues) -> None:
    # it outlives the kill for a moment, so that containerd has heard of it when the container ends
    queue = queues.serve("plain-oom", script("tail /dev/zero; sleep 2; exit 137"))
    job_id = queue.add("sh", {})
    assert failed(queue, job_id) == "out of memory: the container reached its memory limit (OOMKilled)"
    assert queue.story(job_id) == ["added", "waiting", "active", "failed", "retries-exhausted"]
    [life] = queue.until_ended(job_id)
    assert (life.exit_code, life.reason) == (137, "OOMKilled")


@pytest.mark.row(9)
def test_a_drained_plain_job_is_given_back_though_it_exits_with_0(queues: Queues, worker_back: None) -> None:
    text = "trap 'exit 0' TERM; n=0; while [ $n -lt 60 ]; do n=$((n+1)); sleep 0.1; done; echo whole >$BULLPEN_RESULT"
    queue = queues.serve("plain-drained", script(text))
    job_id = queue.add("sh", {}, attempts=1)
    assert queue.until_running(job_id).node == WORKER
    queue.drain_worker()
    assert completed(queue, job_id) == "whole"
    assert queue.story(job_id) == GIVEN_BACK_ONCE
    assert (queue.job(job_id)["atm"], queue.job(job_id)["ats"]) == ("1", "2"), "no attempt was spent on the drain"
    lives = queue.until_ended(job_id)
    assert [(life.node, life.exit_code) for life in lives] == [(WORKER, 0), (CONTROL_PLANE, 0)]
    assert [life.disruption for life in lives] == ["EvictionByEvictionAPI", ""]


def test_a_value_too_large_for_a_message_arrives_and_leaves_nothing_behind(queues: Queues) -> None:
    text = 'head -c 1000000 /dev/zero | tr "\\0" x >"$BULLPEN_RESULT"'
    queue = queues.serve("plain-large", script(text))
    job_id = queue.add("sh", {})
    assert completed(queue, job_id) == "x" * 1_000_000
    assert queue.job(job_id)["bullpen.value"] == ""
    assert sorted(queue.redis.keys(f"bull:plain-large:{job_id}*")) == [f"bull:plain-large:{job_id}"]


def test_the_job_s_container_has_seven_variables_of_ours_and_no_credential(queues: Queues) -> None:
    text = 'env | sed "s/=.*//" | grep ^BULLPEN_ >"$BULLPEN_RESULT"; test ! -e /var/run/secrets'
    queue = queues.serve("plain-env", script(text))
    job_id = queue.add("sh", {})
    assert set(completed(queue, job_id).split()) == {f"BULLPEN_{name}" for name in OURS}


@pytest.mark.row(31)
def test_a_job_over_its_timeout_is_ended_by_the_kubelet_and_counted(queues: Queues) -> None:
    queue = queues.serve("plain-late", script("exec sleep 300", timeout="3s"))
    job_id = queue.add("sh", {})
    assert failed(queue, job_id) == "timed out after 3 s"
    assert queue.story(job_id) == ["added", "waiting", "active", "failed", "retries-exhausted"]


@pytest.mark.row(39)
def test_what_ended_while_no_operator_ran_is_completed_with_what_was_kept(cluster: Cluster, queues: Queues) -> None:
    text = 'while [ ! -e /bullpen/go ]; do sleep 0.1; done; head -c 9000 /dev/zero | tr "\\0" x >"$BULLPEN_RESULT"'
    queue = queues.serve("plain-away", script(text))
    job_id = queue.add("sh", {}, attempts=1)
    pod = queue.until_running(job_id).name
    cluster.kubectl("scale", "deploy/bp-bullpen", "--replicas=0")
    cluster.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=60s")
    cluster.kubectl("exec", pod, "-c", "main", "--", "touch", "/bullpen/go")
    queue.until_ended(job_id)
    until("the value is kept", 30, lambda: len(queue.job(job_id).get("bullpen.value", "")) > 9_000)
    assert queue.counts() == {"active": 1}, "nobody else can finish it"
    cluster.kubectl("scale", "deploy/bp-bullpen", "--replicas=1")
    assert completed(queue, job_id) == "x" * 9_000
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]
    assert queue.job(job_id)["bullpen.value"] == ""


def test_a_sidecar_that_was_killed_is_started_again_and_the_job_completes(cluster: Cluster, queues: Queues) -> None:
    text = 'while [ ! -e /bullpen/go ]; do sleep 0.1; done; echo 7 >"$BULLPEN_RESULT"'
    queue = queues.serve("plain-killed", script(text))
    job_id = queue.add("sh", {}, attempts=1)
    pod = queue.until_running(job_id).name
    cluster.on_node(WORKER, "pkill -KILL -f '^python -m bullpen_runner.plain watch'")

    def restarted() -> bool:
        [body] = cluster.objects("pods", pod)
        statuses = {one["name"]: one for one in body["status"]["initContainerStatuses"]}
        watch = statuses["bullpen-watch"]
        return bool(watch["restartCount"] == 1 and "running" in watch["state"])

    until("the sidecar runs again", 60, restarted)
    cluster.kubectl("exec", pod, "-c", "main", "--", "touch", "/bullpen/go")
    assert completed(queue, job_id) == 7
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]


@pytest.mark.row(22)
def test_an_image_that_can_t_be_costs_no_attempt_and_blocks_the_jobqueue_by_name(
    cluster: Cluster, queues: Queues
) -> None:
    queue = queues.serve("plain-imageless", script("true", image="debian:No Such Image"))
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_counts(90, delayed=1)
    assert queue.story(job_id) == ["added", "waiting", "active", "delayed"]
    assert queue.job(job_id).get("atm", "0") == "0"
    told = "job type 'sh': its image can't be used: InvalidImageName"
    until("it says why", 10, lambda: told in cluster.kubectl("get", "jq", "plain-imageless"))
    pods = ("get", "pods", "-l", "bullpen.dev/queue=plain-imageless", "-o", "name")
    until("its pod is gone", 60, lambda: cluster.kubectl(*pods) == "")


@pytest.mark.row(28)
def test_a_container_that_holds_the_pod_does_not_hold_the_job_for_ever(cluster: Cluster, queues: Queues) -> None:
    [job_type] = script('echo 7 >"$BULLPEN_RESULT"')
    proxy = {"name": "proxy", "image": "debian:bookworm-slim", "command": ["sleep", "3600"]}
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    job_type["podTemplate"]["spec"]["containers"].append(proxy | {"securityContext": restricted})
    queue = queues.serve("plain-held", [job_type])
    job_id = queue.add("sh", {}, attempts=1)
    queue.until_counts(150, completed=1)
    assert queue.node.job(job_id, "toJSON")["returnvalue"] == 7
    assert queue.story(job_id) == ["added", "waiting", "active", "completed"]


@pytest.mark.parametrize(
    ("job_type", "sentence"),
    [
        pytest.param({}, "a job type with runner: plain needs an image", id="no-image"),
        pytest.param({"image": "i", "processor": "p"}, "has no processor, settings or graph", id="processor"),
        pytest.param({"image": "i", "runner": "managed", "onUnreachable": "wait"}, "onUnreachable is for", id="other"),
    ],
)
def test_a_plain_job_type_that_makes_no_sense_is_refused_at_apply(
    cluster: Cluster, job_type: dict[str, Any], sentence: str
) -> None:
    spec = {"queue": "q", "redis": {"secretRef": {"name": "redis"}}}
    body = {
        "apiVersion": "bullpen.dev/v1alpha1",
        "kind": "JobQueue",
        "metadata": {"name": "wrong", "namespace": "jobs"},
        "spec": spec | {"jobTypes": [{"name": "a", "runner": "plain"} | job_type]},
    }
    with pytest.raises(CommandError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert sentence in str(caught.value)
