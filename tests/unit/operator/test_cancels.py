"""A cancel ends the attempt and then fails the job; what is deleted by hand is given back."""

from __future__ import annotations

from bullpen_operator.breaker import Breaker
from bullpen_operator.events import EventKind
from bullpen_operator.outcome import CANCELLED
from fakes.cluster import FakeKubeJob, FakePod
from fakes.operators import Desk


def asked(desk: Desk, kube_job: FakeKubeJob) -> None:
    """What `bullpen cancel` writes."""
    desk.hash(kube_job.attempt.job_id)["bullpen.cancel"] = kube_job.attempt.token


async def ended(desk: Desk, kube_job: FakeKubeJob, pod: FakePod, code: int = 143) -> None:
    pod.end(code)
    await desk.hear(kube_job)


async def test_an_attempt_is_told_to_end_at_once_and_its_job_fails_only_when_it_has() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound(attempts=5)
    asked(desk, kube_job)
    for _ in range(3):
        await desk.audit()
    assert desk.cluster.deleted == [kube_job.name]
    assert len(desk.told(EventKind.DELETED)) == 1
    assert await desk.state(job.id) == "active"
    await ended(desk, kube_job, pod)
    assert await desk.state(job.id) == "failed"
    assert desk.hash(job.id)["failedReason"] == "cancelled"
    assert desk.events(job.id)[3:] == ["failed"]


async def test_one_that_has_not_started_is_cancelled_too() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.launched(attempts=5)
    asked(desk, kube_job)
    await desk.audit()
    assert desk.cluster.kube_jobs == {}
    await desk.audit()
    assert await desk.state(job.id) == "failed"
    assert desk.hash(job.id)["failedReason"] == "cancelled"


async def test_a_cancel_of_an_earlier_attempt_is_nobody_s() -> None:
    desk = Desk()
    job, _, _ = await desk.bound()
    desk.hash(job.id)["bullpen.cancel"] = "bullpen/inst/earlier"
    await desk.audit()
    assert desk.cluster.deleted == []


async def test_one_whose_results_are_stored_completes() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    asked(desk, kube_job)
    await desk.audit()
    pod.end(0, message='{"outcome": "completed", "reason": "", "value": 1}')
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "completed"


async def test_a_cancelled_probe_proves_nothing() -> None:
    desk = Desk()
    breaker: Breaker = desk.lane.breaker
    _, first, pod = await desk.bound()
    await ended(desk, first, pod, 64)
    assert breaker.open
    desk.pass_s(3600)
    _, probe, pod = await desk.bound()
    asked(desk, probe)
    await desk.audit()
    await ended(desk, probe, pod)
    assert breaker.open
    assert [event.code for event in desk.told(EventKind.SETTLED)] == [CANCELLED]


async def test_a_pod_that_is_deleted_by_hand_is_given_back() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound(attempts=1)
    pod.deleting = True
    await ended(desk, kube_job, pod)
    assert await desk.state(job.id) == "delayed"
    assert "atm" not in desk.hash(job.id)


async def test_a_kube_job_that_is_deleted_by_hand_is_given_back_once_nobody_can_be_writing() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound(attempts=1)
    del desk.cluster.kube_jobs[kube_job.name]
    pod.vanished = True
    await desk.audit()
    assert await desk.state(job.id) == "active"
    await desk.audit(41)
    await desk.audit(41)
    assert await desk.state(job.id) == "delayed"
    assert "atm" not in desk.hash(job.id)
