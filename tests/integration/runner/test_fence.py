"""Two that may both believe the job is theirs: only one of them writes, and the job has one end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from bullpen_protocol.bullmq import Job
from fakes.attempts import Runner, Stage, eventually
from fakes.graph import FakeGraph

UPDATE = "INSERT DATA { <urn:a> <urn:b> <urn:c> }"
LOCK_MS = 800


def take_over(stage: Stage, job_id: str) -> tuple[Job, str]:
    """Wait for the lock to run out, as a stalled checker does, and claim the job again."""
    lock = f"bull:{stage.name}:{job_id}:lock"
    eventually(lambda: not stage.client.exists(lock), "the end of the lock")
    eventually(lambda: job_id in stage.queue.stalled(5, 1), "the stall")
    job, token = stage.claim()
    assert job.id == job_id
    return job, token


def superseded(runner: Runner) -> bool:
    message = runner.message()
    assert message is not None
    return (runner.wait(), message.outcome) == (ExitCode.SUPERSEDED, RunnerOutcome.SUPERSEDED)


@pytest.fixture
def at_work(stage: Stage, graph: FakeGraph) -> Iterator[tuple[str, Runner]]:
    """A job whose runner's child waits for the file `go`, then writes."""
    began = stage.touched("began")
    job_id = stage.add(["touch", str(began)], ["wait_for", str(stage.touched("go"))], ["update", UPDATE])
    runner = stage.start(*stage.claim())  # it renews in 7.5 s: only the hold before its write can find out
    eventually(began.exists, "the child's start")
    yield job_id, runner
    stage.touched("go").touch()


def test_a_zombie_that_wakes_before_its_write_writes_nothing(
    stage: Stage, graph: FakeGraph, at_work: tuple[str, Runner]
) -> None:
    job_id, zombie = at_work
    zombie.stop()
    stage.client.delete(f"bull:{stage.name}:{job_id}:lock")
    heir = stage.start(*take_over(stage, job_id))
    stage.touched("go").touch()
    assert heir.wait() == ExitCode.COMPLETED

    zombie.send(signal.SIGCONT)

    assert zombie.wait() == ExitCode.SUPERSEDED
    assert superseded(zombie)
    assert graph.taken == [UPDATE]
    assert stage.events(job_id).count("completed") == 1


def test_a_zombie_that_wakes_in_its_write_does_not_end_it(stage: Stage, graph: FakeGraph) -> None:
    graph.gate.clear()
    job_id = stage.add(["large_update", 30_000_000])
    zombie = stage.start(*stage.claim(LOCK_MS), lock_ms=LOCK_MS, graph_timeout_s=LOCK_MS / 1000)
    assert graph.arrived.wait(30)
    zombie.stop()
    job, token = take_over(stage, job_id)
    heir = stage.start(job, token)
    graph.gate.set()
    assert heir.wait() == ExitCode.COMPLETED
    assert len(graph.taken) == 1

    zombie.send(signal.SIGCONT)

    assert zombie.wait() == ExitCode.SUPERSEDED
    assert len(graph.taken) == 1
    assert stage.events(job_id).count("completed") == 1


def test_a_zombie_that_wakes_after_its_write_finishes_nothing(stage: Stage, graph: FakeGraph) -> None:
    graph.answer_gate.clear()
    job_id = stage.add(["update", UPDATE])
    zombie = stage.start(*stage.claim(LOCK_MS), lock_ms=LOCK_MS, graph_timeout_s=LOCK_MS / 1000)
    assert graph.stored.wait(30)
    zombie.stop()
    graph.answer_gate.set()
    heir = stage.start(*take_over(stage, job_id))
    assert heir.wait() == ExitCode.COMPLETED

    zombie.send(signal.SIGCONT)

    assert zombie.wait() == ExitCode.SUPERSEDED
    assert graph.taken == [UPDATE, UPDATE]  # one of each attempt, the same graph
    assert stage.events(job_id).count("completed") == 1


def test_of_two_pods_of_one_attempt_one_works(stage: Stage, graph: FakeGraph) -> None:
    job_id = stage.add(["update", UPDATE])
    job, token = stage.claim()
    pods = [stage.start(job, token), stage.start(job, token)]
    assert sorted(pod.wait() for pod in pods) == [ExitCode.COMPLETED, ExitCode.SUPERSEDED]
    assert graph.taken == [UPDATE]
    assert stage.events(job_id) == ["active", "completed"]


def test_a_lock_that_ran_out_unnoticed_is_taken_again(stage: Stage, graph: FakeGraph) -> None:
    graph.answer_gate.clear()
    job_id = stage.add(["update", UPDATE])
    runner = stage.start(*stage.claim())
    assert graph.stored.wait(30)
    stage.client.delete(f"bull:{stage.name}:{job_id}:lock")
    graph.answer_gate.set()
    assert runner.wait() == ExitCode.COMPLETED
    assert stage.events(job_id) == ["active", "completed"]
    assert graph.taken == [UPDATE]


def test_a_job_that_is_removed_during_its_write_is_left_alone(stage: Stage, graph: FakeGraph) -> None:
    graph.answer_gate.clear()
    job_id = stage.add(["update", UPDATE])
    runner = stage.start(*stage.claim())
    assert graph.stored.wait(30)
    stage.client.delete(f"bull:{stage.name}:{job_id}", f"bull:{stage.name}:{job_id}:lock")
    graph.answer_gate.set()
    assert runner.wait() == ExitCode.SUPERSEDED
    assert stage.events(job_id) == ["active"]
    assert not stage.client.exists(f"bull:{stage.name}:{job_id}")


def test_a_second_pod_does_not_disturb_the_first(stage: Stage, graph: FakeGraph, at_work: tuple[str, Runner]) -> None:
    job_id, first = at_work
    token = (stage.job(job_id).pb or "").partition("#")[0]
    second = stage.start(stage.job(job_id), token)
    assert second.wait() == ExitCode.SUPERSEDED
    stage.touched("go").touch()
    assert first.wait() == ExitCode.COMPLETED
    assert stage.events(job_id) == ["active", "completed"]
