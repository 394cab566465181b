"""What kubectl shows of a JobQueue, and how seldom it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bullpen_operator.engine import QueueStatus
from bullpen_operator.entries import Entry, Fault, Rehearsed
from bullpen_operator.kube import KubeApi
from bullpen_operator.metrics import Metrics
from bullpen_operator.roster import Roster
from bullpen_operator.sizes import Sizes
from bullpen_operator.status_writer import StatusWriter, judge, status_of
from fakes.api_server import FakeApiServer, status
from fakes.engine import FakeEngine

GAUGES = ("ready", "degraded")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COUNTS = {"wait": 3, "paused": 2, "prioritized": 1, "delayed": 4, "active": 5, "completed": 6, "failed": 7}


def queue(**fields: Any) -> QueueStatus:
    whole: dict[str, Any] = {"counts": COUNTS, "audited_at": NOW, "pending": 1, "running": 2, **fields}
    return QueueStatus(name="ns/jq", queue="q", concurrency=10, attempts=(), **whole)


def entry(**fields: Any) -> Entry:
    return Entry("ns", "jq", generation=3, **fields)


@pytest.mark.parametrize(
    ("entry", "queue", "ready", "degraded", "reason", "sentence"),
    [
        pytest.param(entry(), queue(), True, False, "Serving", "", id="serving"),
        pytest.param(entry(fault=Fault("Secret", "none")), None, False, True, "Secret", "none", id="fault"),
        pytest.param(entry(), None, False, False, "Starting", "has not begun", id="not-begun"),
        pytest.param(entry(), queue(audited_at=None), False, False, "Starting", "first audit", id="before-the-audit"),
        pytest.param(
            entry(), queue(audited_at=None, audit_trouble="403"), False, False, "Starting", "(403)", id="audit-fails",
        ),
        pytest.param(
            entry(), queue(audited_at=None, degraded="it may evict", reason="RedisUnfit", stopped=True),
            False, True, "RedisUnfit", "it may evict", id="unfit-before-the-audit",
        ),
        pytest.param(
            entry(), queue(counts={}, reason="RedisAway", degraded="Redis does not answer", stopped=True),
            False, True, "RedisAway", "Redis does not answer", id="redis-away",
        ),
        pytest.param(entry(), queue(suspended=True), False, False, "Suspended", "spec.suspend", id="suspended"),
        pytest.param(
            entry(), queue(degraded="no image", reason="BreakerOpen", stopped=True),
            False, True, "BreakerOpen", "no image", id="breaker",
        ),
        pytest.param(
            entry(), queue(degraded="no type for 'x'", reason="UnknownNames", unknown_names=("x",)),
            True, True, "UnknownNames", "'x'", id="unknown-names-hold-up-only-their-own",
        ),
        pytest.param(
            entry(), queue(degraded="it is away", reason="StoreAway", stopped=True, unknown_names=("x",)),
            False, True, "StoreAway", "away", id="a-store-that-is-away-holds-up-all",
        ),
        pytest.param(
            entry(notice=Fault("SecretForbidden", "may not be read")), queue(),
            True, True, "SecretForbidden", "may not", id="a-graph-secret-that-cant-be-read",
        ),
        pytest.param(
            entry(notice=Fault("SecretMissing", "none")), queue(degraded="no image", reason="X", stopped=True),
            False, True, "X", "no image", id="what-stops-all-is-said-first",
        ),
    ],
)  # fmt: skip
def test_a_jobqueue_is_ready_or_says_why_not(
    entry: Entry, queue: QueueStatus | None, ready: bool, degraded: bool, reason: str, sentence: str
) -> None:
    verdict = judge(entry, queue)
    assert (verdict.ready, verdict.degraded, verdict.reason) == (ready, degraded, reason)
    assert sentence in verdict.sentence


def test_the_numbers_are_bullmqs_and_the_pods_ours() -> None:
    looked = queue(settled={"give-back": 2, "failed": 9}, oldest_waiting=NOW, sizes={"resize": Sizes(memory=2**29)})
    body = status_of(entry(), looked, NOW).model_dump(mode="json", by_alias=True)
    assert {name: value for name, value in body.items() if name != "conditions"} == {
        "observedGeneration": 3, "waiting": 5, "prioritized": 1, "delayed": 4, "active": 5, "completed": 6, "failed": 7,
        "podsPending": 1, "podsRunning": 2, "blockedBy": "", "giveBacks": 2, "oldestWaiting": "2026-11-23T12:00:00Z",
        "sizes": [{"jobType": "resize", "memory": "512Mi", "ephemeralStorage": None}],
    }  # fmt: skip
    assert [(one["type"], one["status"]) for one in body["conditions"]] == [("Ready", "True"), ("Degraded", "False")]


def test_numbers_that_cant_be_read_stay_what_they_were() -> None:
    before = {"waiting": 9, "failed": 1}
    body = status_of(entry(status=before), queue(counts={}), NOW).model_dump(by_alias=True)
    assert (body["waiting"], body["failed"], body["active"]) == (9, 1, 0)


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server, self.engine, self.entry = server, FakeEngine(), entry()
        self.metrics = Metrics()
        roster = cast(Roster, SimpleNamespace(entries={("ns", "jq"): self.entry}))
        self.writer = StatusWriter(api, self.engine, roster, self.metrics)

    @property
    def patches(self) -> int:
        return len(self.server.asked("PATCH"))


@pytest.fixture
async def rig(server: FakeApiServer, api: KubeApi) -> Rig:
    await server.put("/apis/bullpen.dev/v1alpha1/namespaces/ns/jobqueues", {"metadata": {"name": "jq"}})
    return Rig(server, api)


async def test_only_what_changed_is_written(rig: Rig) -> None:
    rig.engine.queues = (queue(),)
    await rig.writer.round()
    await rig.writer.round()
    assert rig.patches == 1
    assert rig.server.asked("PATCH")[0][1].endswith("/jobqueues/jq/status")
    rig.engine.queues = (queue(running=3),)
    await rig.writer.round()
    assert rig.patches == 2
    assert rig.metrics.registry.get_sample_value("bullpen_slots", {"jobqueue": "ns/jq", "state": "running"}) == 3
    assert rig.metrics.registry.get_sample_value("bullpen_ready", {"jobqueue": "ns/jq"}) == 1


async def test_a_jobqueue_that_cant_be_served_is_a_metric_too(rig: Rig) -> None:
    rig.entry.fault = Fault("SecretMissing", "none")
    await rig.writer.round()
    found = [rig.metrics.registry.get_sample_value(f"bullpen_{name}", {"jobqueue": "ns/jq"}) for name in GAUGES]
    assert found == [0, 1]


async def test_what_is_left_out_is_removed_and_what_the_api_server_shows_of_it_is_no_change(rig: Rig) -> None:
    rig.engine.queues = (queue(oldest_waiting=NOW, sizes={"resize": Sizes(disk=2**30)}),)
    await rig.writer.round()
    rig.engine.queues = (queue(),)
    await rig.writer.round()
    shown = rig.server.objects["/apis/bullpen.dev/v1alpha1/namespaces/ns/jobqueues"]["jq"]["status"]
    assert shown.pop("oldestWaiting") is None, "the fake keeps null, which removes"
    rig.entry.status = shown
    await rig.writer.round()
    assert rig.patches == 2
    assert next(one for one in rig.server.bodies if "status" in one)["status"]["sizes"] == [
        {"jobType": "resize", "ephemeralStorage": "1024Mi"}
    ]


async def test_a_patch_that_failed_is_tried_again(rig: Rig) -> None:
    rig.engine.queues = (queue(),)
    rig.server.fail_next = [None, status(500, "InternalError")]
    await rig.writer.round()
    await rig.writer.round()
    assert rig.patches == 2


async def test_what_is_leaving_is_not_taken_for_its_successor(rig: Rig) -> None:
    rig.engine.queues = (queue(leaving=True),)
    await rig.writer.round()
    assert rig.entry.status["conditions"][0]["reason"] == "Starting"


async def test_an_audit_ages_only_while_redis_answers(rig: Rig) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=100)
    rig.engine.queues = (queue(audited_at=long_ago),)
    await rig.writer.round()
    assert 100 <= rig.writer.audit_ages()["ns/jq"] < 110
    rig.engine.queues = (queue(audited_at=long_ago, counts={}),)
    await rig.writer.round()
    assert rig.writer.audit_ages() == {}
    assert rig.writer.age_s < 5


def test_give_backs_are_counted_on_after_a_restart() -> None:
    assert status_of(entry(given_back_before=40), queue(settled={"give-back": 2}), NOW).give_backs == 42


def test_a_conflict_is_a_condition_of_its_own() -> None:
    body = status_of(entry(fault=Fault("Conflict", "ns/old serves it")), None, NOW).model_dump(by_alias=True)
    found = {one["type"]: (one["status"], one["message"]) for one in body["conditions"]}
    assert found["Conflict"] == ("True", "ns/old serves it")
    assert found["Ready"] == ("False", "ns/old serves it")


@pytest.mark.parametrize(
    ("rehearsed", "status", "reason", "blocked_by"),
    [
        (Rehearsed(True), "True", "Accepted", ""),
        (Rehearsed(False, "pod-security", "it is refused"), "False", "PodSecurity", "it is refused"),
    ],
)
def test_whether_its_pods_are_accepted_is_a_condition(
    rehearsed: Rehearsed, status: str, reason: str, blocked_by: str
) -> None:
    found = status_of(entry(rehearsed=rehearsed), queue(), NOW)
    [told] = [one for one in found.conditions if one.type == "TemplateAccepted"]
    assert (told.status, told.reason, found.blocked_by) == (status, reason, blocked_by)


async def test_what_changes_is_announced_once_and_an_event_that_fails_keeps_no_status_from_being_written(
    rig: Rig,
) -> None:
    rig.engine.queues = (queue(),)
    rig.server.fail_next = [status(403, "Forbidden")]
    await rig.writer.round()
    broken = {"degraded": "no image", "reason": "Degraded", "stopped": True}
    rig.engine.queues = (queue(**broken),)
    await rig.writer.round()
    rig.engine.queues = (queue(**broken, running=5),)
    await rig.writer.round()
    assert rig.patches == 3
    events = rig.server.objects["/api/v1/namespaces/ns/events"].values()
    assert [(one["type"], one["reason"], one["message"]) for one in events] == [("Warning", "Degraded", "no image")]
