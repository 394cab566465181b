"""A plain pod binds before its own image has come: that proves nothing of the job type yet."""

from __future__ import annotations

from bullpen_operator.outcome import Fault, Outcome, Verdict
from fakes.operators import Desk, a_spec

IMAGELESS = Outcome(Verdict.GIVE_BACK, "image", "its image can't be pulled", Fault.CONFIGURATION)


async def test_a_plain_probe_closes_the_breaker_when_its_container_runs_and_not_when_it_binds() -> None:
    desk = Desk(a_spec(jobTypes=[{"name": "resize", "runner": "plain", "image": "debian"}]))
    breaker = desk.lane.breaker
    breaker.ended("an-earlier-token", "resize", IMAGELESS, desk.clock.monotonic())
    desk.pass_s(10)
    job, kube_job, pod = await desk.launched()
    token = kube_job.attempt.token
    await desk.queue.hold(job.id, token, f"{token}#{pod.uid}", 40_000)
    await desk.serving.renewal.round()
    await desk.hear(kube_job)
    assert breaker.open
    pod.start()
    await desk.hear(kube_job)
    assert not breaker.open


async def test_a_managed_probe_closes_the_breaker_when_it_binds() -> None:
    desk = Desk()
    breaker = desk.lane.breaker
    breaker.ended("an-earlier-token", "resize", IMAGELESS, desk.clock.monotonic())
    desk.pass_s(10)
    job, kube_job, pod = await desk.launched()
    token = kube_job.attempt.token
    await desk.queue.hold(job.id, token, f"{token}#{pod.uid}", 40_000)
    await desk.serving.renewal.round()
    assert not breaker.open
