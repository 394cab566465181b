"""What the options of a job mean when an attempt ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_protocol.bullmq.job import Job
from bullpen_protocol.bullmq.policy import (
    LONGEST_DELAY_MS,
    GiveUp,
    Retry,
    after_failure,
    keep_jobs,
    keep_logs,
    parent_with_flags,
    stacktrace,
)


def job(atm: int = 0, **opts: Any) -> Job:
    return Job("1", opts=opts, atm=atm)


@pytest.mark.parametrize(
    ("subject", "decision"),
    [
        pytest.param(job(), GiveUp(), id="no-attempts"),
        pytest.param(job(attempts=1), GiveUp(), id="one-attempt"),
        pytest.param(job(attempts=2), Retry(0), id="at-once"),
        pytest.param(job(1, attempts=2), GiveUp(), id="exhausted"),
        pytest.param(job(7, attempts=2), GiveUp(), id="more-than-exhausted"),
        pytest.param(job(attempts=3, backoff=500), Retry(500), id="number"),
        pytest.param(job(attempts=3, backoff=0), Retry(0), id="zero"),
        pytest.param(job(attempts=3, backoff={"type": "fixed", "delay": 70}), Retry(70), id="fixed"),
        pytest.param(job(attempts=3, backoff={"type": "fixed"}), Retry(0), id="fixed-without-delay"),
        pytest.param(job(0, attempts=5, backoff={"type": "exponential", "delay": 100}), Retry(100), id="first"),
        pytest.param(job(3, attempts=5, backoff={"type": "exponential", "delay": 100}), Retry(800), id="fourth"),
        pytest.param(
            job(90, attempts=99, backoff={"type": "exponential", "delay": 100}), Retry(LONGEST_DELAY_MS), id="capped"
        ),
        pytest.param(job(attempts=3, backoff={"type": "fixed", "delay": 100, "jitter": 0.5}), Retry(75), id="jitter"),
        pytest.param(
            job(1, attempts=3, backoff={"type": "exponential", "delay": 100, "jitter": 1}), Retry(100), id="full-jitter"
        ),
        pytest.param(job(attempts=3, backoff={"type": "fixed", "delay": 100, "jitter": 9}), Retry(50), id="jitter-cut"),
        pytest.param(job(attempts=3, backoff={"type": "fixed", "delay": 9, "jitter": "x"}), Retry(9), id="no-jitter"),
        pytest.param(job(attempts=3, backoff={"type": "fixed", "delay": -9}), Retry(0), id="negative"),
        pytest.param(job(attempts="3", backoff="40"), Retry(40), id="numbers-as-text"),
        pytest.param(job(attempts=3, backoff={"type": "mine"}), GiveUp("unknown backoff type 'mine'"), id="custom"),
        pytest.param(job(1, attempts=2, backoff={"type": "mine"}), GiveUp(), id="custom-but-exhausted"),
        pytest.param(job(attempts=3, backoff={}), Retry(0), id="empty"),
        pytest.param(job(attempts=3, backoff={"delay": 3}), GiveUp("unknown backoff type 'None'"), id="no-type"),
        pytest.param(job(attempts="many"), GiveUp(), id="attempts-are-none"),
        pytest.param(job(attempts=True), GiveUp(), id="attempts-are-true"),
    ],
)
def test_a_failure_is_retried_as_the_producer_said(subject: Job, decision: Retry | GiveUp) -> None:
    assert after_failure(subject, unrecoverable=False, draw=lambda: 0.5) == decision


def test_what_retrying_cannot_help_is_not_retried() -> None:
    assert after_failure(job(attempts=9, backoff={"type": "mine"}), unrecoverable=True) == GiveUp()


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        (None, {"count": -1}),
        (True, {"count": 0}),
        (False, {"count": -1}),
        (5, {"count": 5}),
        ({"age": 10, "count": 3, "limit": 7, "more": 1}, {"age": 10, "count": 3, "limit": 7}),
        ({"age": "x"}, {}),
        (float("inf"), {"count": -1}),
        ([1], {"count": -1}),
    ],
)
def test_what_is_kept_of_finished_jobs(option: Any, kept: dict[str, int]) -> None:
    assert keep_jobs(option) == kept


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        ({}, ["a", "b", "c"]),
        ({"stackTraceLimit": 2}, ["b", "c"]),
        ({"stackTraceLimit": 0}, []),
        ({"stackTraceLimit": "x"}, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_the_last_stack_traces_are_kept(limit: dict[str, Any], left: list[str]) -> None:
    assert json.loads(stacktrace(Job("1", opts=limit, stacktrace=("a", "b")), ["", "c"])) == left


@pytest.mark.parametrize(
    ("opts", "parent", "written"),
    [
        pytest.param({"idof": True}, None, None, id="no-parent"),
        pytest.param({}, {"id": "p", "queueKey": "b:q"}, None, id="no-flag"),
        pytest.param({"idof": True}, {"id": "p", "idof": True}, None, id="there-already"),
        pytest.param({"idof": True, "rdof": False}, {"id": "p"}, {"id": "p", "idof": True}, id="missing"),
        pytest.param({"cpof": True, "fpof": True}, {"fpof": True}, {"fpof": True, "cpof": True}, id="one-missing"),
    ],
)
def test_the_parents_flags_are_completed_from_the_options(opts: Any, parent: Any, written: Any) -> None:
    text = parent_with_flags(Job("1", opts=opts, parent=parent))
    assert (None if text is None else json.loads(text)) == written


def test_the_length_of_the_log_is_the_producers() -> None:
    assert [keep_logs(job(**opts)) for opts in ({"kl": 5}, {"kl": 0}, {"kl": "x"}, {})] == [5, 0, None, None]
