"""Why an attempt does not start: asked for seldom, said once, and kept while it holds."""

from __future__ import annotations

from bullpen_operator.events import EventKind
from bullpen_operator.inquiry import AT_ONCE, PATIENCE_S
from bullpen_operator.seen import Told, Waiting
from bullpen_operator.status import stuck
from fakes.cluster import FakeCluster, FakeKubeJob
from fakes.operators import Desk, a_spec

QUOTA = Told(
    "FailedCreate",
    'Error creating: pods "bp-1" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2',
)


def podless(desk: Desk) -> Desk:
    desk.cluster.pods_at_once = False
    return desk


async def launched(desk: Desk, *warnings: Told) -> FakeKubeJob:
    job_id = await desk.add()
    await desk.dispatch()
    kube_job = desk.cluster.of(job_id)
    kube_job.warnings = warnings
    await desk.hear(kube_job)
    return kube_job


async def asked(desk: Desk, seconds: float = PATIENCE_S) -> FakeCluster:
    desk.pass_s(seconds)
    await desk.serving.inquiry.round()
    return desk.cluster


async def test_an_attempt_that_has_just_been_launched_is_left_alone() -> None:
    desk = podless(Desk())
    await launched(desk, QUOTA)
    assert (await asked(desk, PATIENCE_S - 1)).looks == []


async def test_a_quota_is_said_once_in_the_jobs_log_and_shown_while_it_lasts() -> None:
    desk = podless(Desk(a_spec(maxPending=1)))
    kube_job = await launched(desk, QUOTA)
    for _ in range(3):
        await asked(desk)
        await desk.hear(kube_job)  # what is heard without its events says less, and changes nothing
    said = "its pod is forbidden: exceeded quota: few, requested: pods=1, limited: pods=2"
    line = f"the namespace's quota leaves no room ({said})"
    assert desk.log_of("1") == [f"bullpen: waits to start (quota): {line}"]
    assert [event.code for event in desk.told(EventKind.WAITING)] == ["quota"]
    assert stuck(desk.lane) == f"pods can't start (quota): {line}"
    assert not desk.serving.dispatch.may_claim()


async def test_a_pod_that_is_made_at_last_ends_the_wait() -> None:
    desk = podless(Desk())
    kube_job = await launched(desk, QUOTA)
    await asked(desk)
    pod = desk.cluster.add_pod(kube_job)
    await desk.hear(kube_job)
    assert stuck(desk.lane) == ""
    pod.start()
    await desk.hear(kube_job)
    assert len(desk.told(EventKind.WAITING)) == 1


async def test_a_hopeless_wait_is_given_back_without_waiting_for_the_audit() -> None:
    desk = podless(Desk())
    await launched(desk, Told("FailedCreate", 'serviceaccount "runner" not found'))
    await asked(desk)
    assert await desk.state("1") == "active"
    await asked(desk, 30)
    assert await desk.state("1") == "delayed"
    assert desk.lane.breaker.open


async def test_few_are_asked_about_in_a_round_and_all_in_turn() -> None:
    desk = podless(Desk(a_spec(concurrency=10)))
    names = [(await launched(desk)).name for _ in range(2 * AT_ONCE)]
    await asked(desk)
    assert len(desk.cluster.looks) == AT_ONCE
    await asked(desk)
    assert sorted(desk.cluster.looks) == sorted(names)


async def test_what_says_by_itself_why_it_waits_is_not_asked_about() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.launched()
    pod.unschedulable = "0/1 nodes are available: 1 Insufficient cpu."
    await desk.hear(kube_job)
    assert (await asked(desk)).looks == []
    assert desk.log_of("1") == [
        "bullpen: waits to start (unschedulable-resources): no node takes its pod (Insufficient cpu)"
    ]


async def test_a_cluster_that_grows_says_nothing_new() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.launched()
    for nodes in (1, 2, 30):
        pod.unschedulable = f"0/{nodes} nodes are available: {nodes} Insufficient cpu."
        await desk.hear(kube_job)
    assert len(desk.log_of("1")) == len(desk.told(EventKind.WAITING)) == 1


async def test_a_reason_that_changes_is_said_again() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.launched()
    for reason in ("Insufficient cpu", "Insufficient memory"):
        pod.unschedulable = f"0/1 nodes are available: 1 {reason}."
        await desk.hear(kube_job)
    assert [line.rpartition("(")[2] for line in desk.log_of("1")] == ["Insufficient cpu)", "Insufficient memory)"]


async def test_what_is_being_deleted_waits_for_nothing_any_more() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.launched()
    pod.unschedulable = "0/1 nodes are available: 1 Insufficient cpu."
    kube_job.deleting = True
    await desk.hear(kube_job)
    assert desk.log_of("1") == []


async def test_a_wait_that_a_job_was_given_back_for_is_not_said_again_by_its_next_attempt() -> None:
    desk = Desk()
    missing = Waiting("CreateContainerConfigError", 'secret "x" not found')
    _, kube_job, pod = await desk.launched()
    for _ in range(2):
        pod.waiting = missing
        await desk.hear(kube_job)
        await desk.audit(61)
        assert await desk.state("1") == "delayed"
        desk.pass_s(600)
        await desk.dispatch()
        kube_job = next(
            one for one in desk.cluster.kube_jobs.values() if one.live and not one.gone and not one.deleting
        )
        pod = kube_job.pods[0]
    line = 'its container can\'t be made: CreateContainerConfigError secret "x" not found'
    assert desk.log_of("1") == [f"bullpen: waits to start (config): {line}"]
    pod.waiting = Waiting("CreateContainerConfigError", 'secret "y" not found')
    await desk.hear(kube_job)
    assert len(desk.log_of("1")) == 2
