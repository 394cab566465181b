"""The graph write of an attempt, with a store that misbehaves."""

from __future__ import annotations

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from fakes.attempts import Stage
from fakes.graph import Act, FakeGraph

UPDATE = 'INSERT DATA { <urn:a> <urn:b> "é 😀" }'


def test_a_write_is_in_the_store_before_its_job_is_completed(stage: Stage, graph: FakeGraph) -> None:
    job_id = stage.add(["update", UPDATE])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert graph.taken == [UPDATE]
    assert stage.job(job_id).returnvalue == '"written"'


def test_the_value_is_made_from_the_stores_answer(stage: Stage, graph: FakeGraph) -> None:
    job_id = stage.add(["answered", UPDATE])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == '{"status":204}'


def test_without_a_write_the_value_is_made_from_a_204(stage: Stage) -> None:
    job_id = stage.add(["finish_only"])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert stage.job(job_id).returnvalue == "204"


def test_a_processor_that_dislikes_the_answer_fails_its_job(stage: Stage, graph: FakeGraph) -> None:
    job_id = stage.add(["finish_raises", UPDATE])
    assert stage.start(*stage.claim()).wait() == ExitCode.FAILED
    assert stage.job(job_id).failed_reason == "the answer was not to my liking"


def test_quads_are_written_in_one_update(stage: Stage, graph: FakeGraph) -> None:
    stage.add(["quads", 1_000])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert len(graph.taken) == 1
    assert graph.taken[0].count("<urn:p>") >= 1_000


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param([Act.AWAY, Act.AWAY], id="503"),
        pytest.param([Act.CUT], id="cut"),
        pytest.param([Act.HANG], id="hangs"),
    ],
)
def test_an_outage_of_the_store_is_sat_out(stage: Stage, graph: FakeGraph, acts: list[Act]) -> None:
    graph.plan(*acts)
    job_id = stage.add(["update", UPDATE])
    assert stage.start(*stage.claim(), graph_timeout_s=0.5).wait() == ExitCode.COMPLETED
    assert stage.events(job_id) == ["active", "completed"]
    assert graph.requests == len(acts) + 1
    assert graph.taken == [UPDATE]


def test_a_lost_answer_of_the_store_means_that_the_write_is_sent_again(stage: Stage, graph: FakeGraph) -> None:
    graph.plan(Act.LOSE)
    job_id = stage.add(["update", UPDATE])
    assert stage.start(*stage.claim()).wait() == ExitCode.COMPLETED
    assert graph.taken == [UPDATE, UPDATE]
    assert stage.events(job_id) == ["active", "completed"]


@pytest.mark.parametrize(
    ("acts", "reason"),
    [
        pytest.param([Act.REFUSE], "the graph store refused the write: it answered 400 Bad Request", id="400"),
        pytest.param(
            [Act.BROKEN] * 3, "the graph store failed at the write: it answered 500 Internal", id="500-three-times"
        ),
    ],
)
def test_a_permanent_refusal_fails_the_job_for_good(
    stage: Stage, graph: FakeGraph, acts: list[Act], reason: str
) -> None:
    graph.plan(*acts)
    job_id = stage.add(["update", UPDATE], opts={"attempts": 4})
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.FAILED
    assert (stage.job(job_id).failed_reason or "").startswith(reason)
    assert stage.queue.state(job_id) == "failed"
    message = runner.message()
    assert message is not None
    assert message.outcome is RunnerOutcome.UNRECOVERABLE


def test_wrong_credentials_of_the_store_are_no_fault_of_the_job(stage: Stage, graph: FakeGraph) -> None:
    graph.plan(Act.FORBID)
    job_id = stage.add(["update", UPDATE])
    assert stage.start(*stage.claim()).wait() == ExitCode.BAD_ASSIGNMENT
    assert stage.events(job_id) == ["active"]


def test_a_write_without_a_store_is_a_fault_of_the_configuration(stage: Stage) -> None:
    job_id = stage.add(["update", UPDATE])
    runner = stage.start(*stage.claim())
    assert runner.wait() == ExitCode.BAD_ASSIGNMENT
    assert stage.queue.state(job_id) == "active"
