from __future__ import annotations

import json

import pytest

from bullpen_operator.events import EventKind
from bullpen_operator.ports import ConfigurationFaultError, LaunchError
from bullpen_operator.serving import HELD_BACK_S
from bullpen_operator.slots import Stage
from bullpen_protocol.bullmq import Job, RedisAwayError
from fakes.operators import Desk, P, a_spec


async def test_a_job_is_claimed_under_a_token_of_the_installation_and_launched() -> None:
    desk = Desk()
    await desk.add()
    job = await desk.dispatch()
    assert job is not None
    assert job.pb == "bullpen/inst/0001"
    attempt = desk.cluster.of(job.id).attempt
    assert (attempt.token, attempt.job_id, attempt.job_name, attempt.number) == ("bullpen/inst/0001", "1", "resize", 1)
    assert (attempt.jobqueue, attempt.prefix, attempt.queue) == ("ns/q", "bull", "q")
    assert attempt.settings.lock_ms == 40_000
    assert attempt.settings.graph_timeout_s == 40.0
    assert [event.kind for event in desk.reported] == [EventKind.CLAIMED, EventKind.LAUNCHED]
    assert desk.lane.slots.held[attempt.token].stage is Stage.PENDING


async def test_an_empty_queue_takes_no_slot() -> None:
    desk = Desk()
    assert await desk.dispatch() is None
    assert len(desk.lane.slots) == 0
    assert desk.lane.claiming == set()


async def test_no_more_is_claimed_than_there_is_room_for() -> None:
    desk = Desk(a_spec(concurrency=2))
    for _ in range(2):
        await desk.add()
        assert desk.serving.dispatch.may_claim()
        await desk.dispatch()
    assert not desk.serving.dispatch.may_claim()
    desk.lane.slots.free("bullpen/inst/0001")
    assert desk.serving.dispatch.may_claim()


async def test_a_suspended_job_queue_claims_nothing() -> None:
    desk = Desk(a_spec(suspend=True))
    assert not desk.serving.dispatch.may_claim()


async def test_a_closing_one_claims_nothing_and_gives_back_what_it_claimed() -> None:
    desk = Desk()
    await desk.add()
    claim = await desk.queue.claim("bullpen/inst/x", 40_000)
    desk.lane.closing = True
    assert not desk.serving.dispatch.may_claim()
    await desk.serving.dispatch.start(claim.job)  # type: ignore[union-attr]
    assert await desk.state("1") == "delayed"
    assert desk.cluster.kube_jobs == {}


async def test_the_rate_limit_is_passed_to_every_claim() -> None:
    desk = Desk(a_spec(rateLimit={"max": 2, "duration": "10s"}))
    for _ in range(3):
        await desk.add()
    assert [bool(await desk.dispatch()) for _ in range(3)] == [True, True, False]
    desk.pass_s(10)
    assert await desk.dispatch()


async def test_a_reserved_id_fails_for_good_without_a_pod() -> None:
    desk = Desk()
    desk.hash("marker").update(name="resize", opts="{}", data="{}", pb="bullpen/inst/x", timestamp="1", delay="0")
    job = Job.from_hash("marker", desk.hash("marker"))
    await desk.serving.dispatch.start(job)
    assert desk.cluster.launches == []
    (settled,) = desk.told(EventKind.SETTLED)
    assert settled.code == "reserved-id"


async def test_a_deferred_failure_fails_for_good_without_a_pod() -> None:
    desk = Desk()
    await desk.add(attempts=3)
    desk.hash("1")["defa"] = "job stalled more than allowable limit"
    await desk.dispatch()
    assert await desk.state("1") == "failed"
    assert desk.hash("1")["failedReason"] == "job stalled more than allowable limit"
    assert desk.cluster.launches == []
    assert len(desk.lane.slots) == 0


async def test_a_scheduler_is_advanced_before_the_launch() -> None:
    desk = Desk()
    advanced: list[tuple[str, int]] = []

    async def advance(job: Job) -> None:
        advanced.append((job.id, len(desk.cluster.launches)))

    desk.lane.queue.advance = advance  # type: ignore[method-assign]
    await desk.add()
    await desk.dispatch()
    assert advanced == [("1", 0)]


async def test_an_unknown_name_is_held_with_growing_delay_and_one_sentence() -> None:
    desk = Desk()
    await desk.add(name="mystery", attempts=1)
    delays = []
    for _ in range(3):
        assert await desk.dispatch()
        delays.append(int(desk.hash("1")["delay"]))
        desk.pass_s(delays[-1] / 1000)
    assert delays == [5_000, 10_000, 20_000]
    assert "atm" not in desk.hash("1")
    (degraded,) = desk.told(EventKind.DEGRADED)
    assert degraded.sentence == "no job type serves jobs named 'mystery'; they wait until one does"
    assert not desk.lane.breaker.open
    assert desk.serving.dispatch.may_claim()


async def test_an_unknown_name_is_forgotten_when_a_job_type_serves_it() -> None:
    desk = Desk()
    await desk.add(name="mystery")
    await desk.dispatch()
    assert list(desk.lane.unknown_names) == ["mystery"]
    served = desk.lane.served
    desk.lane.describe(type(served)(served.name, a_spec(jobTypes=[{"name": "*"}]), "inst", desk.server, desk.cluster))
    assert desk.lane.unknown_names == {}


async def test_an_unknown_name_fails_where_the_job_queue_says_so() -> None:
    desk = Desk(a_spec(unknownJobs="fail"))
    await desk.add(name="mystery", attempts=3)
    await desk.dispatch()
    assert await desk.state("1") == "failed"
    assert desk.hash("1")["failedReason"] == "Unknown job: mystery"


async def test_why_no_pod_was_made_is_in_the_jobs_log_once_as_long_as_it_is_the_same() -> None:
    desk = Desk()
    desk.cluster.refusal = ConfigurationFaultError("it mounts a hostPath")
    await desk.add()
    await desk.dispatch()
    assert desk.log_of("1") == ["bullpen: given back (refused-spec): it mounts a hostPath"]
    desk.pass_s(600)
    await desk.dispatch()
    assert len(desk.log_of("1")) == 1
    desk.cluster.refusal = ConfigurationFaultError("it names no image")
    desk.pass_s(600)
    await desk.dispatch()
    assert desk.log_of("1")[1:] == ["bullpen: given back (refused-spec): it names no image"]


async def test_a_refused_spec_is_given_back_and_opens_the_breaker() -> None:
    desk = Desk()
    desk.cluster.refusal = ConfigurationFaultError("job type 'resize' names no image")
    await desk.add()
    await desk.dispatch()
    assert await desk.state("1") == "delayed"
    assert "atm" not in desk.hash("1")
    assert not desk.serving.dispatch.may_claim()
    assert desk.lane.breaker.sentence == "job type 'resize': job type 'resize' names no image"
    assert [event.code for event in desk.told(EventKind.DEGRADED)] == ["breaker"]
    desk.pass_s(10)
    desk.cluster.refusal = None
    assert desk.serving.dispatch.may_claim()
    await desk.dispatch()
    assert not desk.serving.dispatch.may_claim(), "one probe at a time"


async def test_a_job_that_no_launcher_can_start_fails_for_good() -> None:
    desk = Desk()
    desk.cluster.refusal = LaunchError("the job's id holds a NUL character")
    await desk.add(attempts=3)
    await desk.dispatch()
    assert await desk.state("1") == "failed"
    assert not desk.lane.breaker.open


async def test_a_launcher_that_is_away_leaves_the_job_claimed_and_is_tried_again() -> None:
    desk = Desk()
    desk.cluster.fails.add("launch")
    await desk.add()
    await desk.dispatch()
    assert await desk.state("1") == "active"
    assert not desk.serving.dispatch.may_claim()
    assert [event.code for event in desk.told(EventKind.AWAY)] == ["launcher"]
    desk.pass_s(1)
    await desk.serving.relaunch()
    assert len(desk.told(EventKind.AWAY)) == 1, "said once"
    desk.cluster.fails.clear()
    desk.pass_s(2)
    await desk.serving.relaunch()
    assert desk.cluster.of("1").attempt.token == "bullpen/inst/0001"
    assert len(desk.told(EventKind.BACK)) == 1
    assert desk.serving.dispatch.may_claim()


async def test_starting_twice_makes_one_kube_job() -> None:
    desk = Desk()
    await desk.add()
    job = await desk.dispatch()
    assert job is not None
    await desk.serving.dispatch.start(job)
    assert len(desk.cluster.kube_jobs) == 1
    assert len(desk.lane.slots) == 1


async def test_a_claim_while_redis_is_away_takes_no_slot() -> None:
    desk = Desk()

    async def away(*_: object, **__: object) -> None:
        raise RedisAwayError("gone")

    desk.lane.queue.claim = away  # type: ignore[method-assign,assignment]
    with pytest.raises(RedisAwayError):
        await desk.dispatch()
    assert len(desk.lane.slots) == 0
    assert desk.lane.claiming == set()


async def test_names_and_ids_in_events_are_escaped_and_the_attempt_keeps_them_exact() -> None:
    desk = Desk(a_spec(jobTypes=[{"name": "*"}]))
    name = "\x1b[31m\n" + "n" * 1000
    await desk.queue.add(name, "{}", {}, 'i"\n')
    await desk.dispatch()
    (claimed,) = desk.told(EventKind.CLAIMED)
    assert claimed.job_name.isprintable()
    assert len(claimed.job_name) <= 300
    assert claimed.job_id == 'i"\\n'
    assert desk.cluster.of('i"\n').attempt.job_name == name


async def test_payloads_appear_nowhere_but_in_redis() -> None:
    desk = Desk()
    await desk.queue.add("resize", json.dumps({"secret": "hunter2"}), {})
    await desk.dispatch()
    assert "hunter2" not in repr(desk.reported)
    assert "hunter2" not in repr(desk.cluster.of("1"))
    assert "hunter2" in desk.redis.hash(f"{P}1")["data"]


async def test_no_more_is_claimed_while_so_many_pods_cant_start_and_a_pod_that_starts_makes_room() -> None:
    desk = Desk(a_spec(maxPending=1))
    pokes: list[str] = []
    desk.lane.slots.freed = lambda: pokes.append("room")
    _, kube_job, pod = await desk.launched()
    assert desk.serving.dispatch.may_claim(), "one that is only being started blocks nothing"
    pod.unschedulable = "0/3 nodes are available: 3 Insufficient cpu."
    await desk.hear(kube_job)
    assert not desk.serving.dispatch.may_claim()
    pod.unschedulable = ""
    pod.start()
    await desk.hear(kube_job)
    assert desk.serving.dispatch.may_claim()
    assert pokes == ["room"]


async def test_nothing_is_claimed_while_the_launcher_does_not_keep_up_and_it_is_asked_again_soon() -> None:
    desk = Desk()
    desk.serving.audited = True
    await desk.add()
    desk.cluster.keeps_up = False
    assert not desk.serving.dispatch.may_claim()
    now = desk.clock.monotonic()
    assert list(desk.serving.moments(now)) == [now + HELD_BACK_S]
    desk.cluster.keeps_up = True
    assert desk.serving.dispatch.may_claim()
