"""Each row of the study's table of failure modes that can be told from what is seen, as DESIGN judges it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_operator.classify import classify, lost, timed_out, told
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.seen import KubeJobSeen, PodPhase, PodSeen, Terminated
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from fakes.sights import NOW, UID, a_pod, an_attempt, ended, failed, kube_job, running, waits

RUNS, WAITS, DONE = Verdict.RUNNING, Verdict.WAITING, Verdict.COMPLETED
COUNTED, FINAL, BACK = Verdict.FAILED, Verdict.UNRECOVERABLE, Verdict.GIVE_BACK
NONE, JOB, DISRUPTION = Fault.NONE, Fault.JOB, Fault.DISRUPTION
CONFIGURATION, OUTAGE = Fault.CONFIGURATION, Fault.OUTAGE
EVICTED = "EvictionByEvictionAPI"


def judged(outcome: Outcome) -> tuple[Verdict, str, Fault]:
    return outcome.verdict, outcome.code, outcome.fault


def said(outcome: RunnerOutcome, reason: str = "", **value: Any) -> str:
    return TerminationMessage(outcome, reason, **value).to_text()


BOUND = [
    pytest.param(running(), (RUNS, "running", NONE), id="runs"),
    pytest.param(ended(3), (COUNTED, "exit-code", JOB), id="1-own-exit-code"),
    pytest.param(ended(ExitCode.FAILED), (COUNTED, "failed", JOB), id="1-failed-and-did-not-say-why"),
    pytest.param(ended(137, "OOMKilled"), (COUNTED, "oom", JOB), id="2-oom"),
    pytest.param(ended(137, "OOMKilled", disruption=EVICTED), (COUNTED, "oom", JOB), id="2-oom-during-a-drain"),
    pytest.param(ended(0, "OOMKilled"), (BACK, "no-value", DISRUPTION), id="3-oom-flag-with-exit-0"),
    pytest.param(ended(143, "OOMKilled"), (BACK, "terminated", DISRUPTION), id="3-oom-flag-with-exit-143"),
    pytest.param(ended(3, "OOMKilled"), (COUNTED, "exit-code", JOB), id="3-oom-flag-with-own-exit-code"),
    pytest.param(
        ended(3, "OOMKilled", said(RunnerOutcome.OOM)), (COUNTED, "oom", JOB), id="3-child-was-killed-runner-says-so"
    ),
    pytest.param(ended(137), (COUNTED, "killed", JOB), id="5-sigkill-by-nobody-we-know"),
    pytest.param(ended(137, disruption=EVICTED), (BACK, "disrupted", DISRUPTION), id="5-sigkill-after-eviction"),
    pytest.param(ended(137, deleting=True), (BACK, "disrupted", DISRUPTION), id="5-sigkill-after-deletion"),
    pytest.param(ended(137, "ContainerStatusUnknown"), (BACK, "container-lost", DISRUPTION), id="6-container-vanished"),
    pytest.param(
        failed("Evicted", disruption="TerminationByKubelet", message="low on memory"),
        (BACK, "disrupted", DISRUPTION),
        id="7-node-pressure",
    ),
    pytest.param(failed("Evicted", message="Usage of EmptyDir"), (COUNTED, "disk", JOB), id="8-own-disk-limit"),
    pytest.param(ended(143, disruption=EVICTED, deleting=True), (BACK, "disrupted", DISRUPTION), id="9-drain"),
    pytest.param(ended(1, disruption=EVICTED), (BACK, "disrupted", DISRUPTION), id="9-drain-exit-1"),
    pytest.param(
        ended(143, disruption="PreemptionByScheduler"), (BACK, "disrupted", DISRUPTION), id="10-scheduler-preempts"
    ),
    pytest.param(
        failed("Preempting", disruption="TerminationByKubelet"),
        (BACK, "disrupted", DISRUPTION),
        id="11-kubelet-preempts",
    ),
    pytest.param(
        ended(143, disruption="DeletionByTaintManager"), (BACK, "disrupted", DISRUPTION), id="12-taint-kubelet-returned"
    ),
    pytest.param(ended(137, node_gone=True), (BACK, "disrupted", DISRUPTION), id="13-node-deleted"),
    pytest.param(
        failed("Terminated", disruption="TerminationByKubelet"), (BACK, "disrupted", DISRUPTION), id="14-node-shutdown"
    ),
    pytest.param(failed("NodeShutdown"), (BACK, "disrupted", DISRUPTION), id="14-new-pod-in-a-shutdown"),
    *[
        pytest.param(failed(reason), (BACK, "refused", DISRUPTION), id=f"15-{reason}")
        for reason in (
            "OutOfcpu",
            "OutOfmemory",
            "OutOfpods",
            "OutOfephemeral-storage",
            "NodeAffinity",
            "NodePorts",
            "UnexpectedAdmissionError",
            "TopologyAffinityError",
        )
    ],
    pytest.param(ended(143, deleting=True), (BACK, "disrupted", DISRUPTION), id="16-pod-deleted-by-hand"),
    pytest.param(ended(143), (BACK, "terminated", DISRUPTION), id="16-sigterm-from-nobody-we-know"),
    pytest.param(
        running(init_terminated=Terminated(1)), (RUNS, "running", NONE), id="27-init-container-of-a-pod-that-runs"
    ),
    pytest.param(
        ended(0, message=said(RunnerOutcome.COMPLETED, value=1, has_value=True), phase=PodPhase.RUNNING),
        (DONE, "completed", NONE),
        id="28-sidecar-holds-the-pod",
    ),
    pytest.param(
        ended(0, message=said(RunnerOutcome.COMPLETED, value=1, has_value=True), phase=PodPhase.FAILED),
        (DONE, "completed", NONE),
        id="29-sidecar-failed",
    ),
    pytest.param(ended(143, "DeadlineExceeded"), (COUNTED, "timeout", JOB), id="30-local-deadline"),
    pytest.param(failed("DeadlineExceeded"), (COUNTED, "timeout", JOB), id="31-deadline-of-the-pod"),
    pytest.param(
        a_pod(phase=PodPhase.FAILED, reason="DeadlineExceeded", started=True, terminated=Terminated(137, "Error")),
        (COUNTED, "timeout", JOB),
        id="31-deadline-of-a-pod-that-ran",
    ),
    # the runner's own words are the strongest evidence
    pytest.param(
        ended(137, "OOMKilled", said(RunnerOutcome.COMPLETED, value={"a": 1}, has_value=True)),
        (DONE, "completed", NONE),
        id="said-completed-then-killed",
    ),
    pytest.param(
        ended(143, message=said(RunnerOutcome.COMPLETED, value=None, has_value=True), disruption=EVICTED),
        (DONE, "completed", NONE),
        id="said-completed-null-then-drained",
    ),
    pytest.param(ended(0, message=said(RunnerOutcome.COMPLETED)), (BACK, "no-value", DISRUPTION), id="value-too-large"),
    pytest.param(ended(0), (BACK, "no-value", DISRUPTION), id="exit-0-without-a-word"),
    pytest.param(ended(1, message=said(RunnerOutcome.FAILED, "boom")), (COUNTED, "failed", JOB), id="said-failed"),
    pytest.param(
        ended(137, message=said(RunnerOutcome.FAILED, "boom"), disruption=EVICTED),
        (COUNTED, "failed", JOB),
        id="said-failed-then-killed",
    ),
    pytest.param(
        ended(1, message=said(RunnerOutcome.UNRECOVERABLE, "bad payload")),
        (FINAL, "unrecoverable", JOB),
        id="said-final",
    ),
    pytest.param(ended(75, message=said(RunnerOutcome.GIVE_BACK)), (BACK, "outage", OUTAGE), id="said-give-back"),
    pytest.param(ended(75, message=said(RunnerOutcome.STORE_AWAY)), (BACK, "store-away", OUTAGE), id="store-away"),
    pytest.param(
        ended(64, message=said(RunnerOutcome.GIVE_BACK)),
        (BACK, "bad-assignment", CONFIGURATION),
        id="said-give-back-for-the-configuration",
    ),
    pytest.param(
        ended(76, message=said(RunnerOutcome.SUPERSEDED)), (BACK, "superseded", DISRUPTION), id="said-superseded"
    ),
    pytest.param(ended(137, message=said(RunnerOutcome.OOM)), (COUNTED, "oom", JOB), id="said-oom"),
    pytest.param(
        ended(143, message=said(RunnerOutcome.TERMINATED)), (BACK, "terminated", DISRUPTION), id="said-terminated"
    ),
    pytest.param(ended(3, message='{"outcome": "rich"}'), (COUNTED, "exit-code", JOB), id="a-message-that-is-none"),
    # the table of exit codes
    pytest.param(ended(ExitCode.BAD_ASSIGNMENT), (BACK, "bad-assignment", CONFIGURATION), id="exit-64"),
    pytest.param(ended(ExitCode.SOFTWARE), (BACK, "runner-broke", DISRUPTION), id="exit-70"),
    pytest.param(ended(ExitCode.GIVE_BACK), (BACK, "outage", OUTAGE), id="exit-75"),
    pytest.param(ended(ExitCode.SUPERSEDED), (BACK, "superseded", DISRUPTION), id="exit-76"),
    pytest.param(
        a_pod(phase=PodPhase.FAILED, started=True, terminated=Terminated(0, "Error", signal=9)),
        (COUNTED, "killed", JOB),
        id="a-signal-without-a-code",
    ),
    pytest.param(ended(128, "StartError"), (BACK, "cannot-start", CONFIGURATION), id="26-start-error"),
    pytest.param(ended(127, "ContainerCannotRun"), (BACK, "cannot-start", CONFIGURATION), id="26-cannot-run"),
]


@pytest.mark.parametrize(("pod", "expected"), BOUND)
def test_a_bound_pod_is_judged(pod: PodSeen, expected: tuple[Verdict, str, Fault]) -> None:
    assert judged(classify(kube_job(pod), UID, NOW)) == expected


def test_the_deadline_of_the_kube_job_is_the_jobs_own_doing() -> None:
    seen = kube_job(ended(143, deleting=True), failed="DeadlineExceeded")
    assert judged(classify(seen, UID, NOW)) == (COUNTED, "timeout", JOB)


def test_a_timeout_is_final_where_the_job_type_says_so() -> None:
    seen = kube_job(ended(143, "DeadlineExceeded"), attempt=an_attempt(on_timeout="fail"))
    assert judged(classify(seen, UID, NOW)) == (FINAL, "timeout", JOB)


def test_a_completed_value_is_rendered_as_node_would() -> None:
    message = said(RunnerOutcome.COMPLETED, value={"ü": [1, "😀"]}, has_value=True)
    assert classify(kube_job(ended(0, message=message)), UID, NOW).value_json == '{"ü":[1,"😀"]}'


def test_a_value_that_is_no_json_is_no_value() -> None:
    message = '{"outcome": "completed", "value": NaN}'
    assert classify(kube_job(ended(0, message=message)), UID, NOW).code == "no-value"


@pytest.mark.parametrize(
    ("pod", "code"),
    [
        pytest.param(ended(3), "permanent", id="listed"),
        pytest.param(ended(4), "exit-code", id="not-listed"),
        pytest.param(ended(3, message=said(RunnerOutcome.FAILED, "no")), "permanent", id="said-failed"),
        pytest.param(ended(3, disruption=EVICTED), "permanent", id="listed-during-a-drain"),
        pytest.param(ended(137), "permanent", id="listed-sigkill"),
        pytest.param(ended(137, disruption=EVICTED), "disrupted", id="listed-sigkill-of-a-drain"),
        pytest.param(ended(137, "OOMKilled"), "oom", id="oom-stays-oom"),
    ],
)
def test_permanent_exit_codes_are_unrecoverable(pod: PodSeen, code: str) -> None:
    outcome = classify(kube_job(pod, attempt=an_attempt(permanent_exit_codes=(3, 137))), UID, NOW)
    assert outcome.code == code
    assert (outcome.verdict is FINAL) == (code == "permanent")


UNBOUND = [
    pytest.param(kube_job(), (WAITS, "no-pod", NONE), id="32-35-no-pod-yet"),
    pytest.param(kube_job(suspended=True), (WAITS, "suspended", NONE), id="19-suspended"),
    pytest.param(kube_job(a_pod()), (WAITS, "starting", NONE), id="pending"),
    pytest.param(kube_job(waits("ContainerCreating")), (WAITS, "starting", NONE), id="25-creating"),
    pytest.param(kube_job(a_pod(unschedulable="0/5 nodes are available")), (WAITS, "unschedulable", NONE), id="20"),
    pytest.param(kube_job(a_pod(unschedulable="SchedulingGated")), (WAITS, "gated", NONE), id="21-gated"),
    pytest.param(kube_job(waits("InvalidImageName")), (BACK, "image", CONFIGURATION), id="22-invalid-name"),
    pytest.param(kube_job(waits("ErrImageNeverPull")), (BACK, "image", CONFIGURATION), id="22-never-pull"),
    pytest.param(kube_job(waits("SignatureValidationFailed")), (BACK, "image", CONFIGURATION), id="22-signature"),
    pytest.param(
        kube_job(waits("ErrImagePull", "manifest unknown: not found")),
        (WAITS, "image", CONFIGURATION),
        id="22-1st-pull",
    ),
    pytest.param(
        kube_job(waits("ErrImagePull", "not found"), age_s=25), (BACK, "image", CONFIGURATION), id="22-2nd-pull"
    ),
    pytest.param(
        kube_job(waits("ImagePullBackOff", "401 Unauthorized")), (BACK, "image", CONFIGURATION), id="22-unauthorized"
    ),
    pytest.param(kube_job(waits("ImagePullBackOff", "Back-off")), (WAITS, "image-pull", NONE), id="22-no-reason"),
    pytest.param(kube_job(waits("ImageInspectError"), age_s=99), (WAITS, "image-pull", NONE), id="22-inspect"),
    pytest.param(
        kube_job(waits("ErrImagePull", "pull QPS exceeded"), age_s=99), (WAITS, "image-pull", NONE), id="23-qps"
    ),
    pytest.param(
        kube_job(waits("ImagePullBackOff", "503 Service Unavailable"), age_s=99),
        (WAITS, "image-pull", NONE),
        id="23-503",
    ),
    pytest.param(kube_job(waits("RegistryUnavailable")), (WAITS, "image-pull", NONE), id="23-unavailable"),
    pytest.param(
        kube_job(waits("CreateContainerConfigError", "secret x not found"), age_s=59),
        (WAITS, "config", CONFIGURATION),
        id="24-secret-may-come",
    ),
    pytest.param(
        kube_job(waits("CreateContainerConfigError", "secret x not found"), age_s=60),
        (BACK, "config", CONFIGURATION),
        id="24-secret-did-not-come",
    ),
    pytest.param(kube_job(waits("RunContainerError")), (BACK, "cannot-start", CONFIGURATION), id="26-bad-command"),
    pytest.param(kube_job(ended(128, "StartError")), (BACK, "cannot-start", CONFIGURATION), id="26-start-error"),
    pytest.param(
        kube_job(failed(init_terminated=Terminated(1, "Error", "no"))),
        (BACK, "start-failure", DISRUPTION),
        id="27-init",
    ),
    pytest.param(kube_job(running()), (RUNS, "running", NONE), id="runs-and-has-not-bound"),
    pytest.param(kube_job(ended(137, "OOMKilled")), (COUNTED, "oom", JOB), id="oom-counts-even-before-bind"),
    pytest.param(kube_job(ended(1)), (BACK, "start-failure", DISRUPTION), id="any-other-end-before-bind"),
    pytest.param(kube_job(ended(0)), (BACK, "no-value", DISRUPTION), id="exit-0-before-bind"),
    pytest.param(kube_job(failed("Evicted")), (BACK, "start-failure", DISRUPTION), id="own-disk-before-bind"),
    pytest.param(kube_job(failed("OutOfcpu")), (BACK, "refused", DISRUPTION), id="refused-before-bind"),
    pytest.param(kube_job(ended(64)), (BACK, "bad-assignment", CONFIGURATION), id="bad-assignment"),
    pytest.param(kube_job(ended(75)), (BACK, "outage", OUTAGE), id="redis-away-at-the-start"),
    pytest.param(
        kube_job(failed="BackoffLimitExceeded"), (BACK, "start-failure", DISRUPTION), id="failed-without-a-pod"
    ),
    pytest.param(kube_job(failed="DeadlineExceeded"), (BACK, "start-failure", DISRUPTION), id="deadline-without-a-pod"),
    pytest.param(kube_job(ended(1), a_pod(uid="u2")), (WAITS, "starting", NONE), id="19-second-pod-of-a-suspended-one"),
]


@pytest.mark.parametrize(("seen", "expected"), UNBOUND)
def test_an_unbound_attempt_is_judged(seen: KubeJobSeen, expected: tuple[Verdict, str, Fault]) -> None:
    assert judged(classify(seen, None, NOW)) == expected


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(None, "pod-gone", id="18-kube-job-deleted"),
        pytest.param(kube_job(a_pod(uid="other")), "pod-gone", id="only-another-pod"),
        pytest.param(kube_job(running(node_ready=False)), "node-unreachable", id="12-not-ready"),
        pytest.param(kube_job(running(node_gone=True)), "node-gone", id="13-node-gone"),
        pytest.param(kube_job(failed(disruption="DeletionByPodGC")), "node-gone", id="13-pod-gc"),
        pytest.param(kube_job(running(deleting=True)), "pod-unreachable", id="17-terminating-for-ever"),
    ],
)
def test_what_no_kubelet_confirms_is_given_back_unconfirmed(seen: KubeJobSeen | None, code: str) -> None:
    outcome = lost(seen, UID)
    assert judged(outcome) == (BACK, code, DISRUPTION)
    assert not outcome.confirmed


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(kube_job(a_pod(unschedulable="full")), ("unschedulable", DISRUPTION), id="no-capacity"),
        pytest.param(kube_job(waits("CreateContainerConfigError")), ("config", CONFIGURATION), id="configuration"),
        pytest.param(kube_job(waits("ImagePullBackOff")), ("start-failure", DISRUPTION), id="image-trouble"),
        pytest.param(kube_job(), ("start-failure", DISRUPTION), id="no-pod"),
        pytest.param(kube_job(running()), ("start-failure", DISRUPTION), id="runs-without-taking-the-job"),
    ],
)
def test_an_attempt_that_did_not_start_in_time_is_given_back(seen: KubeJobSeen, expected: tuple[str, Fault]) -> None:
    outcome = timed_out(classify(seen, None, NOW))
    assert (outcome.verdict, outcome.code, outcome.fault) == (BACK, *expected)
    assert outcome.sentence.startswith("did not start in time: ")


HOSTILE = "\x1b[31mred\nline\u2028\ud800" + "A" * 9999


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(kube_job(ended(1, message=json.dumps({"outcome": "failed", "reason": HOSTILE}))), id="reason"),
        pytest.param(kube_job(failed("Evicted", message=HOSTILE)), id="message-of-the-pod"),
        pytest.param(kube_job(ended(128, "StartError", HOSTILE)), id="message-of-the-end"),
        pytest.param(kube_job(failed(HOSTILE)), id="reason-of-the-pod"),
        pytest.param(kube_job(ended(143, disruption=HOSTILE)), id="disruption"),
    ],
)
def test_sentences_are_bounded_printable_and_on_one_line(seen: KubeJobSeen) -> None:
    sentence = classify(seen, UID, NOW).sentence
    assert sentence.isprintable()
    assert len(sentence) <= 600


def test_what_a_runner_said_last_is_told() -> None:
    seen = kube_job(ended(1, message=said(RunnerOutcome.FAILED, "bo\nom")))
    assert told(seen) == ("failed", "bo\\nom")
    assert told(kube_job(ended(1))) == ("", "")
    assert told(kube_job(running())) == ("", "")
