"""The one sentence of `bullpen job`: for every state, what holds the job there and what happened before."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bullpen_cli.job_facts import Facts, body, missing, sentence
from bullpen_protocol.bullmq import CANCEL_FIELD, Job, Location, Standing

NOW = 1_800_000_000_000
T = "bullpen/0123456789abcdef/11111111-1111-1111-1111-111111111111"
F = f"{T}#uid-1"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def facts(state: str, lock: str | None = None, log: tuple[str, ...] = (), cancel: str = "", **raw: str) -> Facts:
    """A job of queue `q` with id 7, three attempts allowed; *raw* are fields of its hash."""
    known = {"timestamp": str(NOW - 60_000), "opts": '{"attempts":3}'} | ({CANCEL_FIELD: cancel} if cancel else {})
    job = Job.from_hash("7", known | raw)
    location = Location(
        "7", True, state == "active", lock, 0, pb=job.pb, bullpen=job.bullpen, cancel=job.cancel, defa=job.defa
    )
    return Facts("q", job, Standing(state), location, NOW, log)


def standing(found: Facts, **changed: object) -> Facts:
    return Facts(
        found.queue,
        found.job,
        Standing(found.standing.state, **changed),  # type: ignore[arg-type]
        found.location,
        found.now_ms,
    )


WAITING = facts("waiting")
FAILED_ONCE = facts("waiting", atm="1", failedReason="broke: é\x1b[31m")
DELAYED = standing(facts("delayed", delay="90000"), due_at_ms=NOW + 90_000)
GIVEN_BACK = facts("delayed", pb=F, bullpen='{"giveBacks": 2, "reason": "evicted", "t": "x", "to": "given-back"}')


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(WAITING, "is the next to run", id="next"),
        pytest.param(standing(WAITING, before=1), "waits behind 1 job", id="behind-one"),
        pytest.param(standing(WAITING, before=1234), "waits behind 1,234 jobs", id="behind-many"),
        pytest.param(standing(WAITING, paused=True), "is the next to run, but the queue is paused", id="paused"),
        pytest.param(
            standing(WAITING, limit=5, started=5, limiter_ms=12_000),
            "is the next to run, but the queue's rate limit lets nothing start for another 12 s",
            id="rate-limited",
        ),
        pytest.param(
            standing(WAITING, limit=5, started=4, limiter_ms=12_000), "is the next to run", id="limit-has-room"
        ),
        pytest.param(
            standing(WAITING, started=3, limiter_ms=12_000),
            "is the next to run (a rate limit has counted 3 starts and begins anew in 12 s)",
            id="limited-by-whoever-claims",
        ),
        pytest.param(
            standing(WAITING, started=2**53 - 1, limiter_ms=3_000),
            "is the next to run, but the queue's rate limit lets nothing start for another 3 s",
            id="limited-by-hand",
        ),
        pytest.param(
            standing(WAITING, concurrency=2, active=2),
            "is the next to run, but the queue allows 2 active jobs at once",
            id="queue-full",
        ),
        pytest.param(
            FAILED_ONCE,
            "is the next to run; 1 of 3 attempts is spent, the last one failed: broke: é\\x1b[31m",
            id="after-a-failure",
        ),
        pytest.param(
            facts("waiting", defa="cancelled"),
            "is the next to run and fails as soon as it is claimed: cancelled",
            id="cancelled-before-it-ran",
        ),
        pytest.param(facts("waiting", stc="1"), "is the next to run; it stalled once", id="stalled"),
        pytest.param(
            standing(facts("prioritized", priority="5"), before=2),
            "waits behind 2 jobs with priority 5",
            id="prioritized",
        ),
        pytest.param(
            DELAYED,
            "is delayed and due in 1 min, at 2027-01-15 08:01:30 UTC; its producer wanted the delay",
            id="delayed",
        ),
        pytest.param(
            standing(DELAYED, due_at_ms=NOW - 1, paused=True),
            "is delayed and due now, as soon as somebody claims from the queue, but the queue is paused; "
            "its producer wanted the delay",
            id="delayed-and-paused",
        ),
        pytest.param(
            standing(facts("delayed", atm="2", failedReason="away."), due_at_ms=NOW + 5_000),
            "is delayed and due in 5 s, at 2027-01-15 08:00:05 UTC; "
            "2 of 3 attempts are spent, the last one failed: away",
            id="backing-off",
        ),
        pytest.param(
            standing(GIVEN_BACK, due_at_ms=NOW + 5_000),
            "is delayed and due in 5 s, at 2027-01-15 08:00:05 UTC; "
            "it was given back 2 times with no attempt spent, the last time for evicted",
            id="given-back",
        ),
        pytest.param(
            standing(facts("waiting-children"), children=1), "waits for 1 child to end", id="waits-for-a-child"
        ),
        pytest.param(
            facts("active", lock=T, pb=T, processedOn=str(NOW - 4_000)),
            "was claimed 4 s ago for attempt 1 of 3, which has not started yet",
            id="claimed",
        ),
        pytest.param(
            facts("active", lock=F, pb=F, processedOn=str(NOW - 120_000), progress="40"),
            "has been running for 2 min: attempt 1 of 3, progress 40 %",
            id="runs",
        ),
        pytest.param(
            facts("active", lock=F, pb=F, processedOn=str(NOW - 9_000), atm="1", failedReason="broke"),
            "has been running for 9 s: attempt 2 of 3; 1 of 3 attempts is spent, the last one failed: broke",
            id="runs-again",
        ),
        pytest.param(
            facts("active", pb=F, processedOn=str(NOW - 9_000)),
            "is active, but nobody renews its lock: attempt 1 of 3, claimed 9 s ago, is over or out of reach",
            id="lock-ran-out",
        ),
        pytest.param(
            facts("active", lock=F, pb=F, processedOn=str(NOW - 9_000), cancel=T),
            "is being cancelled: its operator ends attempt 1 of 3, which was claimed 9 s ago",
            id="being-cancelled",
        ),
        pytest.param(
            facts("active", lock=F, pb=F, processedOn=str(NOW - 9_000), cancel="bullpen/i/old"),
            "has been running for 9 s: attempt 1 of 3",
            id="an-earlier-attempt-was-cancelled",
        ),
        pytest.param(
            facts("active", lock="abc:1", pb="worker-1"),
            "is active, not under Bullpen: a worker named worker-1 has it",
            id="another-worker",
        ),
        pytest.param(
            facts("active", pb=F, bullpen=f'{{"t": "{F}", "to": "given-back"}}'),
            "is active, not under Bullpen: a worker that left no name has it, but nobody renews its lock",
            id="a-worker-without-a-name",
        ),
        pytest.param(
            facts("completed", atm="1", processedOn=str(NOW - 9_000), finishedOn=str(NOW - 7_750), returnvalue="1"),
            "completed 7 s ago, at attempt 1 of 3, after 1 s",
            id="completed",
        ),
        pytest.param(
            facts("failed", atm="3", finishedOn=str(NOW - 3_600_000), failedReason="out of memory\n"),
            "failed 1 h ago, after 3 of 3 attempts: out of memory\\n",
            id="failed",
        ),
        pytest.param(
            facts("failed", atm="1", finishedOn=str(NOW), failedReason=""),
            "failed 0 ms ago, after 1 of 3 attempts (retrying would not have helped): it gives no reason",
            id="unrecoverable",
        ),
        pytest.param(
            facts("unknown"),
            "is in no list of its queue: it is between two states at this moment, or its queue was damaged",
            id="nowhere",
        ),
    ],
)
def test_every_state_is_told_in_one_sentence(found: Facts, says: str) -> None:
    assert sentence(found) == f"Job 7 of queue q {says}."


def test_no_job_is_told_with_where_it_was_looked_for() -> None:
    assert missing("q\n", "bull", "\x1b]0;") == (
        "There is no job \\x1b]0; in queue q\\n under the prefix bull: "
        "it was never added there, or it was removed (by removeOnComplete, removeOnFail or by hand)."
    )


def test_a_reason_is_cut() -> None:
    assert len(sentence(facts("failed", atm="1", failedReason="x" * 100_000))) < 700


def test_the_last_attempt_is_named_by_its_token_whoever_has_the_job_now() -> None:
    assert facts("failed", pb=F).attempt_name == facts("active", pb=T).attempt_name != ""
    assert (facts("failed", pb=F).pod_uid, facts("active", pb=T).pod_uid) == ("uid-1", "")
    assert facts("active", pb="worker-1").attempt_name == ""


def test_programs_get_the_sentence_and_what_it_is_made_of() -> None:
    told = body(facts("failed", atm="1", failedReason="broke", pb=F, log=("a", "b"), progress='{"done":1}'))
    assert told | {"attemptName": "", "why": ""} == {
        "id": "7",
        "name": "",
        "state": "failed",
        "attemptsMade": 1,
        "attempts": 3,
        "timestamp": NOW - 60_000,
        "processedOn": None,
        "finishedOn": None,
        "progress": {"done": 1},
        "reason": "broke",
        "queue": "q",
        "why": "",
        "before": None,
        "dueAt": None,
        "paused": False,
        "giveBacks": 0,
        "attemptName": "",
        "podUid": "uid-1",
        "log": ["a", "b"],
    }
