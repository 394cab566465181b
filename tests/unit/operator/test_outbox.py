"""Records of attempts that could not write their own: which are kept, when, and how they reach the graph."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bullpen_operator.events import EventKind
from bullpen_operator.outbox import ENTRY_BYTES
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.ports import LauncherUnavailableError
from bullpen_operator.records import Entry
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Job, RedisAwayError
from bullpen_protocol.provenance import AttemptOutcome, attempt_iri
from fakes.cluster import FakeKubeJob, FakePod
from fakes.operators import Desk, P, a_graph_spec, a_spec
from fakes.stores import GONE, FakeStore

OUTBOX = f"{P}bullpen:outbox"
AWAY = TerminationMessage(RunnerOutcome.STORE_AWAY, "the graph store gave no answer: it refused the connection")


def a_desk(**spec: Any) -> Desk:
    return Desk(a_graph_spec(**spec), store=FakeStore())


def kept(desk: Desk) -> dict[str, Entry]:
    """The outbox, by IRI."""
    entries = {iri: Entry.from_text(text) for iri, text in desk.redis.hash(OUTBOX).items()}
    assert None not in entries.values()
    return entries  # type: ignore[return-value]


def only(desk: Desk) -> Entry:
    [entry] = kept(desk).values()
    return entry


def said(outcome: RunnerOutcome, reason: str = "", *, recorded: bool = False) -> str:
    return TerminationMessage(outcome, reason, recorded=recorded).to_text()


async def ended(desk: Desk, code: int, message: str = "", reason: str = "") -> tuple[Job, FakeKubeJob]:
    """A bound attempt whose pod ends, and is heard of."""
    job, kube_job, pod = await desk.bound()
    pod.end(code, reason, message)
    await desk.hear(kube_job)
    return job, kube_job


# ---- what is kept ----


@pytest.mark.parametrize(
    ("code", "reason", "message", "outcome", "sentence"),
    [
        pytest.param(
            137,
            "OOMKilled",
            "",
            "failed",
            "out of memory: the container reached its memory limit (OOMKilled)",
            id="oom",
        ),
        pytest.param(137, "", "", "failed", "it was killed (SIGKILL), not for its memory limit", id="died"),
        pytest.param(143, "", "", "given-back", "it was told to end (SIGTERM)", id="terminated"),
        pytest.param(75, "", AWAY.to_text(), "given-back", AWAY.reason, id="store-away"),
        pytest.param(70, "", "", "given-back", "the runner itself broke; its log says where", id="runner-broke"),
    ],
)
async def test_an_attempt_that_died_is_recorded_by_the_operator(
    code: int, reason: str, message: str, outcome: str, sentence: str
) -> None:
    desk = a_desk()
    _, kube_job = await ended(desk, code, message, reason)
    entry = only(desk)
    assert (entry.record.outcome.value, entry.record.reason) == (outcome, sentence)
    assert (entry.installation, entry.graph) == ("inst", "graph")
    assert list(kept(desk)) == [attempt_iri(kube_job.attempt.token)]
    assert kube_job.recorded


async def test_a_lost_attempt_is_recorded_though_nobody_said_how_it_ended() -> None:
    desk = a_desk()
    _, kube_job, _ = await desk.bound()
    del desk.cluster.kube_jobs[kube_job.name]
    await desk.audit(41)
    await desk.audit(61)
    record = only(desk).record
    assert (record.outcome, record.reason) == (AttemptOutcome.GIVEN_BACK, "its pod is gone and left no word")


async def test_a_cancelled_attempt_is_recorded_as_such() -> None:
    desk = a_desk()
    job, kube_job, pod = await desk.bound()
    desk.hash(job.id)["bullpen.cancel"] = kube_job.attempt.token
    pod.end(143)
    await desk.hear(kube_job)
    assert only(desk).record.outcome is AttemptOutcome.CANCELLED


@pytest.mark.parametrize(("recorded", "entries"), [(True, 0), (False, 1)])
async def test_what_a_runner_has_recorded_itself_is_not_recorded_again(recorded: bool, entries: int) -> None:
    desk = a_desk()
    job, kube_job, pod = await desk.bound()
    await desk.queue.fail(job, f"{kube_job.attempt.token}#{pod.uid}", "boom", "")
    pod.end(1, message=said(RunnerOutcome.FAILED, "boom", recorded=recorded))
    await desk.hear(kube_job)
    assert [(entry.record.outcome.value, entry.record.reason) for entry in kept(desk).values()] == [
        ("failed", "boom")
    ] * entries
    assert kube_job.recorded


async def test_an_attempt_that_ran_and_bound_nothing_is_recorded() -> None:
    desk = a_desk()
    _, kube_job, pod = await desk.launched()
    pod.start()
    pod.end(1)
    await desk.hear(kube_job)
    assert only(desk).record.outcome is AttemptOutcome.GIVEN_BACK


async def test_an_attempt_of_which_nothing_ever_ran_is_none() -> None:
    desk = a_desk()
    _, kube_job, _ = await desk.launched()
    await desk.audit(601)
    assert desk.told(EventKind.GIVEN_BACK)
    assert kube_job.name in desk.cluster.deleted
    assert kept(desk) == {}


@pytest.mark.parametrize("desk", [Desk(a_spec()), Desk(a_graph_spec()), Desk(a_spec(), store=FakeStore())])
async def test_without_a_graph_nothing_is_kept(desk: Desk) -> None:
    await ended(desk, 137)
    assert OUTBOX not in desk.redis.keys


async def test_a_record_says_what_the_operator_knows() -> None:
    limits = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    desk = a_desk(defaults={"resources": limits})
    job, kube_job, pod = await desk.bound(attempts=2)
    desk.pass_s(7)
    pod.end(137, "OOMKilled")
    await desk.hear(kube_job)
    first = only(desk).record
    assert (first.prefix, first.queue, first.job_id, first.job_name) == ("bull", "q", job.id, "resize")
    assert first.added_ms == job.timestamp
    assert (first.number, first.previous_token) == (1, None)
    assert (first.memory_limit_bytes, first.cpu_limit) == (64 << 20, 0.5)
    assert first.payload_sha256 == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "of {}"
    assert (first.ended_ms or 0) - (first.started_ms or 0) == 7_000
    again = await desk.dispatch()
    assert again is not None
    assert desk.cluster.of(job.id).attempt.previous == kube_job.attempt.token
    assert desk.cluster.of(job.id).attempt.number == 2


async def test_a_large_payload_is_not_hashed_in_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bullpen_operator.records.HASHED_BYTES", 1)
    desk = a_desk()
    await ended(desk, 137)
    assert only(desk).record.payload_sha256 is None


async def test_a_record_beyond_all_bounds_is_refused_loudly(caplog: pytest.LogCaptureFixture) -> None:
    desk = a_desk()
    _, kube_job, pod = await desk.bound()
    kube_job.attempt = replace(kube_job.attempt, job_name="n" * ENTRY_BYTES)
    pod.end(137)
    await desk.hear(kube_job)
    assert kept(desk) == {}
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert error.__dict__["attempt"] == attempt_iri(kube_job.attempt.token)


# ---- when: after the move, before the annotation; whatever breaks in between is done again ----


async def test_a_record_that_redis_did_not_take_is_kept_before_the_attempt_counts_as_recorded() -> None:
    desk = a_desk()
    job, kube_job, pod = await desk.bound()
    pod.end(137)
    put = desk.queue.outbox_put

    async def lost(*_: object) -> bool:
        raise RedisAwayError("lost")

    desk.queue.outbox_put = lost  # type: ignore[assignment]
    with pytest.raises(RedisAwayError):
        await desk.hear(kube_job)
    assert await desk.state(job.id) == "failed"
    assert not kube_job.recorded
    desk.queue.outbox_put = put  # type: ignore[method-assign]
    desk.serving = desk.operator()  # and the operator that knew of it is gone
    await desk.audit()
    assert only(desk).record.reason == "it was killed (SIGKILL), not for its memory limit"
    assert kube_job.recorded


async def test_a_record_that_redis_did_not_take_is_sent_again_though_nothing_else_tells_of_the_attempt() -> None:
    desk = a_desk()
    _, kube_job, _ = await desk.bound()
    del desk.cluster.kube_jobs[kube_job.name]
    await desk.audit(41)

    async def lost(*_: object) -> bool:
        raise RedisAwayError("lost")

    desk.queue.outbox_put = lost  # type: ignore[assignment]
    with pytest.raises(RedisAwayError):
        await desk.audit(61)
    del desk.queue.outbox_put
    await desk.audit()
    assert kept(desk) == {}
    await desk.serving.outbox.round()
    assert desk.store is not None
    assert list(desk.store.graphs) == [attempt_iri(kube_job.attempt.token)]


async def test_an_attempt_that_could_not_be_marked_is_recorded_once() -> None:
    desk = a_desk()
    _, kube_job, pod = await desk.bound()
    pod.end(137)
    desk.cluster.fails.add("record")
    with pytest.raises(LauncherUnavailableError):
        await desk.hear(kube_job)
    await desk.serving.outbox.round()
    desk.cluster.fails.clear()
    await desk.audit()
    await desk.serving.outbox.round()
    assert desk.store is not None
    assert list(desk.store.graphs) == [attempt_iri(kube_job.attempt.token)]
    assert kube_job.recorded


async def test_what_a_dead_operator_had_cancelled_is_recorded_as_cancelled() -> None:
    desk = a_desk()
    job, kube_job, pod = await desk.bound()
    pod.end(143)
    desk.hash(job.id)["bullpen.cancel"] = kube_job.attempt.token

    async def dies(*_: object) -> bool:
        raise RedisAwayError("dies")

    desk.queue.outbox_put = dies  # type: ignore[assignment]
    with pytest.raises(RedisAwayError):
        await desk.hear(kube_job)
    del desk.queue.outbox_put
    desk.serving = desk.operator()
    await desk.audit()
    assert only(desk).record.outcome is AttemptOutcome.CANCELLED


async def test_what_lost_its_job_is_recorded_before_it_is_ended() -> None:
    desk = a_desk()
    job, kube_job, pod = await desk.bound()
    fence = f"{kube_job.attempt.token}#{pod.uid}"
    lost = Outcome(Verdict.GIVE_BACK, "node-gone", "its node is gone", Fault.DISRUPTION, confirmed=False)
    desk.serving.outbox.put = _nothing  # type: ignore[method-assign]
    assert await desk.serving.settle.settle(kube_job.attempt, fence, lost)
    desk.serving = desk.operator()
    await desk.audit()
    await desk.audit(30)
    assert desk.cluster.deleted == [kube_job.name]
    assert (only(desk).record.outcome, only(desk).record.reason) == (AttemptOutcome.GIVEN_BACK, "node-gone")
    assert await desk.state(job.id) == "delayed"


async def _nothing(*_: object, **__: object) -> None:
    pass


# ---- delivery ----


async def test_records_leave_the_outbox_when_the_store_has_accepted_them() -> None:
    desk = a_desk()
    tokens = [(await ended(desk, 137))[1].attempt.token for _ in range(3)]
    assert desk.lane.undelivered == 3
    await desk.serving.outbox.round()
    assert desk.store is not None
    assert set(desk.store.graphs) == {attempt_iri(token) for token in tokens}
    assert not desk.redis.exists(OUTBOX)
    assert desk.lane.undelivered == 0
    assert desk.reported[-1].kind is not EventKind.RECOVERED


async def test_records_wait_for_a_store_that_is_away_and_nothing_is_claimed() -> None:
    desk = a_desk()
    assert desk.store is not None
    desk.store.away = True
    for _ in range(3):
        await ended(desk, 137)
    for _ in range(4):
        await desk.serving.outbox.round()
    assert len(kept(desk)) == 3
    assert desk.store.asked == ["update", "probe", "probe", "probe"], "one question a round, whatever waits"
    assert not desk.serving.dispatch.may_claim()
    [told] = desk.told(EventKind.DEGRADED)
    assert (told.code, told.sentence) == ("store", f"{GONE}; no job is claimed until it is back")
    desk.store.away = False
    await desk.serving.outbox.round()
    assert not desk.redis.exists(OUTBOX)
    assert desk.serving.dispatch.may_claim()
    assert [event.code for event in desk.told(EventKind.RECOVERED)] == ["store"]


async def test_a_new_operator_delivers_what_the_one_before_kept() -> None:
    desk = a_desk()
    await ended(desk, 137)
    desk.serving = desk.operator()
    await desk.serving.outbox.round()
    assert desk.store is not None
    assert len(desk.store.graphs) == 1
    assert not desk.redis.exists(OUTBOX)


async def test_two_operators_are_harmless() -> None:
    desk = a_desk()
    await ended(desk, 137)
    other = desk.operator()
    for _ in range(2):
        await desk.serving.outbox.round()
        await other.outbox.round()
    assert desk.store is not None
    assert len(desk.store.graphs) == 1


async def test_a_refused_record_is_dropped_with_one_error_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    desk = a_desk()
    assert desk.store is not None
    _, kube_job = await ended(desk, 137)
    await ended(desk, 137)
    iri = attempt_iri(kube_job.attempt.token)
    desk.store.refused.add(iri)
    for _ in range(2):
        await desk.serving.outbox.round()
    assert not desk.redis.exists(OUTBOX)
    assert len(desk.store.graphs) == 1
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert error.__dict__["attempt"] == iri
    assert desk.serving.dispatch.may_claim()


async def test_records_of_another_installation_are_left_to_it() -> None:
    desk = a_desk()
    await ended(desk, 137)
    await desk.operator("other").outbox.round()
    assert len(kept(desk)) == 1


async def test_what_is_no_record_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    desk = a_desk()
    strange = {"urn:bullpen:attempt:x": "no record", "name": "a job with the id bullpen:outbox"}
    desk.redis.hash(OUTBOX).update(strange)
    for _ in range(3):
        await desk.serving.outbox.round()
    assert desk.redis.hash(OUTBOX) == strange
    assert desk.serving.dispatch.may_claim()
    assert [record.levelname for record in caplog.records if "records wait" in record.getMessage()] == ["WARNING"]


async def test_a_record_of_a_store_that_was_left_goes_where_its_job_type_writes_today() -> None:
    desk = a_desk()
    _, kube_job = await ended(desk, 137)
    today = FakeStore()
    spec = a_spec(jobTypes=[{"name": "resize", "graph": {"secretRef": {"name": "new"}}}])
    desk.lane.describe(replace(desk.lane.served, spec=spec, stores={"new": today}))
    await desk.serving.outbox.round()
    assert list(today.graphs) == [attempt_iri(kube_job.attempt.token)]


# ---- the runner's word that its store is away ----


async def test_an_attempt_that_met_no_store_pauses_claiming_and_its_job_is_due_soon() -> None:
    desk = a_desk()
    job, _ = await ended(desk, ExitCode.GIVE_BACK, AWAY.to_text())
    assert not desk.serving.dispatch.may_claim()
    assert desk.serving.outbox.wake.is_set()
    assert desk.hash(job.id)["delay"] == "1000"
    assert "atm" not in desk.hash(job.id)
    assert json.loads(desk.hash(job.id)["bullpen"])["capped"] == 0
    await desk.serving.outbox.round()
    assert desk.serving.dispatch.may_claim()
    assert [event.kind for event in desk.reported if event.code == "store"] == [
        EventKind.DEGRADED, EventKind.RECOVERED,
    ]  # fmt: skip


async def test_a_job_type_without_a_store_of_ours_is_never_paused() -> None:
    desk = Desk(a_spec())
    await ended(desk, ExitCode.GIVE_BACK, AWAY.to_text())
    assert desk.serving.dispatch.may_claim()


async def test_stores_that_only_runners_miss_are_met_ever_more_rarely() -> None:
    desk = a_desk()
    job, kube_job = await ended(desk, ExitCode.GIVE_BACK, AWAY.to_text())
    delays = [desk.hash(job.id)["delay"]]
    for _ in range(3):
        await desk.serving.outbox.round()
        desk.pass_s(60)
        await desk.dispatch()
        kube_job = desk.cluster.of(job.id)
        pod: FakePod = kube_job.pods[0]
        pod.start()
        await desk.queue.hold(job.id, kube_job.attempt.token, f"{kube_job.attempt.token}#{pod.uid}", 40_000)
        pod.end(ExitCode.GIVE_BACK, message=AWAY.to_text())
        await desk.hear(kube_job)
        delays.append(desk.hash(job.id)["delay"])
    assert delays == ["1000", "2000", "4000", "8000"]
