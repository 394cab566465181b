"""A job from its claim to its finish, by a real runner: what Redis, the log and the kubelet get to see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from bullpen_runner.child import HALF_A_PAIR
from fakes.attempts import Stage


def test_a_job_is_completed_with_its_value(stage: Stage) -> None:
    job_id = stage.add(["value", {"ok": True, "text": "é 😀"}])
    runner = stage.start(*stage.claim())

    assert runner.wait() == ExitCode.COMPLETED
    assert stage.queue.state(job_id) == "completed"
    assert stage.job(job_id).returnvalue == '{"ok":true,"text":"é 😀"}'
    assert stage.events(job_id) == ["active", "completed"]
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.value) == (RunnerOutcome.COMPLETED, {"ok": True, "text": "é 😀"})


@pytest.mark.parametrize(
    ("which", "stored"),
    [
        pytest.param("nan", '[null,null,{"a":null},1.5]', id="nan-as-node-writes-it"),
        pytest.param("surrogate", '"\\ud800é😀"', id="half-a-surrogate-pair-escaped"),
        pytest.param("tuple", '[1,"ü"]', id="tuple"),
    ],
)
def test_a_value_is_stored_as_node_would_store_it(stage: Stage, which: str, stored: str) -> None:
    job_id = stage.add(["strange", which])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == stored


def test_a_value_too_large_for_the_message_is_complete_in_redis(stage: Stage) -> None:
    job_id = stage.add(["strange", "large"])
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.COMPLETED
    message = runner.message()
    assert message is not None
    assert not message.has_value
    assert len(json.loads(stage.job(job_id).returnvalue or "")) == 5_000


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        pytest.param(["fail", "it\nwent wrong"], "it went wrong", id="own-exception-in-its-own-words"),
        pytest.param(["key_error", "x"], "KeyError: 'x'", id="python's-exception-with-its-name"),
        pytest.param(["no_result"], "TypeError: the processor returned dict, not a Result", id="no-result"),
        pytest.param(["strange", "deep"], "the processor's return value is nested too deep for JSON", id="deep-value"),
        pytest.param(["strange", "circular"], "the processor's return value contains itself", id="circular-value"),
        pytest.param(
            ["strange", "set"],
            "the processor's return value is not JSON: Object of type set is not JSON serializable",
            id="no-json",
        ),
        pytest.param(["exit", 3], "RuntimeError: the processor called sys.exit(3)", id="sys-exit"),
        pytest.param(
            ["os_exit", 7],
            "the processor's process ended with exit code 7 before it returned",
            id="gone-without-a-word",
        ),
        pytest.param(["kill", "SIGSEGV"], "the processor was killed by SIGSEGV", id="crash"),
        pytest.param(["recurse"], "RecursionError: maximum recursion depth exceeded", id="recursion"),
    ],
)
def test_a_failing_processor_fails_its_job_with_one_sentence(stage: Stage, step: list[Any], reason: str) -> None:
    job_id = stage.add(step)
    runner = stage.start(*stage.claim())

    assert runner.wait() == ExitCode.FAILED
    job = stage.job(job_id)
    assert (job.failed_reason or "").startswith(reason)
    assert stage.events(job_id) == ["active", "failed", "retries-exhausted"]
    assert job.atm == 1
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.reason) == (RunnerOutcome.FAILED, job.failed_reason)


def test_a_failed_attempt_is_retried_as_its_producer_said(stage: Stage) -> None:
    job_id = stage.add(["fail", "once"], opts={"attempts": 2})
    assert stage.start(*stage.claim()).wait() == ExitCode.FAILED
    assert stage.queue.state(job_id) == "waiting"
    assert stage.start(*stage.claim()).wait() == ExitCode.FAILED
    assert stage.queue.state(job_id) == "failed"


def test_unusable_input_fails_at_once_whatever_attempts_are_left(stage: Stage) -> None:
    job_id = stage.add(["unusable", "no url in it"], opts={"attempts": 5})
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.FAILED
    assert (stage.queue.state(job_id), stage.job(job_id).failed_reason) == ("failed", "no url in it")
    message = runner.message()
    assert message is not None
    assert message.outcome is RunnerOutcome.UNRECOVERABLE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param("{nope", "the payload is not JSON: ", id="not-json"),
        pytest.param("", "the payload is not JSON: ", id="empty"),
        pytest.param('{"a": NaN}', "the payload is not JSON: it holds NaN", id="nan"),
        pytest.param("[" * 100_000 + "]" * 100_000, "the payload is nested too deep", id="deep"),
        pytest.param(
            '"' + "x" * 50_000_000 + '"', "the payload is 50,000,002 bytes; at most 33,554,432 are accepted", id="50-mb"
        ),
    ],
)
def test_a_hostile_payload_fails_its_own_job_only(stage: Stage, data: str, reason: str) -> None:
    job_id = stage.add(data=data, opts={"attempts": 3})
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.FAILED
    assert stage.queue.state(job_id) == "failed"
    assert (stage.job(job_id).failed_reason or "").startswith(reason)
    assert "xxxx" not in runner.output()


def test_half_a_surrogate_pair_is_let_through_and_noted_in_the_jobs_log(stage: Stage) -> None:
    job_id = stage.add(data='{"steps": [["value", "\\ud83d"]]}')
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == '"\\ud83d"'
    assert stage.log_of(job_id) == [HALF_A_PAIR]


def test_wrong_settings_are_the_jobqueues_fault(stage: Stage) -> None:
    job_id = stage.add(["wrong_settings", "setting colour: expected a name"])
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    assert stage.queue.state(job_id) == "active"  # the operator gives it back
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.reason) == (RunnerOutcome.GIVE_BACK, "setting colour: expected a name")


def test_a_stack_shows_where_and_never_what(stage: Stage) -> None:
    job_id = stage.add(["fail_with_cause", "hunter2"])
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.FAILED
    stack = "\n".join(stage.job(job_id).stacktrace)
    assert "bullpen_played.py" in stack
    assert "caused by ValueError" in stack
    assert "hunter2" not in stack + runner.output()


def test_what_a_processor_prints_and_logs_becomes_log_lines(stage: Stage) -> None:
    job_id = stage.add(["print", "hello"], ["complain", "careful"], ["log_library", "from afar"], ["log", "job line"])
    runner = stage.start(*stage.claim(), attempt=3)
    assert runner.wait() == ExitCode.COMPLETED

    assert runner.messages(ns="processor", level="info") == ["hello", "job line"]
    assert runner.messages(ns="processor", level="warn") == ["careful"]
    assert runner.messages(ns="some.library", level="warn") == ["from afar"]
    assert stage.log_of(job_id) == ["job line"]
    line = runner.lines(ns="runner", msg="started")[0]
    assert list(line)[:7] == ["ts", "level", "ns", "msg", "queue", "job_id", "attempt"]
    assert (line["queue"], line["job_id"], line["attempt"]) == (stage.name, job_id, 3)


def test_output_and_log_are_bounded(stage: Stage) -> None:
    job_id = stage.add(["log_many", 1_500], ["print_many", 3, 20_000])
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.COMPLETED
    assert len(stage.log_of(job_id)) == 1_001
    assert stage.log_of(job_id)[-1] == "(more than 1,000 lines: the rest is in the pod's log only)"
    assert max(map(len, runner.messages(ns="processor"))) <= 8_192


def test_progress_is_thinned_out_and_its_last_value_always_sent(stage: Stage) -> None:
    job_id = stage.add(["progress_many", 5_000], ["progress", {"done": 7}])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).raw["progress"] == '{"done": 7}'.replace(" ", "")
    assert 1 <= stage.events(job_id).count("progress") <= 12


def test_settings_reach_the_processor_and_credentials_do_not(stage: Stage) -> None:
    job_id = stage.add(["settings"])
    assert stage.start(*stage.claim(), settings={"base": "urn:x"}).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == '{"base":"urn:x"}'
    job_id = stage.add(["environment"])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == "[]"


@pytest.mark.parametrize(
    ("processor", "reason"),
    [
        pytest.param("unloadable", "RuntimeError: no such library here", id="breaks-on-import"),
        pytest.param("no-such-processor", "no processor is named 'no-such-processor'", id="unknown"),
    ],
)
def test_a_processor_that_cannot_be_loaded_is_no_fault_of_the_job(stage: Stage, processor: str, reason: str) -> None:
    job_id = stage.add()
    runner = stage.start(*stage.claim(), processor=processor)
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    assert stage.queue.state(job_id) == "active"
    message = runner.message()
    assert message is not None
    assert reason in message.reason


def test_a_wrong_environment_is_named(stage: Stage) -> None:
    stage.add()
    runner = stage.start(*stage.claim(), environment={"BULLPEN_LOCK_MS": "soon"})
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    message = runner.message()
    assert message is not None
    assert message.reason == "BULLPEN_LOCK_MS is 'soon'; expected a positive int"


def test_a_job_that_was_removed_is_left_alone(stage: Stage) -> None:
    stage.add()
    job, token = stage.claim()
    stage.client.delete(f"bull:{stage.name}:{job.id}")
    runner = stage.start(job, token)
    assert runner.wait() == ExitCode.SUPERSEDED
    assert stage.events(job.id) == ["active"]


def test_threads_that_a_processor_leaves_behind_do_not_hold_the_job(stage: Stage) -> None:
    assert stage.play(["thread"]).wait() == ExitCode.COMPLETED
