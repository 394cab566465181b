"""What is remembered of an attempt that did not record itself: which pod tells, what it came to, what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.records import Entry, bound_by, outcome_left, owes_record, record_of, sha256_of, telling_pod
from bullpen_operator.seen import Allowance, PodSeen
from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Job
from bullpen_protocol.provenance import AttemptOutcome
from fakes.sights import FENCE, NOW, TOKEN, UID, a_pod, an_attempt, ended, kube_job, running

DIED = Outcome(Verdict.FAILED, "oom", "out of memory", Fault.JOB)
DRAINED = Outcome(Verdict.GIVE_BACK, "disrupted", "drained", Fault.DISRUPTION)
RUNS = Outcome(Verdict.RUNNING, "running", "its container runs")
TAKEN = ("give-back", "superseded", "its job was taken from it")


def left(to: str, reason: str = "", token: str = TOKEN, **fields: Any) -> Job:
    """A job as an operator's (with a reason) or a runner's move left it."""
    field = {"t": f"{token}#{UID}", "to": to} | ({"lastToken": token, "reason": reason} if reason else {})
    return Job("7", bullpen=field, **fields)


@pytest.mark.parametrize(
    ("job", "judged", "expected"),
    [
        pytest.param(None, DIED, ("failed", "oom", "out of memory"), id="job-removed"),
        pytest.param(left("failed", "oom"), DIED, ("failed", "oom", "out of memory"), id="as-settled"),
        pytest.param(left("failed", "cancelled"), DRAINED, ("unrecoverable", "cancelled", "cancelled"), id="cancelled"),
        pytest.param(
            left("failed", "give-back-cap", failed_reason="too often"), DRAINED,
            ("unrecoverable", "give-back-cap", "too often"), id="given-up",
        ),
        pytest.param(left("given-back", "node-gone"), RUNS, ("give-back", "node-gone", "node-gone"), id="lost"),
        pytest.param(left("completed"), RUNS, ("completed", "completed", "completed"), id="completed-and-lingers"),
        pytest.param(
            left("retried", failed_reason="boom"), RUNS, ("failed", "failed", "boom"), id="failed-and-lingers"
        ),
        pytest.param(left("delayed"), DIED, ("failed", "oom", "out of memory"), id="moved-by-the-runner"),
        pytest.param(
            left("failed", "cancelled", token="another"), DIED, ("failed", "oom", "out of memory"), id="moved-on"
        ),
        pytest.param(None, RUNS, TAKEN, id="nothing-known"),
        pytest.param(Job("7", bullpen={"t": 7, "to": []}), RUNS, TAKEN, id="not-ours"),
    ],
)  # fmt: skip
def test_the_last_move_of_the_job_tells_more_than_a_pod(
    job: Job | None, judged: Outcome, expected: tuple[str, str, str]
) -> None:
    outcome = outcome_left(an_attempt(), job, judged)
    assert (outcome.verdict.value, outcome.code, outcome.sentence) == expected


def said(outcome: RunnerOutcome, *, recorded: bool = False) -> str:
    return TerminationMessage(outcome, recorded=recorded).to_text()


@pytest.mark.parametrize(
    ("pods", "bound", "owed"),
    [
        pytest.param([], False, False, id="nothing-ran"),
        pytest.param([], True, True, id="bound-and-gone"),
        pytest.param([a_pod()], False, False, id="never-started"),
        pytest.param([running()], False, True, id="runs"),
        pytest.param([ended(137)], False, True, id="died"),
        pytest.param([ended(0, message=said(RunnerOutcome.COMPLETED, recorded=True))], True, False, id="recorded"),
        pytest.param([ended(0, message=said(RunnerOutcome.COMPLETED))], True, True, id="completed-by-an-old-runner"),
        pytest.param([ended(0, message='{"recorded": true}')], True, True, id="words-that-are-none"),
    ],
)
def test_a_record_is_owed_by_what_ran_and_recorded_nothing(pods: list[PodSeen], bound: bool, owed: bool) -> None:
    assert owes_record(kube_job(*pods), bound=bound) is owed


def test_the_pod_that_bound_the_attempt_tells_and_else_the_last_that_was_not_told_off() -> None:
    first, second = ended(1, uid="a"), ended(3, uid="b")
    off = ended(76, message=said(RunnerOutcome.SUPERSEDED), uid="c")
    assert telling_pod([first, second, off, a_pod(uid="d")]) == second
    assert telling_pod([first, second, off], "a") == first
    assert telling_pod([off]) == off
    assert telling_pod([a_pod()]) is None


def test_a_record_has_the_times_image_and_use_of_its_pod() -> None:
    pod = ended(137, image="reg/r:1", image_digest="sha256:aa", memory_peak_bytes=5, cpu_seconds=0.25)
    pod = replace(pod, started_at=NOW - timedelta(seconds=4), finished_at=NOW - timedelta(seconds=1))
    attempt = replace(an_attempt(memory=Allowance(9), cpu_limit=0.5), added_ms=3, previous="bullpen/inst/before")
    record = record_of(attempt, DIED, kube_job(pod), None, NOW, UID)
    now_ms = int(NOW.timestamp() * 1000)
    assert (record.started_ms, record.ended_ms) == (now_ms - 4000, now_ms - 1000)
    assert (record.image, record.image_digest) == ("reg/r:1", "sha256:aa")
    assert (record.memory_limit_bytes, record.cpu_limit) == (9, 0.5)
    assert (record.memory_peak_bytes, record.cpu_seconds) == (5, 0.25)
    assert (record.added_ms, record.previous_token) == (3, "bullpen/inst/before")
    assert record.payload_sha256 is None


def test_of_a_lost_attempt_the_claim_is_the_start_and_now_the_end() -> None:
    job = Job("7", timestamp=3, processed_on=11)
    record = record_of(an_attempt(), DRAINED, None, job, NOW)
    assert (record.added_ms, record.started_ms, record.ended_ms) == (3, 11, int(NOW.timestamp() * 1000))
    assert (record.image, record.image_digest, record.memory_peak_bytes) == (None, None, None)


@pytest.mark.parametrize(
    ("outcome", "expected", "reason"),
    [
        (Outcome(Verdict.COMPLETED, "completed", "completed"), AttemptOutcome.COMPLETED, ""),
        (Outcome(Verdict.UNRECOVERABLE, "permanent", "no"), AttemptOutcome.UNRECOVERABLE, "no"),
        (Outcome(Verdict.UNRECOVERABLE, "cancelled", "cancelled"), AttemptOutcome.CANCELLED, "cancelled"),
    ],
)
def test_each_outcome_has_its_word(outcome: Outcome, expected: AttemptOutcome, reason: str) -> None:
    record = record_of(an_attempt(), outcome, None, None, NOW)
    assert (record.outcome, record.reason) == (expected, reason)


def test_data_is_hashed_as_it_lies_in_redis() -> None:
    assert sha256_of("\udcff") == "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89", "the byte FF"


def test_who_bound_is_read_off_the_job() -> None:
    assert bound_by(an_attempt(), Job("7", pb=FENCE)) == UID
    assert bound_by(an_attempt(), left("failed", pb="node")) == UID
    assert bound_by(an_attempt(), Job("7", pb=TOKEN)) == ""
    assert bound_by(an_attempt(), Job("7", pb="another#x", bullpen={"t": "another#x"})) == ""
    assert bound_by(an_attempt(), None) == ""


def test_an_entry_survives_the_outbox() -> None:
    entry = Entry("inst", "graph", record_of(an_attempt(job_id='é"\ud800'), DIED, None, None, NOW))
    assert entry.to_text().isascii()
    assert Entry.from_text(entry.to_text()) == entry


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"record": {}}', '{"record": {"token": 1}, "graph": "g"}', "[" * 9999]
)
def test_what_is_no_entry_is_none(text: str) -> None:
    assert Entry.from_text(text) is None
