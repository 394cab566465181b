from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bullpen_operator.events import EventKind
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.seen import Attempt
from bullpen_operator.settle import LONGEST_DELAY_MS, GiveBacks, capped, delay_ms
from bullpen_protocol.bullmq import Job, QueueError
from fakes.cluster import FakeKubeJob
from fakes.operators import Desk, P
from fakes.sights import an_attempt

COMPLETED = Outcome(Verdict.COMPLETED, "completed", "completed", value_json='{"a":1}')
COUNTED = Outcome(Verdict.FAILED, "oom", "out of memory", Fault.JOB)
FINAL = Outcome(Verdict.UNRECOVERABLE, "unrecoverable", "bad payload", Fault.JOB)
DISRUPTED = Outcome(Verdict.GIVE_BACK, "disrupted", "drained", Fault.DISRUPTION)
LOST = replace(DISRUPTED, code="node-gone", confirmed=False)
MISCONFIGURED = Outcome(Verdict.GIVE_BACK, "image", "no image", Fault.CONFIGURATION)
NO_STORE = Outcome(Verdict.GIVE_BACK, "store-away", "store away", Fault.OUTAGE)
AWAY = Outcome(Verdict.GIVE_BACK, "outage", "store away", Fault.OUTAGE)


def fence_of(kube_job: FakeKubeJob) -> str:
    return f"{kube_job.attempt.token}#{kube_job.pods[0].uid}"


async def settled(desk: Desk, kube_job: FakeKubeJob, outcome: Outcome) -> bool:
    return await desk.serving.settle.settle(kube_job.attempt, fence_of(kube_job), outcome)


async def test_a_value_completes_the_job() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    assert await settled(desk, kube_job, COMPLETED)
    assert await desk.state(job.id) == "completed"
    assert desk.hash(job.id)["returnvalue"] == '{"a":1}'
    assert desk.events(job.id) == ["added", "waiting", "active", "completed"]


UNSAID = replace(COMPLETED, value_json=None)
"""Of a plain job: its sidecar did not say what was returned."""


async def test_a_value_that_was_kept_under_the_fence_completes_the_job_and_is_not_kept_twice() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    fence = fence_of(kube_job)
    await desk.queue.hold(job.id, kube_job.attempt.token, fence, 40_000, '{"large":1}')
    assert await settled(desk, kube_job, UNSAID)
    assert desk.hash(job.id)["returnvalue"] == '{"large":1}'
    assert desk.hash(job.id)["bullpen.value"] == ""
    assert await desk.state(job.id) == "completed"


async def test_a_completion_without_any_value_runs_again() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    assert await settled(desk, kube_job, UNSAID)
    assert await desk.state(job.id) == "delayed"
    (told,) = desk.told(EventKind.GIVEN_BACK)
    assert (told.code, told.sentence) == ("no-value", "it completed, but what it returned did not arrive")


async def test_a_value_that_another_attempt_kept_is_nobody_else_s() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    desk.hash(job.id)["bullpen.value"] = "bullpen/inst/0000#another\n1"
    assert await settled(desk, kube_job, UNSAID)
    assert await desk.state(job.id) == "delayed"
    assert desk.hash(job.id)["bullpen.value"] == ""


async def test_a_counted_failure_is_retried_as_the_producer_asked_and_then_fails() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=2)
    assert await settled(desk, kube_job, COUNTED)
    assert await desk.state(job.id) == "waiting"
    assert desk.hash(job.id)["atm"] == "1"
    again = await desk.dispatch()
    assert again is not None
    assert await desk.serving.settle.settle(desk.cluster.of(job.id).attempt, again.pb or "", COUNTED)
    assert await desk.state(job.id) == "failed"
    assert desk.hash(job.id)["failedReason"] == "out of memory"
    assert json.loads(desk.hash(job.id)["stacktrace"])[-1].startswith("out of memory\n    at bullpen (oom)")
    assert desk.events(job.id)[3:] == ["waiting", "active", "failed", "retries-exhausted"]


async def test_a_backoff_delays_the_retry() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=2, backoff=7_000)
    await settled(desk, kube_job, COUNTED)
    assert await desk.state(job.id) == "delayed"
    assert desk.hash(job.id)["delay"] == "7000"


async def test_an_unrecoverable_failure_fails_with_attempts_left() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=5)
    await settled(desk, kube_job, FINAL)
    assert await desk.state(job.id) == "failed"
    assert desk.events(job.id)[3:] == ["failed"]


async def test_a_give_back_spends_no_attempt_and_counts_itself_in_the_same_step() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=2)
    await settled(desk, kube_job, DISRUPTED)
    assert await desk.state(job.id) == "delayed"
    assert "atm" not in desk.hash(job.id)
    assert desk.hash(job.id)["delay"] == "5000"
    field = json.loads(desk.hash(job.id)["bullpen"])
    ours = {"giveBacks": 1, "capped": 1, "reason": "disrupted", "lastToken": kube_job.attempt.token}
    assert ours.items() <= field.items()
    assert desk.events(job.id)[3:] == ["delayed"]
    (told,) = desk.told(EventKind.GIVEN_BACK)
    assert (told.code, told.sentence) == ("disrupted", "drained")


async def test_a_job_given_back_too_often_fails_and_says_how_often_and_why() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=3)
    desk.hash(job.id)["bullpen"] = json.dumps({"giveBacks": 25, "capped": 20})
    await settled(desk, kube_job, DISRUPTED)
    assert await desk.state(job.id) == "failed"
    assert desk.hash(job.id)["failedReason"] == "given back 20 times without being the job's fault, and again: drained"


@pytest.mark.parametrize("outcome", [MISCONFIGURED, AWAY, NO_STORE])
async def test_faults_of_the_configuration_and_outages_never_cost_a_job(outcome: Outcome) -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    desk.hash(job.id)["bullpen"] = json.dumps({"giveBacks": 500, "capped": 20})
    await settled(desk, kube_job, outcome)
    assert await desk.state(job.id) == "delayed"
    assert json.loads(desk.hash(job.id)["bullpen"])["capped"] == 20


async def test_a_lock_that_ran_out_is_taken_again_with_the_fence_first() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    desk.pass_s(100)
    assert (await desk.location(job.id)).lock is None
    assert await settled(desk, kube_job, COUNTED)
    assert await desk.state(job.id) == "failed"


async def test_settling_with_the_claim_s_token_can_t_void_a_pod_that_has_bound() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    assert not await desk.serving.settle.settle(kube_job.attempt, kube_job.attempt.token, DISRUPTED)
    assert await desk.state(job.id) == "active"


async def test_settling_a_pod_can_t_hit_another_one() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    assert not await desk.serving.settle.settle(kube_job.attempt, f"{kube_job.attempt.token}#other", DISRUPTED)
    assert await desk.state(job.id) == "active"


async def test_a_job_that_binds_after_it_was_read_is_left_alone() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.launched()
    load = desk.queue.load

    async def load_late(job_id: str) -> Job | None:
        loaded = await load(job_id)
        await desk.queue.hold(job.id, kube_job.attempt.token, fence_of(kube_job), 40_000)
        return loaded

    desk.queue.load = load_late  # type: ignore[method-assign]
    assert not await desk.serving.settle.settle(kube_job.attempt, kube_job.attempt.token, DISRUPTED)
    assert await desk.state(job.id) == "active"
    assert (await desk.location(job.id)).pb == fence_of(kube_job)


@pytest.mark.parametrize("what", ["removed", "moved"])
async def test_a_job_that_is_gone_or_moved_is_left_alone(what: str) -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound()
    if what == "removed":
        desk.redis.delete(P + job.id)
    else:
        await settled(desk, kube_job, DISRUPTED)
    desk.reported.clear()
    assert not await settled(desk, kube_job, COUNTED)
    assert desk.reported == []


async def test_a_parent_with_pending_children_is_not_completed_but_failed() -> None:
    desk = Desk()
    job, kube_job, _ = await desk.bound(attempts=2)
    desk.redis.members(f"{P}{job.id}:dependencies").add("bull:q:child")
    await settled(desk, kube_job, COMPLETED)
    assert await desk.state(job.id) == "waiting"
    assert desk.hash(job.id)["failedReason"] == "it completed while children of the job were pending"


async def test_an_unknown_refusal_is_not_swallowed() -> None:
    desk = Desk()
    _, kube_job, _ = await desk.bound()

    async def refuse(*_: object, **__: object) -> None:
        raise QueueError(-77, "1")

    desk.queue.give_back = refuse  # type: ignore[method-assign]
    with pytest.raises(QueueError):
        await settled(desk, kube_job, DISRUPTED)


@pytest.mark.parametrize(
    ("outcome", "before", "expected"),
    [
        pytest.param(DISRUPTED, 0, 5_000, id="first"),
        pytest.param(DISRUPTED, 3, 40_000, id="doubles"),
        pytest.param(DISRUPTED, 10**6, LONGEST_DELAY_MS, id="ends-growing"),
        pytest.param(NO_STORE, 0, 1_000, id="store-away"),
        pytest.param(NO_STORE, 4, 16_000, id="store-away-for-runners-alone"),
        pytest.param(LOST, 0, 60_000, id="unconfirmed-waits-for-a-write-that-may-be-under-way"),
        pytest.param(LOST, 10**6, LONGEST_DELAY_MS, id="unconfirmed-and-often"),
    ],
)
def test_the_delay_of_a_give_back(outcome: Outcome, before: int, expected: int) -> None:
    attempt: Attempt = an_attempt(graph_timeout_s=60.0, give_back_delay_ms=5_000)
    assert delay_ms(outcome, GiveBacks(before, 0), attempt) == expected


@pytest.mark.parametrize(
    ("outcome", "counted", "verdict"),
    [
        pytest.param(DISRUPTED, 1, Verdict.GIVE_BACK, id="below"),
        pytest.param(DISRUPTED, 2, Verdict.UNRECOVERABLE, id="at-the-cap"),
        pytest.param(MISCONFIGURED, 99, Verdict.GIVE_BACK, id="configuration"),
        pytest.param(AWAY, 99, Verdict.GIVE_BACK, id="outage"),
        pytest.param(COUNTED, 99, Verdict.FAILED, id="counted"),
    ],
)
def test_the_cap_of_give_backs(outcome: Outcome, counted: int, verdict: Verdict) -> None:
    assert capped(outcome, GiveBacks(0, counted), an_attempt(give_back_max=2)).verdict is verdict


@pytest.mark.parametrize("value", [None, "3", -1, 1.5, [1], True, 10**12])
def test_a_counter_that_is_not_ours_counts_as_nothing(value: object) -> None:
    assert GiveBacks.of(Job("1", bullpen={"giveBacks": value, "capped": value})) == GiveBacks(0, 0)
