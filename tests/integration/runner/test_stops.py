"""Attempts that are stopped: by a signal, by their timer, by the kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from fakes.attempts import Runner, Stage, eventually, is_running
from fakes.graph import Act, FakeGraph
from support import require_found


def outcome_of(runner: Runner) -> RunnerOutcome | None:
    message = runner.message()
    return message.outcome if message else None


def read_pid(path: Path) -> int:
    return int(eventually(lambda: path.exists() and path.read_text(), f"{path.name}"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_before_anything_is_persisted_ends_the_attempt_unfinished(stage: Stage, number: signal.Signals) -> None:
    at_work, grandchild = stage.touched("at-work"), stage.touched("grandchild")
    job_id = stage.add(["child", str(grandchild)], ["touch", str(at_work)], ["sleep", 600])
    runner = stage.start(*stage.claim())
    child = read_pid(at_work)

    runner.send(number)

    assert runner.wait() == ExitCode.TERMINATED
    assert outcome_of(runner) is RunnerOutcome.TERMINATED
    assert stage.events(job_id) == ["active"]
    assert not is_running(child)
    eventually(lambda: not is_running(read_pid(grandchild)), "the end of the child's own child")


def test_a_stop_after_the_write_began_lets_it_complete(stage: Stage, graph: FakeGraph) -> None:
    graph.gate.clear()
    job_id = stage.add(["update", "INSERT DATA { <urn:a> <urn:b> <urn:c> }"])
    runner = stage.start(*stage.claim())
    assert graph.arrived.wait(30)

    runner.send(signal.SIGTERM)
    graph.gate.set()

    assert runner.wait() == ExitCode.COMPLETED
    assert stage.events(job_id) == ["active", "completed"]
    assert len(graph.taken) == 1


@pytest.mark.parametrize(
    "step", [pytest.param(["sleep", 600], id="asleep"), pytest.param(["regex"], id="stuck-in-a-regex")]
)
def test_an_attempt_that_overruns_its_time_fails_and_counts(stage: Stage, step: list[object]) -> None:
    job_id = stage.add(step, opts={"attempts": 2})
    runner = stage.start(*stage.claim(), timeout_s=1.5)
    assert runner.wait() == ExitCode.FAILED
    job = stage.job(job_id)
    assert (job.failed_reason, job.atm) == ("timed out after 1.5 s", 1)
    assert stage.events(job_id)[:2] == ["active", "waiting"] or stage.queue.state(job_id) == "waiting"


def test_an_attempt_that_overruns_its_time_fails_for_good_where_it_is_told_so(stage: Stage) -> None:
    job_id = stage.add(["sleep", 600], opts={"attempts": 2})
    runner = stage.start(*stage.claim(), timeout_s=1.0, on_timeout="fail")
    assert runner.wait() == ExitCode.FAILED
    assert (stage.queue.state(job_id), outcome_of(runner)) == ("failed", RunnerOutcome.UNRECOVERABLE)


def test_a_child_that_finds_no_memory_ends_the_attempt_unfinished(stage: Stage) -> None:
    job_id = stage.add(["memory_error"])
    runner = stage.start(*stage.claim())
    assert (runner.wait(), outcome_of(runner)) == (ExitCode.OUT_OF_MEMORY, RunnerOutcome.OOM)
    assert stage.events(job_id) == ["active"]


def make_cgroup(parent: str, limit: str) -> Path | None:
    group = Path(parent, f"bullpen-test-{os.getpid()}")
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        with (group / limit).open("r+") as file:
            file.write("150000000")
    except OSError:
        group.rmdir()
        return None
    return group


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A memory cgroup of 150 MB, v1 or v2, where this machine lets us make one."""
    made = make_cgroup("/sys/fs/cgroup/memory", "memory.limit_in_bytes") or make_cgroup("/sys/fs/cgroup", "memory.max")
    group = require_found("writable control groups", made, "run as root, or in a delegated cgroup")
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text(), "the end of its processes")
    group.rmdir()


def test_what_the_kernel_kills_for_memory_is_told_from_other_kills(stage: Stage, small_cgroup: Path) -> None:
    inside = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(small_cgroup / "cgroup.procs")]
    job_id = stage.add(["grow"])
    runner = stage.start(*stage.claim(), prefix=inside)
    assert (runner.wait(), outcome_of(runner)) == (ExitCode.OUT_OF_MEMORY, RunnerOutcome.OOM)
    assert runner.messages(msg="ended")
    assert stage.events(job_id) == ["active"]

    job_id = stage.add(["kill", "SIGKILL"])
    runner = stage.start(*stage.claim(), prefix=inside)
    assert (runner.wait(), stage.job(job_id).failed_reason) == (ExitCode.FAILED, "the processor was killed by SIGKILL")


def test_a_supervisor_that_is_killed_leaves_no_child(stage: Stage) -> None:
    at_work = stage.touched("at-work")
    stage.add(["touch", str(at_work)], ["regex"])
    runner = stage.start(*stage.claim())
    child = read_pid(at_work)
    runner.send(signal.SIGKILL)
    runner.wait()
    eventually(lambda: not is_running(child), "the end of the child")


def test_a_store_that_stays_away_until_the_deadline_gives_the_job_back(stage: Stage, graph: FakeGraph) -> None:
    graph.plan(*[Act.AWAY] * 50)
    job_id = stage.add(["update", "INSERT DATA {}"])
    began = time.monotonic()
    runner = stage.start(*stage.claim(), timeout_s=1.0, graph_timeout_s=1.0)
    assert runner.wait() == ExitCode.GIVE_BACK
    assert time.monotonic() - began < 15
    assert outcome_of(runner) is RunnerOutcome.STORE_AWAY
    [line] = stage.log_of(job_id)
    assert line.startswith("bullpen: its results wait for the graph store: ")
    assert stage.events(job_id) == ["active"]
    assert graph.taken == []
