"""What changes about a JobQueue is said once, in whatever order things change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bullpen_operator.announcer import event_of
from bullpen_operator.entries import Entry
from bullpen_operator.news import NORMAL, WARNING, News, Said, news, said_by


def condition(kind: str, status: bool, reason: str = "R", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": str(status), "reason": reason, "message": message}


def status(reason: str, message: str = "", *, degraded: bool = False, **fields: Any) -> dict[str, Any]:
    ready = condition("Ready", not degraded and reason == "Serving", reason, message)
    return {"conditions": [ready, condition("Degraded", degraded, reason, message)], **fields}


SERVING, STARTING = status("Serving"), status("Starting", "the first audit has not ended")
BROKEN = status("Degraded", "no image", degraded=True)
WAITING = status("Serving", blockedBy="pods can't start (quota): full")


def told(*statuses: dict[str, Any], found: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    said: Said = said_by(found or {})
    heard: list[News] = []
    for one in statuses:
        fresh, said = news(said, one)
        heard += fresh
    return [(one.type, one.reason) for one in heard]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param([SERVING] * 3, [(NORMAL, "Serving")], id="once"),
        pytest.param([STARTING, SERVING], [(NORMAL, "Serving")], id="a-start-is-no-news"),
        pytest.param(
            [SERVING, BROKEN, BROKEN, SERVING],
            [(NORMAL, "Serving"), (WARNING, "Degraded"), (NORMAL, "Serving")],
            id="trouble-and-its-end",
        ),
        pytest.param([SERVING, BROKEN, STARTING, BROKEN], [(NORMAL, "Serving"), (WARNING, "Degraded")], id="no-echo"),
        pytest.param([WAITING, WAITING], [(NORMAL, "Serving"), (WARNING, "PodsWait")], id="pods-that-wait"),
        pytest.param(
            [WAITING, SERVING, WAITING],
            [(NORMAL, "Serving"), (WARNING, "PodsWait"), (WARNING, "PodsWait")],
            id="pods-that-wait-again-after-they-started",
        ),
        pytest.param([status("Suspended", "spec.suspend is true")], [(NORMAL, "Suspended")], id="suspended"),
    ],
)
def test_what_is_new_is_said_once(statuses: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert told(*statuses) == expected


def test_a_new_operator_says_nothing_that_the_status_says_already() -> None:
    assert told(STARTING, SERVING, found=SERVING) == []
    assert told(STARTING, SERVING, found=BROKEN) == [(NORMAL, "Serving")]


def test_a_refused_template_and_raised_limits_are_news() -> None:
    refused = status("Serving", blockedBy="no", sizes=[{"jobType": "resize", "memory": "512Mi"}])
    refused["conditions"].append(condition("TemplateAccepted", False, "PodSecurity", "no"))
    fresh, _ = news(said_by(SERVING), refused)
    assert [(one.reason, one.message) for one in fresh] == [
        ("TemplateRefused", "no"),
        ("LimitsRaised", "job type 'resize' begins with 512Mi of memory"),
    ]


def test_an_event_is_about_the_jobqueue_and_bounded() -> None:
    entry = Entry("ns", "jq", uid="u")
    event = event_of(entry, News(WARNING, "R", "m" * 5000), datetime(2026, 11, 23, tzinfo=UTC))
    assert event["involvedObject"] == {
        "apiVersion": "bullpen.dev/v1alpha1", "kind": "JobQueue", "uid": "u", "namespace": "ns", "name": "jq",
    }  # fmt: skip
    assert len(event["message"]) == 1024
    assert event["lastTimestamp"] == "2026-11-23T00:00:00Z"
