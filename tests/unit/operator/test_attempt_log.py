"""What a log server is told of attempts."""

from __future__ import annotations

import pytest

from bullpen_operator.attempt_log import AttemptLog, entry_of
from bullpen_operator.events import ENDS, Event, EventKind, all_of
from bullpen_operator.model import JobQueueSpec


@pytest.mark.parametrize(
    ("kind", "outcome", "sentence", "level", "said"),
    [
        (EventKind.ENDED, "completed", "", "info", "completed"),
        (EventKind.ENDED, "failed", "Missing payload", "warn", "failed: Missing payload"),
        (EventKind.ENDED, "", "", "warn", "ended"),
        (EventKind.SETTLED, "completed", "", "info", "completed"),
        (EventKind.SETTLED, "failed", "out of memory", "warn", "failed: out of memory"),
        (EventKind.SETTLED, "unrecoverable", "cancelled", "warn", "unrecoverable: cancelled"),
        (EventKind.GIVEN_BACK, "give-back", "its node is drained", "warn", "given back: its node is drained"),
    ],
)
def test_an_end_is_one_entry_with_job_attempt_and_reason(
    kind: EventKind, outcome: str, sentence: str, level: str, said: str
) -> None:
    event = Event(
        kind, "ns/jq", "7", "http-ingest", "T", 2, log_namespace="worker:http", outcome=outcome, sentence=sentence
    )
    assert entry_of(event, 1_767_225_600.5) == {
        "ts": "2026-01-01T00:00:00.500Z",
        "level": level,
        "ns": "worker:http",
        "msg": f"http-ingest 7, attempt 2: {said}",
    }


def test_the_namespace_is_the_jobqueues_own_or_the_queues_name() -> None:
    spec = {"queue": "q", "redis": {"secretRef": {"name": "r"}}, "jobTypes": [{"name": "a"}]}
    assert JobQueueSpec.model_validate(spec).log_namespace_or_queue == "q"
    assert JobQueueSpec.model_validate({**spec, "logNamespace": "worker:http"}).log_namespace_or_queue == "worker:http"


def test_without_a_log_server_nothing_happens() -> None:
    attempt_log = AttemptLog(None)
    attempt_log.report(Event(next(iter(ENDS)), "ns/jq"))
    attempt_log.close()


def test_every_listener_is_told() -> None:
    told: list[tuple[int, Event]] = []
    event = Event(EventKind.ENDED, "ns/jq")
    all_of(lambda one: told.append((1, one)), lambda one: told.append((2, one)))(event)
    assert told == [(1, event), (2, event)]
