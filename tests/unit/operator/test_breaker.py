from __future__ import annotations

import pytest

from bullpen_operator.breaker import FIRST_INTERVAL_S, LONGEST_INTERVAL_S, START_FAILURES, Breaker, Change
from bullpen_operator.outcome import START_FAILURE, Fault, Outcome, Verdict

BAD_IMAGE = Outcome(Verdict.GIVE_BACK, "image", "its image can't be pulled", Fault.CONFIGURATION)
NO_START = Outcome(Verdict.GIVE_BACK, START_FAILURE, "ended before it took the job", Fault.DISRUPTION)
DRAINED = Outcome(Verdict.GIVE_BACK, "disrupted", "drained", Fault.DISRUPTION)
FAILED = Outcome(Verdict.FAILED, "failed", "boom", Fault.JOB)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    assert breaker.ended("t0", "resize", BAD_IMAGE, at) is Change.OPENED
    return breaker


def test_a_fault_of_the_configuration_opens_it_and_names_type_and_reason() -> None:
    breaker = opened()
    assert breaker.sentence == "job type 'resize': its image can't be pulled"
    assert not breaker.allows(0.0)


def test_a_sentence_that_names_the_type_itself_does_not_name_it_twice() -> None:
    breaker = Breaker()
    sentence = "job type 'resize': podTemplate mounts a hostPath"
    breaker.ended("t0", "resize", Outcome(Verdict.GIVE_BACK, "refused-spec", sentence, Fault.CONFIGURATION), 0.0)
    assert breaker.sentence == sentence


@pytest.mark.parametrize("outcome", [DRAINED, FAILED])
def test_other_outcomes_leave_it_closed(outcome: Outcome) -> None:
    breaker = Breaker()
    for number in range(10):
        assert breaker.ended(f"t{number}", "resize", outcome, 0.0) is None
    assert breaker.allows(0.0)


def test_repeated_start_failures_open_it() -> None:
    breaker = Breaker()
    changes = [breaker.ended(f"t{number}", "resize", NO_START, 0.0) for number in range(START_FAILURES)]
    assert changes == [None] * (START_FAILURES - 1) + [Change.OPENED]


def test_start_failures_count_in_a_row_only() -> None:
    breaker = Breaker()
    for number in range(START_FAILURES - 1):
        breaker.ended(f"t{number}", "resize", NO_START, 0.0)
    breaker.proved("another")
    assert breaker.ended("t9", "resize", NO_START, 0.0) is None


def test_it_probes_with_one_job_per_interval() -> None:
    breaker = opened()
    assert breaker.wakes_in(1.0) == FIRST_INTERVAL_S - 1.0
    assert not breaker.allows(FIRST_INTERVAL_S - 0.1)
    assert breaker.allows(FIRST_INTERVAL_S)
    breaker.claimed("probe")
    assert not breaker.allows(1e9)
    assert breaker.wakes_in(1e9) is None


def test_the_interval_doubles_with_each_probe_that_fails_up_to_a_limit() -> None:
    breaker, now, intervals = opened(), 0.0, []
    for number in range(8):
        wait = breaker.wakes_in(now)
        assert wait is not None
        intervals.append(wait)
        now += wait
        breaker.claimed(f"p{number}")
        assert breaker.ended(f"p{number}", "resize", BAD_IMAGE, now) is None
    assert intervals == [10.0, 20.0, 40.0, 80.0, 160.0, *[LONGEST_INTERVAL_S] * 3]


@pytest.mark.parametrize("how", ["bound", "failed", "drained"])
def test_a_probe_that_started_or_ended_otherwise_closes_it(how: str) -> None:
    breaker = opened()
    breaker.claimed("probe")
    if how == "bound":
        assert breaker.proved("probe") is Change.CLOSED
    else:
        assert breaker.ended("probe", "resize", FAILED if how == "failed" else DRAINED, 20.0) is Change.CLOSED
    assert breaker.allows(0.0)
    assert breaker.sentence == ""


def test_a_start_failure_of_the_probe_counts_at_once() -> None:
    breaker = opened()
    breaker.claimed("probe")
    assert breaker.ended("probe", "resize", NO_START, 10.0) is None
    assert not breaker.allows(10.0)


def test_attempts_that_were_claimed_before_it_opened_neither_close_nor_prolong_it() -> None:
    breaker = opened()
    assert breaker.proved("older") is None
    assert breaker.ended("older", "resize", BAD_IMAGE, 5.0) is None
    assert breaker.ended("older", "resize", FAILED, 5.0) is None
    assert breaker.allows(FIRST_INTERVAL_S)


def test_a_probe_that_tells_nothing_gives_its_turn_to_the_next_job() -> None:
    breaker = opened()
    breaker.claimed("unknown-name")
    breaker.void("unknown-name")
    assert breaker.open
    assert breaker.allows(FIRST_INTERVAL_S)


def test_it_opens_anew_with_the_first_interval() -> None:
    breaker = opened()
    breaker.claimed("p")
    breaker.ended("p", "resize", BAD_IMAGE, 10.0)
    breaker.claimed("q")
    breaker.proved("q")
    breaker.ended("r", "thumb", BAD_IMAGE, 100.0)
    assert breaker.wakes_in(100.0) == FIRST_INTERVAL_S
    assert breaker.job_type == "thumb"
