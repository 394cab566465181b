"""Redis goes away and comes back, and answers get lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from fakes.attempts import Runner, Stage, eventually, is_running
from fakes.cuts import RedisLine
from fakes.graph import FakeGraph
from servers.redis import RedisServer, redis_server

UPDATE = "INSERT DATA { <urn:a> <urn:b> <urn:c> }"
LOCK_MS = 800
FAILED = ["active", "failed", "retries-exhausted"]


@pytest.fixture
def line(stage: Stage) -> Iterator[RedisLine]:
    """The only way from a runner to Redis."""
    with RedisLine(stage.url) as line:
        yield line


def start_waiting(stage: Stage, line: RedisLine, lock_ms: int, *more: list[Any]) -> tuple[str, Runner]:
    """Start a runner whose child waits for the file `go`, then writes."""
    began = stage.touched("began")
    steps = [["touch", str(began)], *more, ["wait_for", str(stage.touched("go"))], ["update", UPDATE]]
    job_id = stage.add(*steps)
    runner = stage.start(*stage.claim(lock_ms), redis_url=line.url, lock_ms=lock_ms)
    eventually(began.exists, "the child's start")
    return job_id, runner


def has_noticed(runner: Runner) -> None:
    eventually(lambda: runner.messages(level="warn", msg="Redis is away; the job goes on"), "word of the outage")


def lock_is_gone(stage: Stage, job_id: str) -> None:
    eventually(lambda: not stage.client.exists(f"bull:{stage.name}:{job_id}:lock"), "the end of the lock")


def test_redis_away_for_less_than_the_lock_costs_nothing(stage: Stage, graph: FakeGraph, line: RedisLine) -> None:
    job_id, runner = start_waiting(stage, line, 8_000, ["progress", 10], ["log", "before"])
    line.cut()
    has_noticed(runner)
    line.mend()
    eventually(lambda: runner.messages(msg="Redis is back"), "the return")
    stage.touched("go").touch()

    assert runner.wait() == ExitCode.COMPLETED
    assert [event for event in stage.events(job_id) if event != "progress"] == ["active", "completed"]
    assert graph.taken == [UPDATE]
    assert stage.log_of(job_id) == ["before"]


def test_no_write_starts_while_redis_is_away(stage: Stage, graph: FakeGraph, line: RedisLine) -> None:
    job_id, runner = start_waiting(stage, line, LOCK_MS)
    line.cut()
    has_noticed(runner)
    stage.touched("go").touch()
    lock_is_gone(stage, job_id)
    assert graph.requests == 0
    assert stage.queue.state(job_id) == "active"

    line.mend()

    assert runner.wait() == ExitCode.COMPLETED
    assert graph.taken == [UPDATE]
    assert stage.events(job_id) == ["active", "completed"]


def test_who_was_away_longer_than_the_lock_and_was_replaced_writes_nothing(
    stage: Stage, graph: FakeGraph, line: RedisLine
) -> None:
    job_id, runner = start_waiting(stage, line, LOCK_MS)
    line.cut()
    lock_is_gone(stage, job_id)
    eventually(lambda: job_id in stage.queue.stalled(5, 1), "the stall")
    heir = stage.start(*stage.claim())
    stage.touched("go").touch()
    assert heir.wait() == ExitCode.COMPLETED

    line.mend()

    assert runner.wait() == ExitCode.SUPERSEDED
    assert graph.taken == [UPDATE]
    assert stage.events(job_id).count("completed") == 1


@pytest.mark.parametrize(
    ("step", "marker", "code", "events"),
    [
        pytest.param(["value", 1], b"returnvalue", ExitCode.COMPLETED, ["active", "completed"], id="complete"),
        pytest.param(["fail", "x"], b"failedReason", ExitCode.FAILED, FAILED, id="fail"),
    ],
)
@pytest.mark.parametrize("longer", [False, True], ids=["at-once-back", "and-then-away"])
def test_a_finish_whose_answer_is_lost_is_not_done_twice(
    stage: Stage, line: RedisLine, step: list[Any], marker: bytes, code: ExitCode, events: list[str], longer: bool
) -> None:
    stage.add(["value", 0])
    first, token = stage.claim()
    stage.queue.complete(first, token, "0")  # the server knows the script: what is lost is the answer of a finish
    job_id = stage.add(step)
    line.lose_answer_to(marker, then_cut=longer)
    runner = stage.start(*stage.claim(), redis_url=line.url)
    if longer:
        has_noticed(runner)
        assert stage.queue.state(job_id) == code.name.lower()
        line.mend()
    assert runner.wait() == code
    assert line.lost == 1
    assert stage.events(job_id) == events
    assert stage.job(job_id).atm == 1


def test_a_finish_that_was_cut_off_is_looked_up_when_redis_is_back(
    stage: Stage, graph: FakeGraph, line: RedisLine
) -> None:
    graph.answer_gate.clear()
    job_id = stage.add(["update", UPDATE])
    runner = stage.start(*stage.claim(), redis_url=line.url)
    assert graph.stored.wait(30)
    line.cut()
    graph.answer_gate.set()
    has_noticed(runner)
    message = runner.message()
    assert message is not None
    assert message.outcome is RunnerOutcome.COMPLETED

    line.mend()

    assert runner.wait() == ExitCode.COMPLETED
    assert graph.taken == [UPDATE]
    assert stage.events(job_id) == ["active", "completed"]


def test_redis_away_until_the_deadline_leaves_the_last_words_to_the_operator(
    stage: Stage, graph: FakeGraph, line: RedisLine
) -> None:
    graph.answer_gate.clear()
    job_id = stage.add(["update", UPDATE])
    runner = stage.start(*stage.claim(), redis_url=line.url, timeout_s=1.0, graph_timeout_s=0.6)
    assert graph.stored.wait(30)
    line.cut()
    graph.answer_gate.set()
    assert runner.wait() == ExitCode.GIVE_BACK
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.value) == (RunnerOutcome.COMPLETED, "written")
    assert stage.queue.state(job_id) == "active"


def test_redis_that_never_answers_gives_the_job_back(stage: Stage, line: RedisLine) -> None:
    stage.add(["value", 1])
    line.cut()
    runner = stage.start(*stage.claim(), redis_url=line.url, timeout_s=1.0)
    assert runner.wait() == ExitCode.GIVE_BACK
    message = runner.message()
    assert message is not None
    assert message.outcome is RunnerOutcome.GIVE_BACK


def test_a_stop_while_redis_does_not_answer_is_obeyed_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_server() as server:
        stage = Stage(server.url, tmp_path_factory.mktemp("frozen"))
        began = stage.touched("began")
        stage.add(["touch", str(began)], ["sleep", 600])
        runner = stage.start(*stage.claim(2_000), lock_ms=2_000)
        eventually(began.exists, "the child's start")
        server.freeze()
        runner.send(signal.SIGTERM)
        assert runner.process.wait(5) == ExitCode.TERMINATED
        server.thaw()
        stage.close()


def test_the_timer_holds_while_redis_does_not_answer(tmp_path_factory: pytest.TempPathFactory) -> None:
    with redis_server() as server:
        stage = Stage(server.url, tmp_path_factory.mktemp("frozen"))
        began = stage.touched("began")
        job_id = stage.add(["touch", str(began)], ["regex"])
        runner = stage.start(*stage.claim(1_000), lock_ms=1_000, timeout_s=2.0)
        child = int(eventually(lambda: began.exists() and began.read_text(), "the child's start"))
        server.freeze()
        eventually(lambda: not is_running(child), "the end of the child", 6)
        server.thaw()
        assert runner.wait() == ExitCode.FAILED
        assert stage.job(job_id).failed_reason == "timed out after 2 s"
        stage.close()


@pytest.fixture(scope="session")
def locked_redis() -> Iterator[RedisServer]:
    """A server with a password."""
    with redis_server(options={"requirepass": "right"}) as server:
        yield server


def test_a_wrong_password_is_a_fault_of_the_configuration(locked_redis: RedisServer, stage: Stage) -> None:
    stage.add()
    job, token = stage.claim()
    url = f"redis://:hunter2@127.0.0.1:{locked_redis.port}/0"
    runner = stage.start(job, token, redis_url=url)
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    message = runner.message()
    assert message is not None
    assert message.reason.startswith("Redis refuses the runner: ")
    assert "hunter2" not in runner.output() + message.reason


def test_a_url_that_is_none_is_a_fault_of_the_configuration(stage: Stage) -> None:
    stage.add()
    runner = stage.start(*stage.claim(), redis_url="http://user:hunter2@redis")
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    message = runner.message()
    assert message is not None
    assert message.reason.startswith("not a Redis URL")
    assert "hunter2" not in runner.output() + message.reason
