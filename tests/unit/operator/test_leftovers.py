"""Attempts whose JobQueue is gone: found by what the KubeJobs say, and handed to the engine to be settled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bullpen_operator import naming
from bullpen_operator.leftovers import Leftover, leftovers, trace_of
from bullpen_operator.manifest import Placement, bare_pod, kube_job
from bullpen_operator.model import JobType
from bullpen_operator.seen import Attempt, AttemptSettings

ATTEMPT = Attempt("ns/jq", "p", "q", "1", "t", "bullpen/0123456789abcdef/u", settings=AttemptSettings(lock_ms=1500))


def kube_job_of(attempt: Attempt = ATTEMPT, *, recorded: bool = False) -> dict[str, Any]:
    placement = Placement("ns", "jq", naming.installation_of(attempt.token), "redis-secret")
    body = kube_job(attempt, JobType.model_validate({"name": "t", "image": "i"}), placement)
    if recorded:
        body["metadata"]["annotations"][naming.ANNOTATION_RECORDED] = "then"
    return body


def left_by(objects: list[dict[str, Any]], jobqueues: list[dict[str, Any]]) -> list[Leftover]:
    return leftovers(filter(None, map(trace_of, objects)), jobqueues)


def jobqueue(name: str = "jq", queue: str = "q", **spec: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"queue": queue, "prefix": "p", **spec}}


def test_all_that_settling_takes_is_read_from_the_kube_job() -> None:
    [left] = left_by([kube_job_of()], [])
    assert (left.namespace, left.name, left.installation) == ("ns", "jq", "0123456789abcdef")
    assert (left.spec.prefix, left.spec.queue, left.spec.redis.secret_ref.name) == ("p", "q", "redis-secret")
    assert left.spec.lock_duration.total_seconds() == 1.5
    assert left.spec.suspend


def test_many_attempts_of_one_queue_are_one_leftover() -> None:
    assert len(left_by([kube_job_of(), kube_job_of(replace(ATTEMPT, job_id="2"))], [])) == 1


def test_what_a_jobqueue_serves_is_left_to_it() -> None:
    assert left_by([kube_job_of()], [jobqueue()]) == []


def test_a_jobqueue_that_turned_to_another_queue_leaves_its_old_one() -> None:
    assert [left.spec.queue for left in left_by([kube_job_of()], [jobqueue(queue="new")])] == ["q"]


def test_what_is_recorded_or_not_ours_is_no_leftover() -> None:
    foreign = {"metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": []}}}}
    assert left_by([kube_job_of(recorded=True), foreign], []) == []


def test_a_kube_job_that_names_no_redis_cant_be_settled() -> None:
    body = kube_job_of()
    body["spec"]["template"]["spec"]["containers"] = []
    assert left_by([body], []) == []


def test_a_bare_pod_tells_as_much_and_the_pod_of_a_kube_job_nothing_of_its_own() -> None:
    placement = Placement("ns", "jq", naming.installation_of(ATTEMPT.token), "redis-secret")
    pod = bare_pod(ATTEMPT, JobType.model_validate({"name": "t", "image": "i"}), placement)
    assert left_by([pod], []) == left_by([kube_job_of()], [])
    pod["metadata"] |= {"name": "bp-x-abcde", "ownerReferences": [{"kind": "Job", "name": "bp-x"}]}
    assert left_by([pod], []) == []


def test_the_graph_stores_of_the_attempts_are_known() -> None:
    attempts = [replace(ATTEMPT, job_id=graph, settings=AttemptSettings(graph=graph)) for graph in ("b", "a", "b", "")]
    [left] = left_by([kube_job_of(attempt) for attempt in attempts], [])
    assert left.spec.graph_secrets() == ("a", "b")
