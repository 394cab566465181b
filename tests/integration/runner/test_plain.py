"""The two containers beside a plain job, on a real Redis: what they write, what they say, and when they are silent."""

from __future__ import annotations

import json
import signal
from typing import Any, cast

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from fakes.attempts import Runner, Stage, eventually
from fakes.plainpods import PlainPod
from fakes.redis_proxy import Fault, RedisProxy, script
from servers.redis import RedisServer


def fetched(stage: Stage, payload: Any = None, **more: Any) -> tuple[str, PlainPod]:
    """A claimed job whose payload was fetched into a pod."""
    job_id = stage.add(data=json.dumps(payload))
    job, token = stage.claim()
    pod = PlainPod(stage, job, token, **more)
    assert pod.fetch().wait() == ExitCode.COMPLETED
    return job_id, pod


def watching(pod: PlainPod) -> Runner:
    """A sidecar that hears signals."""
    runner = pod.watch()
    pod.path("progress").write_text('{"step": "ready"}')
    return runner


def until_ready(stage: Stage, job_id: str) -> None:
    eventually(lambda: progress(stage, job_id) == {"step": "ready"}, "the first progress")


def progress(stage: Stage, job_id: str) -> Any:
    return json.loads(stage.job(job_id).raw.get("progress", "0"))


def ended(runner: Runner) -> TerminationMessage:
    """Tell a sidecar that the main container has ended, and hear what it says."""
    runner.send(signal.SIGTERM)
    assert runner.wait() == ExitCode.COMPLETED
    message = runner.message()
    assert message is not None
    return message


def test_the_payload_arrives_as_the_producer_sent_it_and_the_pod_holds_the_job(stage: Stage) -> None:
    data = '{"text": "é 😀",  "n": 1e3}'
    job_id = stage.add(data=data)
    job, token = stage.claim()
    pod = PlainPod(stage, job, token)
    runner = pod.fetch()
    assert runner.wait() == ExitCode.COMPLETED
    assert pod.path("payload").read_text() == data
    location = stage.queue.location(job_id)
    assert (location.pb, location.lock) == (pod.fence, pod.fence)
    assert "😀" not in runner.output()


def test_another_pod_of_the_attempt_is_not_started(stage: Stage) -> None:
    stage.add(data="{}")
    job, token = stage.claim()
    first, second = PlainPod(stage, job, token), PlainPod(stage, job, token)
    assert first.fetch().wait() == ExitCode.COMPLETED
    refused = second.fetch()
    assert refused.wait() == ExitCode.SUPERSEDED
    assert not second.path("payload").exists()
    assert (refused.message() or cast(Any, None)).outcome is RunnerOutcome.SUPERSEDED


def test_a_payload_that_is_too_large_fails_its_job_for_good(stage: Stage) -> None:
    job_id = stage.add(data='"' + "x" * 40_000_000 + '"', opts={"attempts": 3})
    pod = PlainPod(stage, *stage.claim())
    assert pod.fetch().wait() == ExitCode.FAILED
    reason = stage.job(job_id).failed_reason
    assert reason == "the payload is 40,000,002 bytes; at most 33,554,432 are accepted"
    assert stage.queue.state(job_id) == "failed"


def test_a_deleted_pod_does_not_start_its_job(stage: Stage, runner_redis: RedisServer) -> None:
    stage.add(data="{}")
    job, token = stage.claim()
    with RedisProxy(runner_redis.port) as proxy:
        silence = proxy.on(script("hold"), Fault.NO_REPLY, times=9)
        runner = PlainPod(stage, job, token, redis_url=proxy.url).fetch()
        eventually(lambda: silence.done, "the hold")
        runner.send(signal.SIGTERM)
        assert runner.wait() == ExitCode.TERMINATED


def test_progress_is_passed_on_as_it_changes_and_the_last_one_always(stage: Stage) -> None:
    job_id, pod = fetched(stage)
    runner = watching(pod)
    until_ready(stage, job_id)
    pod.path("progress").write_text("40\n")
    eventually(lambda: progress(stage, job_id) == 40, "the second progress")
    for half in ('{"a": ', "true", '"text"', "NaN", "[" * 10_000, "9" * 20_000):
        pod.path("progress").write_text(half)
    pod.path("progress").write_text("99.5")
    ended(runner)
    assert progress(stage, job_id) == 99.5
    told = [
        fields["data"] for _, fields in cast(Any, stage.client.xrange(f"bull:{stage.name}:events")) if "data" in fields
    ]
    assert told[-1] == "99.5"
    assert {json.dumps(json.loads(one)) for one in told} == {'{"step": "ready"}', "40", "99.5"}


def test_a_small_value_is_said_and_leaves_nothing_in_redis(stage: Stage) -> None:
    job_id, pod = fetched(stage)
    runner = watching(pod)
    until_ready(stage, job_id)
    pod.path("result").write_text('{"ok": true}\n')
    message = ended(runner)
    assert (message.outcome, message.value, message.has_value) == (RunnerOutcome.COMPLETED, {"ok": True}, True)
    assert "bullpen.value" not in stage.job(job_id).raw
    assert stage.queue.state(job_id) == "active", "the operator finishes it, by the exit code of the main container"


def test_a_large_value_is_kept_under_the_fence(stage: Stage) -> None:
    job_id, pod = fetched(stage)
    runner = watching(pod)
    until_ready(stage, job_id)
    pod.path("result").write_bytes(b"y" * 1024 * 1024)
    message = ended(runner)
    assert (message.outcome, message.has_value) == (RunnerOutcome.COMPLETED, False)
    assert stage.job(job_id).kept(pod.fence) == json.dumps("y" * 1024 * 1024)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"x" * (1024 * 1024 + 1), "the result is larger than 1,048,576 bytes", id="too-large"),
        pytest.param(b"\xff", "the result is not UTF-8: byte 0", id="not-utf-8"),
    ],
)
def test_a_result_that_can_t_be_taken_is_said_to_be_so(stage: Stage, content: bytes, reason: str) -> None:
    job_id, pod = fetched(stage)
    runner = watching(pod)
    until_ready(stage, job_id)
    pod.path("result").write_bytes(content)
    message = ended(runner)
    assert (message.outcome, message.reason) == (RunnerOutcome.FAILED, reason)


def test_a_link_to_the_sidecar_s_environment_gives_no_credential_away(stage: Stage) -> None:
    job_id, pod = fetched(stage)
    runner = watching(pod)
    until_ready(stage, job_id)
    for name in ("result", "progress"):
        pod.path(name).unlink()
        pod.path(name).symlink_to("/proc/self/environ")
    message = ended(runner)
    assert (message.outcome, message.reason) == (
        RunnerOutcome.FAILED,
        "the result file can't be read: it is a symbolic link",
    )
    assert "redis" not in json.dumps(stage.job(job_id).raw.get("progress", ""))


def test_the_lock_is_renewed_as_long_as_the_sidecar_lives(stage: Stage) -> None:
    job_id, pod = fetched(stage, lock_ms=2_000)
    runner = watching(pod)
    until_ready(stage, job_id)
    for _ in range(2):
        eventually(lambda: stage.queue.location(job_id).lock_ms < 1_800, "time")
        eventually(lambda: stage.queue.location(job_id).lock_ms > 1_800, "a renewal")
    assert stage.queue.location(job_id).lock == pod.fence
    ended(runner)


def test_a_sidecar_that_was_killed_and_started_again_goes_on(stage: Stage) -> None:
    job_id, pod = fetched(stage)
    first = watching(pod)
    until_ready(stage, job_id)
    first.send(signal.SIGKILL)
    first.wait()
    second = pod.watch()
    pod.path("progress").write_text("50")
    eventually(lambda: progress(stage, job_id) == 50, "progress again")
    pod.path("result").write_text("7")
    assert ended(second).value == 7


def test_a_sidecar_that_lost_its_job_waits_quietly_for_the_end_of_its_pod(stage: Stage) -> None:
    job_id, pod = fetched(stage, lock_ms=1_000)
    runner = watching(pod)
    until_ready(stage, job_id)
    stage.queue.give_back(stage.job(job_id), pod.fence, 60_000)
    eventually(lambda: runner.messages(level="warn"), "its word")
    pod.path("progress").write_text("66")
    pod.path("result").write_text("7")
    assert runner.process.poll() is None, "an exit would have it started again"
    runner.send(signal.SIGTERM)
    assert runner.wait() == ExitCode.SUPERSEDED
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.has_value) == (RunnerOutcome.SUPERSEDED, False)
    assert progress(stage, job_id) == {"step": "ready"}
    assert stage.queue.state(job_id) == "delayed"


def test_without_redis_a_small_value_is_said_and_a_large_one_waits_for_it(
    stage: Stage, runner_redis: RedisServer
) -> None:
    with RedisProxy(runner_redis.port) as proxy:
        job_id, pod = fetched(stage, redis_url=proxy.url)
        small, large = watching(pod), pod.watch()
        until_ready(stage, job_id)
        eventually(lambda: all(one.messages(msg="watching") for one in (small, large)), "both hold the job")
        proxy.partition()
        pod.path("result").write_text("7")
        assert ended(small).value == 7
        pod.path("result").write_text('"' + "z" * 10_000 + '"')
        large.send(signal.SIGTERM)
        eventually(lambda: large.message() is not None, "its words")
        assert stage.job(job_id).kept(pod.fence) is None
        proxy.heal()
        assert large.wait() == ExitCode.COMPLETED
        assert stage.job(job_id).kept(pod.fence) == json.dumps("z" * 10_000)


@pytest.mark.parametrize("arguments", [(), ("fetch", "watch"), ("help",)])
def test_anything_but_fetch_and_watch_is_refused_with_what_to_write(
    stage: Stage, tmp_path: Any, arguments: tuple[str, ...]
) -> None:
    environment = {"BULLPEN_TERMINATION_LOG": str(tmp_path / "said")}
    runner = Runner(environment, tmp_path, module=("bullpen_runner.plain", *arguments))
    stage.runners.append(runner)
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    assert "expected `python -m bullpen_runner.plain fetch`" in runner.output()
