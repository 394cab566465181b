"""Plain pods as the API server shows them, and what becomes of their jobs: from JSON to the decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from bullpen_operator import naming
from bullpen_operator.decide import Do, Moment, decide
from bullpen_operator.manifest import attempt_to_text
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.seen import Attempt, AttemptSettings
from bullpen_operator.seen_from import kube_job_seen, owned_pod
from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Location

TOKEN, UID = "bullpen/i/u", "uid-1"
FENCE: Final = f"{TOKEN}#{UID}"
NOW: Final = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
SETTINGS: Final = AttemptSettings(timeout_s=60.0, permanent_exit_codes=(9,), plain=True, wait_for_unreachable=True)
Json = dict[str, Any]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(code: int, reason: str = "", message: str = "", *, ran_s: float = 10, finished_ago: float = 5) -> Json:
    """The state of a container that has ended."""
    reason = reason or ("Completed" if code == 0 else "Error")
    times = {"startedAt": ago(finished_ago + ran_s), "finishedAt": ago(finished_ago)}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


RUNS: Final[Json] = {"running": {"startedAt": ago(100)}}
FETCHED: Final = ended(0)


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def said(outcome: RunnerOutcome = RunnerOutcome.COMPLETED, reason: str = "", **value: Any) -> Json:
    """The sidecar has spoken."""
    return ended(0, message=TerminationMessage(outcome, reason, **value).to_text(), finished_ago=4)


SEVEN: Final = said(value=7, has_value=True)


def pod(
    main: Json | None, watch: Json | None = None, fetch: Json | None = None, *, phase: str = "", **more: Any
) -> Json:
    """A pod with these states of its containers; `metadata`, `conditions` and fields of its status come on top."""
    over = main is not None and "terminated" in main and watch is not None and "terminated" in watch
    failed = main is None or main.get("terminated", {}).get("exitCode") != 0
    phase = phase or (("Failed" if failed else "Succeeded") if over else "Running")
    return {
        "metadata": {
            "name": "bp-1-x",
            "uid": UID,
            "creationTimestamp": ago(120),
            "annotations": {naming.ANNOTATION_ATTEMPT: attempt_to_text(attempt())},
            "ownerReferences": [{"kind": "Job", "name": "bp-1"}],
            **more.pop("metadata", {}),
        },
        "spec": {
            "nodeName": "node-1",
            "activeDeadlineSeconds": 75,
            "initContainers": [
                {"name": "bullpen-fetch"},
                {"name": "bullpen-watch", "restartPolicy": "Always"},
                {"name": "theirs"},
            ],
            "containers": [{"name": "main"}, {"name": "proxy"}],
        },
        "status": {
            "phase": phase,
            "initContainerStatuses": [
                {"name": "bullpen-fetch", "state": FETCHED if fetch is None else fetch},
                {"name": "bullpen-watch", "state": RUNS if watch is None else watch},
                *more.pop("inits", []),
            ],
            "containerStatuses": [
                {"name": "proxy", "state": RUNS},
                {"name": "main", "state": main or waiting("PodInitializing"), "ready": "running" in (main or {})},
            ],
            **more,
        },
    }


def attempt(**settings: Any) -> Attempt:
    fields = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}
    return Attempt("ns/q", "bull", "q", "7", "count", TOKEN, settings=AttemptSettings(**fields | settings))


def decided(
    body: Json | None, *, pb: str = FENCE, lock: bool = True, absent: float = 0.0, failed: str = "", **settings: Any
) -> tuple[Do, Outcome | None, bool]:
    """What is done about the attempt whose only pod looks like this."""
    conditions = [{"type": "Failed", "status": "True", "reason": failed}] if failed else []
    kube_job = {
        "metadata": {
            "name": "bp-1",
            "creationTimestamp": ago(120),
            "annotations": {naming.ANNOTATION_ATTEMPT: attempt_to_text(attempt(**settings))},
        },
        "status": {"conditions": conditions},
    }
    owned = owned_pod(body) if body is not None else None
    seen = kube_job_seen(kube_job, [] if owned is None else [owned.pod])
    location = Location("7", exists=True, active=True, lock=pb if lock else None, lock_ms=1, pb=pb)
    action = decide(attempt(**settings), location, seen, Moment(NOW, lock_absent_s=absent))
    return action.do, action.outcome, action.delete


def settled(body: Json, **more: Any) -> Outcome:
    do, outcome, _ = decided(body, **more)
    assert do is Do.SETTLE
    assert outcome is not None
    return outcome


DISRUPTED: Final = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]


def disrupted(seconds_ago: float) -> Json:
    return {"conditions": [DISRUPTED[0] | {"lastTransitionTime": ago(seconds_ago)}]}


def deleted(seconds_ago: float, grace_s: int = 30) -> Json:
    stamp = ago(seconds_ago - grace_s)
    return {"metadata": {"deletionTimestamp": stamp, "deletionGracePeriodSeconds": grace_s}}


LATE: Final[Json] = {"reason": "DeadlineExceeded", "startTime": ago(85)}
"""The kubelet ended it 10 seconds ago: 85 s after it took the pod, of which it allows 75."""

JOB, CLUSTER, CONFIGURATION, OUTAGE = Fault.JOB, Fault.DISRUPTION, Fault.CONFIGURATION, Fault.OUTAGE
COUNTED, BACK, FINAL, DONE = Verdict.FAILED, Verdict.GIVE_BACK, Verdict.UNRECOVERABLE, Verdict.COMPLETED

FATES = [
    pytest.param(pod(ended(0), SEVEN), (DONE, "completed", Fault.NONE), id="completed"),
    pytest.param(pod(ended(0), ended(137)), (DONE, "completed", Fault.NONE), id="29-sidecar-died-value-may-be-kept"),
    pytest.param(
        pod(ended(0), SEVEN, phase="Failed"), (DONE, "completed", Fault.NONE), id="29-another-container-failed"
    ),
    pytest.param(pod(ended(0, "OOMKilled"), SEVEN), (DONE, "completed", Fault.NONE), id="3-oom-flag-with-exit-0"),
    pytest.param(pod(ended(3), SEVEN), (COUNTED, "exit-code", JOB), id="1-exit-code"),
    *[
        pytest.param(pod(ended(code), SEVEN), (COUNTED, "exit-code", JOB), id=f"1-{code}-is-the-user-s-own-code")
        for code in (1, 64, 70, 75, 76, 143)
    ],
    pytest.param(pod(ended(9), SEVEN), (FINAL, "permanent", JOB), id="1-permanent-exit-code"),
    pytest.param(pod(ended(9), SEVEN, **disrupted(6)), (FINAL, "permanent", JOB), id="permanent-beats-a-drain"),
    pytest.param(pod(ended(137, "OOMKilled"), SEVEN), (COUNTED, "oom", JOB), id="2-oom"),
    pytest.param(pod(ended(137), SEVEN), (COUNTED, "killed", JOB), id="5-sigkill-by-nobody-we-know"),
    pytest.param(pod(ended(137), SEVEN, **disrupted(6)), (BACK, "disrupted", CLUSTER), id="9-drain"),
    pytest.param(pod(ended(0), SEVEN, **disrupted(6)), (BACK, "disrupted", CLUSTER), id="9-exit-0-after-sigterm"),
    pytest.param(
        pod(ended(0), SEVEN, **disrupted(5)), (BACK, "disrupted", CLUSTER), id="9-exit-0-in-the-second-of-the-sigterm"
    ),
    pytest.param(pod(ended(0), SEVEN, **disrupted(4)), (DONE, "completed", Fault.NONE), id="9-exit-0-before-the-drain"),
    pytest.param(pod(ended(0), SEVEN, **deleted(6)), (BACK, "disrupted", CLUSTER), id="16-exit-0-after-the-deletion"),
    pytest.param(
        pod(ended(0), SEVEN, **deleted(4)), (DONE, "completed", Fault.NONE), id="16-exit-0-before-the-deletion"
    ),
    pytest.param(
        pod(ended(0), said(RunnerOutcome.FAILED, "the result is no plain file")),
        (COUNTED, "bad-result", JOB),
        id="its-result-can-t-be-taken",
    ),
    pytest.param(
        pod(ended(3), said(RunnerOutcome.FAILED, "the result is no plain file")),
        (COUNTED, "exit-code", JOB),
        id="its-exit-code-counts-more-than-its-result",
    ),
    pytest.param(
        pod(ended(143, ran_s=65), SEVEN, phase="Failed", **LATE), (COUNTED, "timeout", JOB), id="31-over-its-timeout"
    ),
    pytest.param(
        pod(ended(0, ran_s=65), SEVEN, phase="Failed", **LATE), (COUNTED, "timeout", JOB), id="31-timeout-exit-0"
    ),
    pytest.param(
        pod(ended(0, ran_s=50, finished_ago=12), SEVEN, phase="Failed", **LATE),
        (DONE, "completed", Fault.NONE),
        id="31-done-before-its-deadline",
    ),
    pytest.param(
        pod(ended(143, ran_s=20), SEVEN, phase="Failed", **LATE),
        (BACK, "slow-start", CLUSTER),
        id="31-its-image-took-its-time",
    ),
    pytest.param(pod(None, phase="Failed", **LATE), (BACK, "slow-start", CLUSTER), id="31-it-never-started"),
    pytest.param(pod(ended(137), SEVEN, phase="Failed", reason="Evicted"), (COUNTED, "disk", JOB), id="8-disk"),
    pytest.param(
        pod(ended(0), SEVEN, phase="Failed", reason="Evicted"), (COUNTED, "disk", JOB), id="8-disk-exit-0-after-sigterm"
    ),
    pytest.param(pod(ended(137, "ContainerStatusUnknown"), SEVEN), (BACK, "container-lost", CLUSTER), id="6-vanished"),
    pytest.param(pod(ended(128, "StartError"), SEVEN), (BACK, "cannot-start", CONFIGURATION), id="26-bad-command"),
    pytest.param(
        pod(None, phase="Failed", fetch=ended(76)), (BACK, "superseded", CLUSTER), id="27-fetch-lost-its-fence"
    ),
    pytest.param(
        pod(None, phase="Failed", fetch=ended(64)), (BACK, "bad-assignment", CONFIGURATION), id="27-fetch-misconfigured"
    ),
    pytest.param(pod(None, phase="Failed", fetch=ended(75)), (BACK, "outage", OUTAGE), id="27-fetch-without-redis"),
    pytest.param(
        pod(None, phase="Failed", fetch=ended(70)), (BACK, "start-failure", CLUSTER), id="27-fetch-itself-broke"
    ),
    pytest.param(
        pod(None, phase="Failed", fetch=ended(137, "OOMKilled")), (BACK, "start-failure", CLUSTER), id="27-fetch-oom"
    ),
    pytest.param(
        pod(None, ended(0), phase="Failed", inits=[{"name": "theirs", "state": ended(64)}]),
        (BACK, "start-failure", CLUSTER),
        id="27-an-init-container-of-the-user-s",
    ),
    pytest.param(pod(None, phase="Failed", reason="OutOfcpu"), (BACK, "refused", CLUSTER), id="15-refused"),
]


@pytest.mark.parametrize(("body", "expected"), FATES)
def test_an_ended_pod_is_settled_by_the_kubelet_s_word(body: Json, expected: tuple[Verdict, str, Fault]) -> None:
    outcome = settled(body)
    assert (outcome.verdict, outcome.code, outcome.fault) == expected


def test_what_the_sidecar_said_is_the_value() -> None:
    assert settled(pod(ended(0), said(value={"ü": [1]}, has_value=True))).value_json == '{"ü":[1]}'
    assert settled(pod(ended(0), said(value=None, has_value=True))).value_json == "null"


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param(said(), id="it-was-too-large-to-be-said"),
        pytest.param(ended(137), id="the-sidecar-died"),
        pytest.param(ended(0, message="nonsense"), id="nonsense"),
        pytest.param(said(RunnerOutcome.SUPERSEDED), id="superseded"),
    ],
)
def test_a_value_that_was_not_said_is_to_be_looked_for_in_redis(watch: Json) -> None:
    outcome = settled(pod(ended(0), watch))
    assert (outcome.verdict, outcome.value_json) == (DONE, None)


def test_a_container_can_t_complete_its_job_by_claiming_so_in_its_own_message() -> None:
    forged = TerminationMessage(RunnerOutcome.COMPLETED, value="gold", has_value=True).to_text()
    outcome = settled(pod(ended(3, message=forged), said(value=7, has_value=True)))
    assert (outcome.verdict, outcome.code) == (COUNTED, "exit-code")


@pytest.mark.parametrize(
    ("code", "message", "sentence"),
    [
        pytest.param(3, "first\nlast\n\n", "it exited with code 3: last", id="its-last-line"),
        pytest.param(3, "", "it exited with code 3", id="silent"),
        pytest.param(3, "a\x1b[31mred", "it exited with code 3: a\\x1b[31mred", id="escaped"),
        pytest.param(3, "x" * 4_000, "it exited with code 3: " + "x" * 199 + "…", id="bounded"),
        pytest.param(
            9, "no text", "it exited with code 9, which the job type lists as permanent: no text", id="permanent"
        ),
    ],
)
def test_the_reason_ends_with_what_the_container_said_last(code: int, message: str, sentence: str) -> None:
    assert settled(pod(ended(code, message=message), SEVEN)).sentence == sentence


@pytest.mark.parametrize("code", [0, 3])
def test_an_end_is_not_settled_before_the_sidecar_has_spoken(code: int) -> None:
    assert decided(pod(ended(code))) == (Do.NOTHING, None, False)
    assert decided(pod(ended(code), phase="Failed", **LATE))[0] is Do.NOTHING, "called Failed before all have ended"


def test_a_container_of_the_user_s_that_holds_the_pod_does_not_hold_the_job() -> None:
    assert decided(pod(ended(0, finished_ago=59)))[0] is Do.NOTHING
    assert decided(pod(ended(0, finished_ago=60)))[0] is Do.DELETE
    assert decided(pod(ended(0, finished_ago=60), **deleted(1)))[0] is Do.NOTHING
    outcome = settled(pod(ended(0, finished_ago=70), SEVEN, **deleted(10)))
    assert (outcome.verdict, outcome.value_json) == (DONE, "7")


def test_a_pod_that_was_collected_or_lost_after_its_main_container_ended_is_settled_by_that_word() -> None:
    lost = settled(pod(ended(3)), lock=False, absent=60)
    assert (lost.verdict, lost.code, lost.confirmed) == (COUNTED, "exit-code", True)
    unspoken = settled(pod(ended(0)), lock=False, absent=60)
    assert (unspoken.verdict, unspoken.value_json) == (DONE, None)


# ---- bound, and its main container has not started ----


def test_a_bound_pod_whose_image_is_still_to_come_is_waited_for() -> None:
    starting = pod(waiting("PodInitializing"), phase="Pending")
    assert decided(starting) == (Do.NOTHING, None, False)
    assert decided(starting, lock=False) == (Do.HOLD, None, False), "no program runs: its lock hides nothing"


@pytest.mark.parametrize(
    ("main", "code", "fault"),
    [
        pytest.param(waiting("InvalidImageName"), "image", CONFIGURATION, id="22-invalid-name"),
        pytest.param(waiting("ImagePullBackOff", "manifest unknown"), "image", CONFIGURATION, id="22-no-such-image"),
        pytest.param(
            waiting("CreateContainerConfigError", "runAsNonRoot and image will run as root"),
            "config",
            CONFIGURATION,
            id="24-runs-as-root",
        ),
        pytest.param(
            waiting("RunContainerError", "exec: no such file"), "cannot-start", CONFIGURATION, id="26-command"
        ),
    ],
)
def test_a_bound_pod_that_can_never_start_is_given_back(main: Json, code: str, fault: Fault) -> None:
    do, outcome, delete = decided(pod(main, phase="Pending"))
    assert outcome is not None
    assert (do, outcome.verdict, outcome.code, outcome.fault, delete) == (Do.SETTLE, BACK, code, fault, True)
    assert not outcome.confirmed, "the next one must not start beside it"


def test_a_bound_pod_that_does_not_start_in_time_is_given_back() -> None:
    starting = pod(waiting("ErrImagePull", "timeout"), phase="Pending")
    assert decided(starting, start_timeout_s=121.0)[0] is Do.NOTHING
    do, outcome, delete = decided(starting, start_timeout_s=120.0)
    assert outcome is not None
    assert (do, outcome.verdict, outcome.code, delete) == (Do.SETTLE, BACK, "start-failure", True)
    assert not outcome.confirmed


# ---- nobody sees the pod ----

SILENT: Final = pod(RUNS, conditions=[{"type": "Ready", "status": "False"}], metadata={"deletionTimestamp": ago(0)})


def test_a_sidecar_that_is_started_again_is_no_sign_of_a_silent_node() -> None:
    restarting = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
    body = pod(RUNS, waiting("CrashLoopBackOff"), phase="Running", conditions=[restarting])
    owned = owned_pod(body)
    assert owned is not None
    assert owned.pod.node_ready is None, "the node itself has to be asked"
    assert decided(body)[0] is Do.NOTHING


def test_a_silent_node_is_waited_for_since_nothing_fences_a_plain_job() -> None:
    assert decided(SILENT, lock=False, absent=9_999) == (Do.NOTHING, None, False)


def test_a_job_queue_may_allow_to_run_it_again_once_the_lock_ran_out() -> None:
    assert decided(SILENT, lock=False, absent=59, wait_for_unreachable=False)[0] is Do.NOTHING
    outcome = settled(SILENT, lock=False, absent=60, wait_for_unreachable=False)
    assert (outcome.verdict, outcome.code, outcome.confirmed) == (BACK, "node-unreachable", False)


def test_a_pod_that_is_gone_is_given_back_when_its_lock_ran_out() -> None:
    assert decided(None, lock=False, absent=59)[0] is Do.NOTHING
    do, outcome, _ = decided(None, lock=False, absent=60)
    assert outcome is not None
    assert (do, outcome.code) == (Do.SETTLE, "pod-gone")


def test_a_pod_that_was_collected_with_its_node_is_given_back_when_its_lock_ran_out() -> None:
    collected = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
    body = pod(RUNS, phase="Failed", conditions=[collected | {"lastTransitionTime": ago(5)}])
    assert settled(body, lock=False, absent=60).code == "node-gone"


def test_an_unbound_pod_that_failed_to_fetch_costs_no_attempt() -> None:
    outcome = settled(pod(None, phase="Failed", fetch=ended(76)), pb=TOKEN)
    assert (outcome.verdict, outcome.code) == (BACK, "superseded")
