"""More memory after too little: for the job's next attempt, for the next jobs of its type, as far as is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import JobQueueSpec, JobType
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.seen import Allowance, AttemptSettings
from bullpen_operator.sizes import Sizes, escalated, resources_of, sized, text_of
from fakes.operators import Desk, a_spec
from fakes.sights import an_attempt

MI = 2**20
OOM = Outcome(Verdict.FAILED, "oom", "out of memory", Fault.JOB)
DISK = Outcome(Verdict.FAILED, "disk", "over its disk", Fault.JOB)


def memory(limit: int, factor: float = 2.0, top: int = 1024) -> AttemptSettings:
    return AttemptSettings(memory=Allowance(limit * MI, factor, top * MI))


def growing(**fields: Any) -> JobQueueSpec:
    limits = {"requests": {"memory": "128Mi"}, "limits": {"memory": "256Mi", "ephemeral-storage": "1G"}}
    return a_spec(
        jobTypes=[{"name": "resize", "image": "i", "resources": limits, "onOutOfMemory": {"factor": 2, "max": "1Gi"}}],
        **fields,
    )


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (memory(256), 512),
        (memory(256, factor=1.5), 384),
        (memory(800), 1024),
        (memory(100, factor=1.001), 101),
    ],
)
def test_the_next_attempt_gets_the_factor_and_at_most_the_maximum(settings: AttemptSettings, size: int) -> None:
    outcome, sizes = escalated(OOM, settings)
    assert sizes == Sizes(memory=size * MI)
    assert (outcome.verdict, outcome.code) == (Verdict.FAILED, "oom")
    assert outcome.sentence.endswith(f"the next gets {size}Mi of memory")


def test_at_the_maximum_the_job_fails_and_says_what_to_raise() -> None:
    outcome, sizes = escalated(OOM, memory(1024))
    assert (outcome.verdict, outcome.code, sizes) == (Verdict.UNRECOVERABLE, "oom-at-max", Sizes())
    assert outcome.sentence == "out of memory; 1024Mi is the most that onOutOfMemory.max allows: raise it"


def test_disk_grows_on_its_own() -> None:
    settings = AttemptSettings(memory=Allowance(MI, 2, 4 * MI), disk=Allowance(10 * MI, 3, 100 * MI))
    assert escalated(DISK, settings)[1] == Sizes(disk=30 * MI)


@pytest.mark.parametrize("settings", [AttemptSettings(), AttemptSettings(memory=Allowance(MI))])
def test_without_an_escalation_nothing_changes(settings: AttemptSettings) -> None:
    assert escalated(OOM, settings) == (OOM, Sizes())
    assert sized(settings, Sizes(memory=2 * MI)) == settings


def test_what_is_no_want_of_memory_teaches_nothing() -> None:
    failed = Outcome(Verdict.FAILED, "exit-code", "it exited with code 3", Fault.JOB)
    assert escalated(failed, memory(256)) == (failed, Sizes())


@pytest.mark.parametrize("body", [None, [], "x", {"memory": -1}, {"memory": True}, {"memory": "1Gi"}, {"disk": 2**60}])
def test_sizes_that_are_none_count_as_nothing(body: Any) -> None:
    assert Sizes.of(body) == Sizes()


def test_limits_and_requests_grow_together() -> None:
    job_type = growing().job_type("resize")
    assert job_type is not None
    settings = sized(job_type.attempt_settings(growing().lock_duration), Sizes(memory=512 * MI))
    body = resources_of(job_type.resources, settings)
    assert body["limits"] == {"memory": "512Mi", "ephemeral-storage": "1G"}
    assert body["requests"] == {"memory": "256Mi"}


def test_the_pod_gets_what_its_attempt_was_given() -> None:
    job_type = JobType.model_validate(
        {"name": "resize", "image": "i", "resources": {"limits": {"memory": "256Mi"}}, "onOutOfMemory": {"max": "1Gi"}}
    )
    attempt = an_attempt(memory=Allowance(512 * MI, 2, 1024 * MI))
    body = kube_job(attempt, job_type, Placement("ns", "jq", "i", "redis"))
    assert body["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"


def test_bytes_read_as_people_write_them() -> None:
    assert (text_of(512 * MI), text_of(1_500_000_000)) == ("512Mi", "1500000000")


async def killed(desk: Desk, **opts: Any) -> str:
    """One job whose attempt is killed for memory."""
    job, kube_job, pod = await desk.bound(**opts)
    pod.end(137, "OOMKilled")
    await desk.hear(kube_job)
    return job.id


def limit_of(desk: Desk, job_id: str) -> str:
    return text_of(desk.cluster.of(job_id).attempt.settings.memory.limit)


async def test_a_job_killed_for_memory_is_retried_with_more_until_it_may_have_no_more() -> None:
    desk = Desk(growing())
    job_id = await killed(desk, attempts=9)
    given = [limit_of(desk, job_id)]
    while await desk.state(job_id) == "waiting":
        job = await desk.dispatch()
        assert job is not None
        kube_job = desk.cluster.of(job_id)
        pod = kube_job.pods[0]
        pod.start()
        await desk.queue.hold(job_id, kube_job.attempt.token, f"{kube_job.attempt.token}#{pod.uid}", 40_000)
        given.append(limit_of(desk, job_id))
        pod.end(137, "OOMKilled")
        await desk.hear(kube_job)
    assert given == ["256Mi", "512Mi", "1024Mi"]
    assert await desk.state(job_id) == "failed"
    assert "onOutOfMemory.max" in desk.hash(job_id)["failedReason"]


async def test_the_next_jobs_of_the_type_begin_with_what_was_needed() -> None:
    desk = Desk(growing())
    await killed(desk)
    await desk.launched()
    assert limit_of(desk, "2") == "512Mi"
    assert desk.lane.sizes == {"resize": Sizes(memory=512 * MI)}


async def test_a_job_keeps_its_size_when_it_is_given_back_and_when_the_operator_is_new() -> None:
    desk = Desk(growing())
    job_id = await killed(desk, attempts=2)
    await desk.dispatch()
    await desk.serving.settle.settle(
        desk.cluster.of(job_id).attempt, desk.hash(job_id)["pb"], Outcome(Verdict.GIVE_BACK, "disrupted", "drained")
    )
    assert json.loads(desk.hash(job_id)["bullpen"])["sizes"] == {"memory": 512 * MI}
    desk.serving = desk.operator()
    desk.pass_s(10)
    await desk.dispatch()
    assert limit_of(desk, job_id) == "512Mi"


async def test_what_was_learned_is_forgotten_when_the_job_type_is_given_other_limits() -> None:
    desk = Desk(growing())
    await killed(desk)
    served = desk.lane.served
    same = growing(concurrency=9)
    desk.lane.describe(type(served)(served.name, same, served.installation, served.server, served.launcher))
    assert desk.lane.sizes
    other = a_spec(jobTypes=[{"name": "resize", "image": "i", "resources": {"limits": {"memory": "2Gi"}}}])
    desk.lane.describe(type(served)(served.name, other, served.installation, served.server, served.launcher))
    assert desk.lane.sizes == {}
