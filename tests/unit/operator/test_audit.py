"""The audit as a whole, and the watch: who is looked at, what is read again, what is counted, which slots are held."""

from __future__ import annotations

import pytest

from bullpen_operator.events import EventKind
from bullpen_operator.ports import LauncherUnavailableError
from bullpen_operator.seen import Condition
from bullpen_operator.slots import Stage
from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from fakes.cluster import FakeKubeJob
from fakes.operators import Desk, P, a_spec

DONE = TerminationMessage(RunnerOutcome.COMPLETED, value=1, has_value=True).to_text()


async def test_a_quiet_operator_has_no_drift() -> None:
    desk = Desk()
    await desk.launched()
    await desk.bound()
    await desk.audit()
    await desk.audit(10)
    assert desk.drifts() == []
    assert len(desk.lane.slots) == 2


async def test_a_claim_without_a_kube_job_is_launched() -> None:
    desk = Desk()
    await desk.add()
    await desk.queue.claim("bullpen/inst/x", 40_000)
    await desk.audit()
    assert desk.cluster.of("1").attempt.token == "bullpen/inst/x"
    assert desk.drifts() == ["not-launched"]
    assert len(desk.lane.slots) == 1


async def test_a_kube_job_that_appears_after_the_list_is_no_drift() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.launched()
    del desk.cluster.kube_jobs[kube_job.name]
    listed = desk.cluster.list

    async def list_before() -> list[object]:
        found = list(await listed())
        desk.cluster.kube_jobs[kube_job.name] = kube_job
        return found  # type: ignore[return-value]

    desk.cluster.list = list_before  # type: ignore[method-assign,assignment]
    await desk.audit()
    assert desk.drifts() == []
    assert await desk.state(job.id) == "active"


async def test_what_this_operator_is_starting_right_now_is_no_drift() -> None:
    desk = Desk()
    await desk.add()
    claim = await desk.queue.claim("bullpen/inst/x", 40_000)
    desk.lane.claiming.add("bullpen/inst/x")
    await desk.audit()
    assert desk.drifts() == []
    desk.lane.claiming.clear()
    slot = desk.lane.slots.take(desk.lane.attempt(claim.job, "bullpen/inst/x"), 0.0)  # type: ignore[union-attr]
    slot.starting = True
    await desk.audit()
    assert desk.drifts() == []
    assert len(desk.lane.slots) == 1


async def test_a_failed_list_is_not_an_empty_list() -> None:
    desk = Desk()
    job, _, _ = await desk.bound()
    desk.cluster.fails.add("list")
    with pytest.raises(LauncherUnavailableError):
        await desk.audit(1000)
    assert await desk.state(job.id) == "active"
    assert len(desk.lane.slots) == 1


async def test_a_look_that_fails_changes_nothing() -> None:
    desk = Desk()
    job, _, pod = await desk.bound()
    pod.end(3)
    desk.cluster.fails.add("look")
    with pytest.raises(LauncherUnavailableError):
        await desk.audit()
    assert await desk.state(job.id) == "active"


async def test_an_end_that_nobody_heard_of_is_settled_and_recorded() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.end(3)
    await desk.audit()
    assert await desk.state(job.id) == "failed"
    assert kube_job.recorded
    assert desk.drifts() == ["not-settled"]
    assert len(desk.lane.slots) == 0


async def test_a_value_in_the_last_words_is_replayed() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.end(137, message=DONE)
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "completed"
    assert desk.hash(job.id)["returnvalue"] == "1"
    assert kube_job.recorded


async def test_a_runner_that_finished_by_itself_is_only_recorded() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    await desk.queue.complete(job, f"{kube_job.attempt.token}#{pod.uid}", "1")
    pod.end(0, message=DONE)
    await desk.hear(kube_job)
    assert kube_job.recorded
    assert desk.events(job.id).count("completed") == 1
    (ended,) = desk.told(EventKind.ENDED)
    assert ended.outcome == "completed"
    assert len(desk.lane.slots) == 0
    await desk.hear(kube_job)
    assert len(desk.told(EventKind.ENDED)) == 1, "recorded once"


async def test_the_slot_is_free_when_the_pod_ends_even_if_settling_has_to_wait() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.bound()
    pod.end(3)
    desk.cluster.fails.add("record")
    with pytest.raises(LauncherUnavailableError):
        await desk.hear(kube_job)
    assert len(desk.lane.slots) == 0


async def test_a_pending_attempt_keeps_its_lock_and_its_slot() -> None:
    desk = Desk()
    job, _, _ = await desk.launched()
    desk.pass_s(35)
    await desk.serving.renewal.round()
    desk.pass_s(35)
    assert (await desk.location(job.id)).lock == "bullpen/inst/0001"


async def test_a_renewal_learns_that_a_pod_has_bound() -> None:
    desk = Desk()
    await desk.bound()
    slot = desk.lane.slots.held["bullpen/inst/0001"]
    await desk.serving.renewal.round()
    assert slot.bound
    assert len(desk.told(EventKind.BOUND)) == 1
    await desk.serving.renewal.round()
    assert len(desk.told(EventKind.BOUND)) == 1


async def test_an_attempt_that_does_not_start_in_time_is_given_back_and_deleted() -> None:
    desk = Desk(a_spec(jobTypes=[{"name": "resize", "startTimeout": "2m"}]))
    job, kube_job, _ = await desk.launched()
    for _ in range(12):
        await desk.audit(10)
    assert await desk.state(job.id) == "delayed"
    assert desk.cluster.deleted == [kube_job.name]
    assert desk.drifts() == ["start-timeout"]
    assert len(desk.lane.slots) == 0


async def test_a_pod_that_binds_at_the_start_timeout_is_left_alone() -> None:
    desk = Desk(a_spec(jobTypes=[{"name": "resize", "startTimeout": "2m"}]))
    job, kube_job, pod = await desk.launched()
    pod.start()
    desk.pass_s(110)
    await desk.serving.renewal.round()
    desk.pass_s(10)
    look = desk.cluster.look

    async def bind_then_look(name: str) -> object:
        await desk.queue.hold(job.id, kube_job.attempt.token, f"{kube_job.attempt.token}#{pod.uid}", 40_000)
        return await look(name)

    desk.cluster.look = bind_then_look  # type: ignore[method-assign,assignment]
    await desk.audit()
    assert await desk.state(job.id) == "active"
    assert desk.cluster.deleted == []


async def test_an_unreachable_pod_is_waited_for_until_its_lock_was_absent_for_w() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.node_ready = False
    await desk.audit(30)  # the lock lives
    await desk.audit(20)  # first seen absent
    await desk.audit(39)
    assert await desk.state(job.id) == "active"
    assert len(desk.lane.slots) == 1
    await desk.audit(1)
    assert await desk.state(job.id) == "delayed"
    assert int(desk.hash(job.id)["delay"]) >= 40_000
    assert desk.cluster.deleted == [kube_job.name]
    assert desk.drifts() == ["unreachable"] * 3 + ["lost"]
    await desk.audit(1)
    assert len(desk.lane.slots) == 0, "it is void and out of reach: it takes nobody's place"


async def test_a_pod_that_was_collected_with_its_end_is_waited_for_until_its_lock_was_absent_for_w() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.vanished = True
    kube_job.conditions = (Condition("Failed", "PodFailurePolicy"),)
    await desk.audit(50)  # first seen absent
    for _ in range(3):
        await desk.audit(13)
    assert await desk.state(job.id) == "active"
    await desk.audit(1)
    assert await desk.state(job.id) == "delayed"
    assert desk.drifts() == ["unreachable"] * 4 + ["lost"]


async def test_a_lock_that_comes_back_starts_the_wait_anew() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.node_ready = False
    await desk.audit(50)
    await desk.audit(30)
    await desk.queue.hold(job.id, kube_job.attempt.token, f"{kube_job.attempt.token}#{pod.uid}", 5_000)
    await desk.audit(1)
    await desk.audit(9)
    await desk.audit(39)
    assert await desk.state(job.id) == "active"
    await desk.audit(1)
    assert await desk.state(job.id) == "delayed"


async def test_a_running_pod_on_a_ready_node_is_held_when_its_lock_ran_out() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    await desk.audit(50)
    assert (await desk.location(job.id)).lock == f"{kube_job.attempt.token}#{pod.uid}"
    assert desk.drifts() == []


async def test_a_live_pod_of_a_job_that_has_left_is_deleted_after_two_renewals() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    await desk.queue.complete(job, f"{kube_job.attempt.token}#{pod.uid}", "1")
    await desk.audit()
    await desk.audit(19)
    assert desk.cluster.deleted == []
    await desk.audit(1)
    assert desk.cluster.deleted == [kube_job.name]
    assert [event.code for event in desk.told(EventKind.DELETED)] == ["astray"]


async def test_a_cancelled_attempt_is_ended_and_its_job_fails_for_good() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound(attempts=3)
    desk.hash(job.id)["bullpen.cancel"] = kube_job.attempt.token
    desk.cluster.on_delete = lambda _: pod.end(143)
    sights: list[FakeKubeJob] = []
    desk.cluster.on_delete = lambda one: (pod.end(143), sights.append(one))[0]  # type: ignore[func-returns-value]
    await desk.audit()
    await desk.hear(sights[0])
    assert await desk.state(job.id) == "failed"
    assert desk.hash(job.id)["failedReason"] == "cancelled"


async def test_jobs_of_others_are_never_touched() -> None:
    desk = Desk()
    for token, name in [("bullpen/other/1", None), ("node:7", ""), ("worker-1", None)]:
        await desk.add()
        await desk.queue.claim(token, 40_000, name)
    before = {job_id: dict(desk.hash(job_id)) for job_id in ("1", "2", "3")}
    await desk.audit()
    assert {job_id: dict(desk.hash(job_id)) for job_id in ("1", "2", "3")} == before
    assert desk.cluster.launches == []
    assert desk.drifts() == []
    assert len(desk.lane.slots) == 0


async def test_two_installations_on_one_queue_leave_each_other_s_jobs_alone() -> None:
    desk = Desk()
    other = desk.operator("other")
    job, _, _ = await desk.bound()
    mine = dict(desk.hash(job.id))
    for seconds in (0, 50, 50, 50, 2000):
        desk.pass_s(seconds)
        await other.audit.round()
    assert dict(desk.hash(job.id)) == mine
    assert desk.events(job.id) == ["added", "waiting", "active"]
    assert desk.cluster.deleted == []


async def test_the_stalled_check_moves_jobs_of_other_workers_only() -> None:
    desk = Desk()
    await desk.add()
    await desk.queue.claim("node:1", 30_000, "")
    await desk.add()
    await desk.queue.claim("bullpen/other/1", 30_000)
    mine, _, pod = await desk.bound()
    pod.node_ready = False
    desk.cluster.fails.clear()
    for _ in range(3):
        await desk.audit(31)
    assert await desk.state("1") == "waiting"
    assert "stalled" in desk.events("1")
    assert await desk.state("2") == "active"
    assert await desk.state(mine.id) in ("active", "delayed")
    assert "stalled" not in desk.events(mine.id)


async def test_a_job_that_a_nameless_worker_took_over_and_lost_is_no_longer_ours() -> None:
    """The worker leaves our old fence in `pb`: our old end must not be counted for what happened to it."""
    desk = Desk()
    job, kube_job, pod = await desk.bound(attempts=9)
    await desk.queue.fail(job, f"{kube_job.attempt.token}#{pod.uid}", "boom", "")
    pod.end(1)
    await desk.queue.claim("node:1", 30_000, "")
    assert desk.hash(job.id)["pb"] == f"{kube_job.attempt.token}#{pod.uid}"
    for _ in range(3):
        await desk.audit(31)
    assert desk.hash(job.id)["atm"] == "1"
    assert "stalled" in desk.events(job.id)


async def test_a_new_operator_takes_over_what_it_finds() -> None:
    desk = Desk()
    await desk.launched()
    await desk.bound()
    fresh = desk.operator()
    await fresh.audit.round()
    stages = [slot.stage for slot in fresh.lane.slots.held.values()]
    assert sorted(stages) == [Stage.PENDING, Stage.RUNNING]
    assert desk.drifts() == []
    assert len(desk.cluster.kube_jobs) == 2


async def test_an_attempt_of_a_changed_job_queue_keeps_the_settings_it_was_launched_with() -> None:
    desk = Desk(a_spec(jobTypes=[{"name": "resize", "startTimeout": "1h"}]))
    job, _, pod = await desk.launched()
    pod.start()
    served = desk.lane.served
    spec = a_spec(jobTypes=[{"name": "resize", "startTimeout": "1s"}])
    desk.lane.describe(type(served)(served.name, spec, "inst", desk.server, desk.cluster))
    await desk.audit(30)
    assert await desk.state(job.id) == "active"
    assert desk.cluster.deleted == []


async def test_kube_jobs_of_another_queue_are_not_for_this_job_queue() -> None:
    desk = Desk()
    _, kube_job, _ = await desk.bound()
    elsewhere = desk.operator()
    elsewhere.lane.served = type(desk.lane.served)("ns/q", a_spec(queue="elsewhere"), "inst", desk.server, desk.cluster)
    elsewhere.lane.describe(elsewhere.lane.served)
    for seconds in (0, 100, 100):
        desk.pass_s(seconds)
        await elsewhere.audit.round()
    assert desk.cluster.deleted == []
    assert not kube_job.recorded


async def test_stages_and_reasons_are_told_once() -> None:
    desk = Desk()
    _, kube_job, pod = await desk.launched()
    kube_job.suspended = True
    for _ in range(2):
        await desk.hear(kube_job)
    kube_job.suspended = False
    pod.start()
    for _ in range(2):
        await desk.hear(kube_job)
    assert [event.code for event in desk.told(EventKind.WAITING)] == ["suspended"]
    assert len(desk.told(EventKind.STARTED)) == 1


async def test_an_attempt_that_can_never_start_is_given_back_as_soon_as_that_is_heard() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.launched()
    pod.end(128, "StartError")
    pod.started = False
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "delayed"
    assert desk.lane.breaker.open
    assert P
