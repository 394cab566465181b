"""A changed job type is for attempts that have not started; what runs, runs on."""

from __future__ import annotations

import json
from dataclasses import replace

from bullpen_operator.events import EventKind
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.served import Served
from fakes.operators import Desk, a_spec


def described(desk: Desk, spec: JobQueueSpec) -> None:
    served = desk.lane.served
    desk.lane.describe(Served(served.name, spec, served.installation, served.server, served.launcher))


def with_image(image: str) -> JobQueueSpec:
    return a_spec(jobTypes=[{"name": "resize", "image": image}])


async def test_an_attempt_that_has_not_started_is_given_back_at_once_and_made_anew() -> None:
    desk = Desk(with_image("old"))
    job, kube_job, pod = await desk.launched()
    pod.unschedulable = "0/1 nodes are available: 1 Insufficient cpu."
    described(desk, with_image("new"))
    await desk.audit()
    assert await desk.state(job.id) == "delayed"
    assert desk.hash(job.id)["delay"] == "1"
    assert "atm" not in desk.hash(job.id)
    assert json.loads(desk.hash(job.id)["bullpen"])["capped"] == 0
    assert desk.cluster.deleted == [kube_job.name]
    desk.pass_s(1)
    await desk.dispatch()
    assert desk.cluster.of(job.id).job_type.image == "new"
    assert not desk.lane.breaker.open
    assert desk.drifts() == []


async def test_one_that_runs_is_never_touched_bound_or_not() -> None:
    desk = Desk(with_image("old"))
    bound, _, _ = await desk.bound()
    started, _, pod = await desk.launched()
    pod.start()
    described(desk, with_image("new"))
    await desk.audit()
    assert [await desk.state(job.id) for job in (bound, started)] == ["active", "active"]
    assert desk.cluster.deleted == []


async def test_one_that_binds_at_that_moment_keeps_its_job() -> None:
    desk = Desk(with_image("old"))
    job, kube_job, pod = await desk.launched()
    described(desk, with_image("new"))
    seen, location = kube_job.seen(), await desk.location(job.id)
    fence = f"{kube_job.attempt.token}#{pod.uid}"
    await desk.queue.hold(job.id, kube_job.attempt.token, fence, 40_000)
    outcome = Outcome(Verdict.GIVE_BACK, "spec-changed", "changed", Fault.CONFIGURATION)
    assert not await desk.serving.settle.settle(seen.attempt, location.pb or "", outcome)
    assert (await desk.location(job.id)).lock == fence


async def test_what_does_not_concern_the_job_type_replaces_nothing() -> None:
    desk = Desk(with_image("same"))
    job, _, _ = await desk.launched()
    spec = with_image("same").model_copy(update={"concurrency": 9})
    described(desk, spec)
    await desk.audit()
    assert await desk.state(job.id) == "active"


async def test_a_job_type_that_is_gone_gives_its_waiting_attempts_back() -> None:
    desk = Desk(with_image("old"))
    job, _, _ = await desk.launched()
    described(desk, a_spec(jobTypes=[{"name": "other"}]))
    await desk.audit()
    assert await desk.state(job.id) == "delayed"


async def test_attempts_of_a_jobqueue_that_was_deleted_run_on_as_they_were_launched() -> None:
    desk = Desk(with_image("old"))
    job, _, _ = await desk.launched()
    described(desk, with_image("new"))
    desk.lane.closing = True
    await desk.audit()
    assert await desk.state(job.id) == "active"


async def test_an_attempt_of_an_operator_that_did_not_say_is_not_outdated() -> None:
    desk = Desk(with_image("old"))
    _, kube_job, _ = await desk.launched()
    old = replace(kube_job.attempt, settings=replace(kube_job.attempt.settings, terms=""))
    described(desk, with_image("new"))
    assert not desk.lane.outdated(old)
    assert desk.lane.outdated(kube_job.attempt)


async def test_a_changed_jobqueue_is_probed_at_once() -> None:
    desk = Desk(with_image("bad"))
    _, kube_job, _ = await desk.bound()
    kube_job.pods[0].end(64)
    await desk.hear(kube_job)
    assert desk.lane.breaker.open
    assert not desk.serving.dispatch.may_claim()
    described(desk, with_image("good"))
    assert desk.serving.dispatch.may_claim()
    assert desk.told(EventKind.DEGRADED)
