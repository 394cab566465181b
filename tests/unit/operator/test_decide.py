"""DESIGN's decision table of the audit, row by row, each with its neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from bullpen_operator.decide import Action, Do, Moment, decide, owns
from bullpen_operator.outcome import Verdict
from bullpen_operator.seen import Attempt, KubeJobSeen, PodPhase
from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Location
from fakes.sights import FENCE, NOW, TOKEN, a_pod, an_attempt, ended, failed, kube_job, running, waits

W: Final = 40.0
ATTEMPT: Final = an_attempt(start_timeout_s=600.0, lock_ms=60_000, graph_timeout_s=W)
DONE: Final = TerminationMessage(RunnerOutcome.COMPLETED, value=1, has_value=True).to_text()
LIVE, GONE = "lock", None


def job(pb: str | None, lock: str | None = LIVE, **fields: Any) -> Location:
    """An active job; LIVE: its lock holds the value of pb."""
    held = pb if lock == LIVE else lock
    facts: dict[str, Any] = {"job_id": "7", "exists": True, "active": True, "lock": held, "lock_ms": 1, "pb": pb}
    return Location(**facts | fields)


def at(*, absent: float = 0.0, astray: float = 0.0) -> Moment:
    return Moment(NOW, absent, astray)


def decided(location: Location, seen: KubeJobSeen | None, moment: Moment) -> tuple[Do, str, str, bool]:
    attempt = ATTEMPT if seen is None else seen.attempt
    action: Action = decide(attempt, location, seen, moment)
    return action.do, action.drift, action.outcome.code if action.outcome else "", action.delete


def seen(*pods: Any, **fields: Any) -> KubeJobSeen:
    return kube_job(*pods, **{"attempt": ATTEMPT} | fields)


OK = (Do.NOTHING, "", "", False)
HOLD = (Do.HOLD, "", "", False)
WAIT = (Do.NOTHING, "unreachable", "", False)
T, F = TOKEN, FENCE
OTHER = a_pod(uid="another")

ROW_1 = [
    pytest.param(job(T), None, at(), (Do.LAUNCH, "not-launched", "", False), id="claimed-and-no-kube-job"),
    pytest.param(job(T, GONE), None, at(absent=999), (Do.LAUNCH, "not-launched", "", False), id="its-lock-ran-out"),
]
ROW_2 = [
    pytest.param(job(T), seen(), at(), HOLD, id="no-pod"),
    pytest.param(job(T, GONE), seen(), at(), HOLD, id="no-pod-no-lock"),
    pytest.param(job(T), seen(a_pod()), at(), HOLD, id="pending"),
    pytest.param(job(T), seen(running()), at(), HOLD, id="runs-and-has-not-bound"),
    pytest.param(job(T), seen(a_pod(deleting=True), deleting=True), at(), HOLD, id="being-deleted-is-no-end"),
    pytest.param(job(T), seen(a_pod(), age_s=599), at(), HOLD, id="just-before-its-start-timeout"),
    pytest.param(
        job(T), seen(a_pod(), age_s=600), at(), (Do.SETTLE, "start-timeout", "start-failure", True), id="start-timeout"
    ),
    pytest.param(
        job(T),
        seen(running(), age_s=600),
        at(),
        (Do.SETTLE, "start-timeout", "start-failure", True),
        id="start-timeout-though-it-runs",
    ),
    pytest.param(job(T), seen(a_pod(), age_s=9999, suspended=True), at(), HOLD, id="suspended-has-no-start-timeout"),
    pytest.param(
        job(T),
        seen(waits("InvalidImageName")),
        at(),
        (Do.SETTLE, "start-failure", "image", True),
        id="what-can-never-start-is-not-waited-for",
    ),
]
ROW_3 = [
    pytest.param(job(T), seen(ended(1)), at(), (Do.SETTLE, "start-failure", "start-failure", False), id="ended"),
    pytest.param(
        job(T, GONE), seen(ended(1)), at(), (Do.SETTLE, "start-failure", "start-failure", False), id="no-lock"
    ),
    pytest.param(job(T), seen(failed("OutOfcpu")), at(), (Do.SETTLE, "start-failure", "refused", False), id="refused"),
    pytest.param(
        job(T),
        seen(failed="BackoffLimitExceeded"),
        at(),
        (Do.SETTLE, "start-failure", "start-failure", False),
        id="gone",
    ),
    pytest.param(
        job(T),
        seen(ended(0, message=DONE)),
        at(),
        (Do.SETTLE, "start-failure", "start-failure", False),
        id="not-replayed",
    ),
    pytest.param(job(T), seen(ended(1), OTHER), at(), HOLD, id="another-pod-may-still-bind"),
]
ROW_4 = [
    pytest.param(job(F), seen(running()), at(), OK, id="runs"),
    pytest.param(job(F, GONE), seen(running()), at(), HOLD, id="runs-without-a-lock"),
    pytest.param(job(F, GONE), seen(running()), at(absent=999), HOLD, id="runs-without-a-lock-for-long"),
    pytest.param(job(F), seen(running(node_ready=None)), at(), OK, id="nothing-known-of-the-node"),
    pytest.param(job(F), seen(a_pod(node_ready=True)), at(), OK, id="status-of-the-pod-is-late"),
    pytest.param(job(F, GONE), seen(running(node_ready=None)), at(), WAIT, id="held-only-on-a-node-known-to-be-ready"),
    pytest.param(job(F, GONE), seen(a_pod(node_ready=True)), at(), WAIT, id="held-only-when-known-to-run"),
    pytest.param(job(F, GONE), seen(running(deleting=True)), at(), WAIT, id="not-held-while-it-is-being-deleted"),
    pytest.param(job(F), seen(running(deleting=True), deleting=True), at(), OK, id="ending-gracefully"),
    pytest.param(job(F), seen(running(), OTHER), at(), OK, id="another-pod-beside-it"),
]
ROW_5 = [
    pytest.param(
        job(F), seen(ended(0, message=DONE)), at(), (Do.SETTLE, "not-replayed", "completed", False), id="exit-0"
    ),
    pytest.param(
        job(F, GONE),
        seen(ended(137, message=DONE)),
        at(),
        (Do.SETTLE, "not-replayed", "completed", False),
        id="killed-after-its-last-words",
    ),
]
ROW_6 = [
    pytest.param(job(F), seen(ended(3)), at(), (Do.SETTLE, "not-settled", "exit-code", False), id="counted"),
    pytest.param(
        job(F), seen(ended(0)), at(), (Do.SETTLE, "not-settled", "no-value", False), id="exit-0-without-value"
    ),
    pytest.param(
        job(F, GONE), seen(ended(3)), at(), (Do.SETTLE, "not-settled", "exit-code", False), id="without-a-lock"
    ),
    pytest.param(
        job(F), seen(ended(3), OTHER), at(), (Do.SETTLE, "not-settled", "exit-code", False), id="another-pod-too"
    ),
    pytest.param(
        job(F),
        seen(ended(143), deleting=True),
        at(),
        (Do.SETTLE, "not-settled", "terminated", False),
        id="while-its-kube-job-is-being-deleted",
    ),
]
ROW_7 = [
    pytest.param(job(F), seen(running(node_ready=False)), at(), WAIT, id="unreachable"),
    pytest.param(job(F), seen(running(node_gone=True)), at(), WAIT, id="node-gone"),
    pytest.param(
        job(F),
        seen(failed(disruption="DeletionByPodGC", started=True)),
        at(),
        WAIT,
        id="a-phase-set-by-pod-gc-is-no-end",
    ),
    pytest.param(job(F), seen(running(disruption="DeletionByTaintManager")), at(), WAIT, id="disrupted-is-no-end"),
    pytest.param(job(F), seen(running(deleting=True, node_ready=False)), at(), WAIT, id="terminating-too-long"),
    pytest.param(job(F), seen(), at(), WAIT, id="gone-from-its-kube-job"),
    pytest.param(job(F), None, at(), WAIT, id="404-is-no-end"),
    pytest.param(job(F), None, at(absent=999), WAIT, id="its-lock-came-back"),
    pytest.param(job(F, GONE), None, at(absent=W - 0.1), WAIT, id="absent-for-less-than-w"),
]
ROW_8 = [
    pytest.param(job(F, GONE), None, at(absent=W), (Do.SETTLE, "lost", "pod-gone", False), id="404"),
    pytest.param(job(F, GONE), seen(), at(absent=W), (Do.SETTLE, "lost", "pod-gone", True), id="pod-gone"),
    pytest.param(
        job(F, GONE),
        seen(running(node_ready=False)),
        at(absent=W),
        (Do.SETTLE, "lost", "node-unreachable", True),
        id="unreachable",
    ),
    pytest.param(
        job(F, GONE),
        seen(running(deleting=True)),
        at(absent=W),
        (Do.SETTLE, "lost", "pod-unreachable", True),
        id="terminating-for-ever",
    ),
    pytest.param(
        job(F, GONE),
        seen(failed(disruption="DeletionByPodGC", started=True)),
        at(absent=W),
        (Do.SETTLE, "lost", "node-gone", True),
        id="pod-gc",
    ),
]
ROW_9 = [
    pytest.param(job(F), seen(OTHER), at(), (Do.DELETE, "another-pod", "", False), id="lock-live"),
    pytest.param(job(F, GONE), seen(OTHER), at(), (Do.DELETE, "another-pod", "", False), id="lock-just-absent"),
    pytest.param(
        job(F, GONE), seen(OTHER), at(absent=W), (Do.SETTLE, "lost", "pod-gone", True), id="lock-absent-for-w"
    ),
    pytest.param(job(F), seen(OTHER, deleting=True), at(), WAIT, id="deleted-once"),
]
CANCEL = {"cancel": T}
CANCELLED = (Do.SETTLE, "cancel", "cancelled", False)
DELETE_IT = (Do.DELETE, "cancel", "", False)
ROW_10 = [
    pytest.param(job(T, **CANCEL), None, at(), CANCELLED, id="nothing-launched"),
    pytest.param(job(T, **CANCEL), seen(a_pod()), at(), DELETE_IT, id="pending"),
    pytest.param(job(T, **CANCEL), seen(), at(), DELETE_IT, id="no-pod"),
    pytest.param(
        job(T, **CANCEL), seen(a_pod(), deleting=True), at(), (Do.NOTHING, "cancel", "", False), id="being-deleted"
    ),
    pytest.param(job(T, **CANCEL), seen(ended(143)), at(), CANCELLED, id="ended-before-bind"),
    pytest.param(job(F, **CANCEL), seen(running()), at(), DELETE_IT, id="runs"),
    pytest.param(job(F, GONE, **CANCEL), seen(running()), at(), DELETE_IT, id="runs-without-a-lock-is-not-held"),
    pytest.param(
        job(F, **CANCEL),
        seen(running(deleting=True), deleting=True),
        at(),
        (Do.NOTHING, "cancel", "", False),
        id="ending",
    ),
    pytest.param(job(F, **CANCEL), seen(ended(143, deleting=True), deleting=True), at(), CANCELLED, id="ended"),
    pytest.param(job(F, **CANCEL), seen(ended(1)), at(), CANCELLED, id="ended-by-itself"),
    pytest.param(
        job(F, **CANCEL),
        seen(ended(0, message=DONE)),
        at(),
        (Do.SETTLE, "not-replayed", "completed", False),
        id="too-late-its-results-are-stored",
    ),
    pytest.param(job(F, **CANCEL), None, at(), (Do.NOTHING, "cancel", "", False), id="gone-lock-live"),
    pytest.param(job(F, GONE, **CANCEL), None, at(absent=W), CANCELLED, id="gone-for-good"),
    pytest.param(job(F, cancel="bullpen/inst/older"), seen(running()), at(), OK, id="a-cancel-of-another-attempt"),
]
ASTRAY = 30.0
DELETED = (Do.DELETE, "astray", "", False)
NOT_ACTIVE = job(F, GONE, active=False)
ROW_11 = [
    pytest.param(NOT_ACTIVE, seen(running()), at(astray=ASTRAY), DELETED, id="job-finished"),
    pytest.param(NOT_ACTIVE, seen(running()), at(astray=ASTRAY - 0.1), OK, id="two-renewals-to-notice"),
    pytest.param(job("bullpen/inst/newer"), seen(running()), at(astray=ASTRAY), DELETED, id="a-newer-attempt"),
    pytest.param(job("bullpen/else/x"), seen(running()), at(astray=ASTRAY), DELETED, id="another-installation-has-it"),
    pytest.param(job(None, "node-token"), seen(running()), at(astray=ASTRAY), DELETED, id="a-node-worker-has-it"),
    pytest.param(job(F, "node-token"), seen(running()), at(astray=ASTRAY), DELETED, id="a-nameless-worker-has-it"),
    pytest.param(NOT_ACTIVE, seen(a_pod()), at(astray=ASTRAY), DELETED, id="pending"),
    pytest.param(NOT_ACTIVE, seen(), at(astray=ASTRAY), DELETED, id="no-pod-yet"),
    pytest.param(NOT_ACTIVE, seen(running(), deleting=True), at(astray=999), OK, id="deleted-once"),
    pytest.param(
        NOT_ACTIVE,
        seen(ended(0, phase=PodPhase.RUNNING), recorded=True),
        at(astray=ASTRAY),
        DELETED,
        id="28-a-sidecar-holds-the-pod",
    ),
]
ROW_12 = [
    pytest.param(NOT_ACTIVE, seen(ended(0)), at(), (Do.RECORD, "not-recorded", "", False), id="ended"),
    pytest.param(
        job("bullpen/inst/newer"), seen(ended(1)), at(), (Do.RECORD, "not-recorded", "", False), id="superseded"
    ),
    pytest.param(NOT_ACTIVE, seen(failed="Deadline"), at(), (Do.RECORD, "not-recorded", "", False), id="without-a-pod"),
    pytest.param(NOT_ACTIVE, seen(ended(0), recorded=True), at(astray=999), OK, id="recorded"),
    pytest.param(
        job(F, GONE, bullpen={"t": F}),
        seen(ended(1)),
        at(),
        (Do.RECORD, "not-recorded", "", False),
        id="it-moved-the-job-and-a-nameless-worker-took-it",
    ),
    pytest.param(
        job(T, GONE, bullpen={"t": T}), None, at(absent=999), OK, id="given-back-and-taken-by-a-nameless-worker"
    ),
    pytest.param(NOT_ACTIVE, None, at(astray=999), OK, id="nothing-left"),
]
ROWS = {
    1: ROW_1, 2: ROW_2, 3: ROW_3, 4: ROW_4, 5: ROW_5, 6: ROW_6, 7: ROW_7, 8: ROW_8, 9: ROW_9, 10: ROW_10, 11: ROW_11,
    12: ROW_12,
}  # fmt: skip


def _rows() -> list[Any]:
    return [pytest.param(*row.values, id=f"{number}-{row.id}") for number, rows in ROWS.items() for row in rows]


@pytest.mark.parametrize(("location", "sight", "moment", "expected"), _rows())
def test_a_row_of_the_table(
    location: Location, sight: KubeJobSeen | None, moment: Moment, expected: tuple[Do, str, str, bool]
) -> None:
    assert decided(location, sight, moment) == expected


@pytest.mark.parametrize(
    ("location", "mine"),
    [
        pytest.param(job(T), True, id="claimed"),
        pytest.param(job(F), True, id="bound"),
        pytest.param(job(F, GONE), True, id="without-a-lock"),
        pytest.param(job(F, T), True, id="lock-of-the-claim-still-there"),
        pytest.param(job(F, active=False), False, id="not-active"),
        pytest.param(job("bullpen/inst/aaaab"), False, id="a-longer-token"),
        pytest.param(job("bullpen/inst/aaaa2#uid-1"), False, id="a-longer-token-bound"),
        pytest.param(job(None), False, id="nobody's"),
        pytest.param(job(F, "x"), False, id="lock-of-another"),
        pytest.param(job(f"{T}#", "x"), False, id="no-uid"),
        pytest.param(job(F, bullpen={"t": F}), False, id="it-has-moved-the-job-already"),
        pytest.param(job(F, bullpen={"t": T}), True, id="moved-as-another-fence"),
    ],
)
def test_an_attempt_owns_a_job(location: Location, mine: bool) -> None:
    assert owns(TOKEN, location) is mine


def test_settings_come_from_the_attempt_not_from_the_job_queue() -> None:
    patient: Attempt = replace(ATTEMPT, settings=replace(ATTEMPT.settings, start_timeout_s=10_000.0))
    sight = replace(seen(a_pod(), age_s=600), attempt=patient)
    assert decide(patient, job(T), sight, at()).do is Do.HOLD


def test_only_rows_without_drift_are_ok() -> None:
    """What the table marks (ok), and astray attempts that still have time, count nothing."""
    quiet = {param.values[3][:2] for param in _rows() if not param.values[3][1]}
    assert quiet == {(Do.NOTHING, ""), (Do.HOLD, "")}


def test_an_unconfirmed_end_is_only_ever_given_back_or_cancelled() -> None:
    for param in _rows():
        location, sight, moment, _ = param.values
        action = decide(ATTEMPT if sight is None else sight.attempt, location, sight, moment)
        if action.outcome is not None and not action.outcome.confirmed:
            assert action.outcome.verdict is Verdict.GIVE_BACK
