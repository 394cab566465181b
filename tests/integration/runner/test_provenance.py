"""What an attempt leaves in a real store besides its results, however it ends."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from bullpen_protocol.provenance import NAMESPACE, PROV, attempt_iri, job_iri
from fakes.attempts import Runner, Stage
from fakes.graph import Act, FakeGraph
from servers.graph import GraphServer

TEXT = 'é 😀 "'


def facts_of(server: GraphServer, token: str) -> dict[str, str]:
    """What the record of an attempt says, by the terms' local names; each is said once."""
    triples = server.triples(attempt_iri(token))
    facts = {name.rpartition("#")[2]: value for _, name, value in triples if not name.endswith("#type")}
    assert len(facts) == sum(not name.endswith("#type") for _, name, _ in triples)
    return facts


def run(stage: Stage, server: GraphServer, *steps: list[Any], **more: Any) -> tuple[str, str, Runner]:
    """Run one attempt; returns job id, token and the ended runner."""
    job_id = stage.add(*steps, opts=more.pop("opts", None))
    return job_id, *again(stage, server, **more)


def again(stage: Stage, server: GraphServer, **more: Any) -> tuple[str, Runner]:
    """Run the next attempt."""
    job, token = stage.claim()
    return token, stage.finish(stage.start(job, token, graph_url=server.query_url, **more))


def put_back(stage: Stage, job_id: str, *steps: list[Any]) -> None:
    """Let a completed job run once more, with other data, as a retry by hand would."""
    stage.client.hset(f"bull:{stage.name}:{job_id}", "data", json.dumps({"steps": steps}))
    stage.client.zrem(f"bull:{stage.name}:completed", job_id)
    stage.client.lpush(f"bull:{stage.name}:wait", job_id)


def recorded(runner: Runner) -> bool:
    message = runner.message()
    assert message is not None
    return message.recorded


def job_of(stage: Stage, job_id: str) -> str:
    return job_iri("bull", stage.name, job_id, stage.job(job_id).timestamp)


def test_a_completed_attempt_says_what_it_was(stage: Stage, triples: GraphServer) -> None:
    before = int(time.time() * 1000)
    job_id, token, runner = run(
        stage,
        triples,
        ["findings", f"urn:{stage.name}", [1, 2], TEXT],
        image="registry/played@sha256:ab",
        memory_limit_bytes=256 << 20,
        cpu_limit_millicores=500,
        attempt=3,
    )
    assert runner.wait() == ExitCode.COMPLETED
    assert recorded(runner)
    facts = facts_of(triples, token)
    assert float(facts.pop("cpuSeconds")) > 0.01
    assert 10 << 20 < int(facts.pop("memoryPeakBytes")) < 512 << 20
    started, ended = facts.pop("startedAtTime"), facts.pop("endedAtTime")
    assert time.strftime("%Y-%m-%dT%H", time.gmtime(before / 1000))[:10] <= started[:10] <= ended[:10]
    assert started < ended
    assert facts.pop("addedAt")
    assert facts == {
        "ofJob": job_of(stage, job_id),
        "attemptNumber": "3",
        "outcome": "completed",
        "image": "registry/played@sha256:ab",
        "imageDigest": "sha256:ab",
        "payloadSha256": hashlib.sha256(stage.job(job_id).raw["data"].encode()).hexdigest(),
        "memoryLimitBytes": str(256 << 20),
        "cpuLimit": "0.5",
        "findings": "2",
        "prefix": "bull",
        "queue": stage.name,
        "jobId": job_id,
        "jobName": "play",
    }
    assert triples.count(f"urn:{stage.name}") == 10
    links = triples.rows(f"SELECT ?f {{ GRAPH <{job_of(stage, job_id)}> {{ ?f <{PROV}wasGeneratedBy> ?a }} }}")
    assert sorted(row["f"] for row in links) == ["urn:finding:1", "urn:finding:2"]


def test_a_job_that_writes_nothing_has_a_record_too(stage: Stage, triples: GraphServer) -> None:
    _, token, runner = run(stage, triples, ["value", 1])
    assert (runner.wait(), recorded(runner)) == (ExitCode.COMPLETED, True)
    assert facts_of(triples, token)["outcome"] == "completed"


def test_without_a_graph_there_is_no_record(stage: Stage) -> None:
    runner = stage.play(["value", 1])
    assert (runner.wait(), recorded(runner)) == (ExitCode.COMPLETED, False)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [(["fail", f"it said {TEXT}"], "failed"), (["unusable", f"it said {TEXT}"], "unrecoverable")],
    ids=["failed", "unrecoverable"],
)
def test_a_failed_attempt_says_why(stage: Stage, triples: GraphServer, step: list[Any], outcome: str) -> None:
    _, token, runner = run(stage, triples, step)
    assert (runner.wait(), recorded(runner)) == (ExitCode.FAILED, True)
    facts = facts_of(triples, token)
    assert (facts["outcome"], facts["reason"]) == (outcome, f"it said {TEXT}")
    assert "findings" not in facts


def test_an_attempt_names_the_one_before(stage: Stage, triples: GraphServer) -> None:
    job_id, first, _ = run(stage, triples, ["fail", "x"], opts={"attempts": 2})
    second, _ = again(stage, triples)
    assert facts_of(triples, second)["previousAttempt"] == attempt_iri(first)
    assert "previousAttempt" not in facts_of(triples, first)
    assert facts_of(triples, second)["ofJob"] == facts_of(triples, first)["ofJob"] == job_of(stage, job_id)


def test_update_text_is_sent_alone_and_its_record_after_it(stage: Stage, graph: FakeGraph) -> None:
    text = f"INSERT DATA {{ <urn:a> <urn:b> '{TEXT}' }}"
    stage.add(["answered", text])
    runner = stage.finish(stage.start(*stage.claim()))
    assert graph.taken == [text]
    assert len(graph.records) == 1
    assert recorded(runner)


def test_a_processor_that_dislikes_the_answer_has_a_record_of_its_failure(stage: Stage, triples: GraphServer) -> None:
    _, token, runner = run(stage, triples, ["finish_raises", "INSERT DATA {}"])
    assert (runner.wait(), facts_of(triples, token)["outcome"]) == (ExitCode.FAILED, "failed")


@pytest.mark.parametrize("act", [Act.HANG, Act.AWAY, Act.REFUSE, Act.FORBID, Act.CUT])
@pytest.mark.parametrize("step", [["fail", "x"], ["value", 1]], ids=["fail", "complete"])
def test_a_record_that_is_not_taken_delays_no_finish_and_fails_no_job(
    stage: Stage, graph: FakeGraph, step: list[Any], act: Act
) -> None:
    graph.record_act = act
    job_id = stage.add(step)
    runner = stage.start(*stage.claim(), graph_timeout_s=0.5)
    began = time.monotonic()
    assert runner.wait() == (ExitCode.FAILED if step[0] == "fail" else ExitCode.COMPLETED)
    assert time.monotonic() - began < 30
    assert not recorded(runner)
    assert stage.queue.state(job_id) == ("failed" if step[0] == "fail" else "completed")
    assert runner.messages(level="warn", msg="the attempt's record is left to the operator")


def test_an_attempt_that_gave_back_leaves_its_record_to_the_operator(stage: Stage, graph: FakeGraph) -> None:
    graph.plan(*[Act.AWAY] * 50)
    stage.add(["findings", "urn:g", [1]])
    runner = stage.finish(stage.start(*stage.claim(), timeout_s=1.0, graph_timeout_s=1.0))
    message = runner.message()
    assert message is not None
    assert (message.outcome, message.recorded, graph.records) == (RunnerOutcome.STORE_AWAY, False, [])


def test_a_job_that_runs_again_and_finds_less_keeps_no_more(stage: Stage, triples: GraphServer) -> None:
    graph = f"urn:{stage.name}"
    job_id, _, _ = run(stage, triples, ["findings", graph, [1, 2, 3]])
    put_back(stage, job_id, ["findings", graph, [2]])
    token, _ = again(stage, triples)
    assert triples.count(graph) == 5
    assert facts_of(triples, token)["findings"] == "1"


def test_an_rdflib_dataset_goes_to_its_graphs_and_to_the_jobs_own(stage: Stage, triples: GraphServer) -> None:
    job_id, _, runner = run(stage, triples, ["rdflib_dataset", TEXT])
    assert runner.wait() == ExitCode.COMPLETED, runner.output()
    assert triples.triples(f"{job_of(stage, job_id)}:results") == {("urn:in:results", "urn:p", TEXT)}
    assert ("urn:in:é", "urn:p", TEXT) in triples.triples("urn:é")


def test_a_blank_node_of_rdflib_is_refused(stage: Stage, triples: GraphServer) -> None:
    job_id, token, runner = run(stage, triples, ["rdflib_blank"])
    assert runner.wait() == ExitCode.FAILED
    reason = stage.job(job_id).failed_reason or ""
    assert reason.startswith("the results hold a blank node")
    assert facts_of(triples, token)["outcome"] == "unrecoverable"


def test_what_is_no_write_is_said(stage: Stage, triples: GraphServer) -> None:
    job_id, _, runner = run(stage, triples, ["write_of", "text"])
    assert runner.wait() == ExitCode.FAILED
    assert "is a str, not Quads, UpdateText or an rdflib Graph" in (stage.job(job_id).failed_reason or "")


def test_a_job_that_writes_nothing_takes_back_what_it_found_before(stage: Stage, triples: GraphServer) -> None:
    graph = f"urn:{stage.name}"
    job_id, _, _ = run(stage, triples, ["findings", graph, [1]])
    put_back(stage, job_id)
    again(stage, triples)
    assert triples.count(graph) == 0
    assert {name for _, name, _ in triples.triples(job_of(stage, job_id))} == {f"{NAMESPACE}ofJob"}
