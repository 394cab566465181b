"""What bench-dispatch makes of what it heard."""

from __future__ import annotations

from bench.dispatch_jobs import kube_requests
from bench.kube_watch import Heard, most_without_a_pod
from bench.table import timed


def heard(name: str, version: int, at: float = 0.0) -> Heard:
    return Heard(at, "ADDED", {"metadata": {"name": name, "resourceVersion": str(version)}})


def test_kube_jobs_without_a_pod_are_counted_in_the_clusters_order_not_in_that_of_hearing() -> None:
    kube_jobs = {"a": heard("a", 1, at=5.0), "b": heard("b", 2, at=6.0), "c": heard("c", 9, at=7.0)}
    pods = {"a-x": heard("a-x", 3, at=99.0), "b-x": heard("b-x", 10, at=0.0)}
    assert most_without_a_pod(kube_jobs, pods) == 2


def test_requests_are_added_up_by_verb_and_resource_whatever_was_answered() -> None:
    metrics = {
        'bullpen_kube_requests_total{code="201",resource="jobs",verb="POST"}': 2.0,
        'bullpen_kube_requests_total{code="409",resource="jobs",verb="POST"}': 1.0,
        'bullpen_kube_requests_created{code="201",resource="jobs",verb="POST"}': 1.7e9,
        'bullpen_claims_total{jobqueue="jobs/q"}': 3.0,
    }
    assert kube_requests(metrics) == {"POST jobs": 3}


def test_a_target_that_is_missed_is_said() -> None:
    assert timed("add", [10.0] * 99 + [400.0], 50, 300).met
    assert not timed("add", [10.0] * 90 + [400.0] * 10, 50, 300).met
    assert not timed("add", [60.0] * 100, 50, 300).met
