"""Decide what was seen of an attempt means for its job. Pure: same sight, same outcome.

Evidence, strongest first: the runner's own last words, how the container ended, what Kubernetes did to the pod, what
it says of the KubeJob. Whether an attempt has ended at all is for decide.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bullpen_operator.escaping import safe
from bullpen_operator.seen import KubeJobSeen, PodPhase, PodSeen, Terminated
from bullpen_operator.waits import Wait, wait_of
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage


class Verdict(StrEnum):
    """What becomes of the attempt."""

    RUNNING = "running"
    WAITING = "waiting"
    """It has not started; the code says why."""
    COMPLETED = "completed"
    FAILED = "failed"
    """Counted: the producer's attempts and backoff decide what follows."""
    UNRECOVERABLE = "unrecoverable"
    GIVE_BACK = "give-back"
    """Back to the queue, no attempt spent."""


class Fault(StrEnum):
    """Whose doing it was."""

    NONE = "none"
    JOB = "job"
    DISRUPTION = "disruption"
    """The cluster's, or the operator's own: given back up to a cap."""
    CONFIGURATION = "configuration"
    """The JobQueue's: opens its breaker, never costs a job."""
    OUTAGE = "outage"
    """Redis or the graph store was away: never costs a job."""


SPEC_CHANGED: Final = "spec-changed"
STORE_AWAY: Final = "store-away"
"""The graph store stayed away from an attempt that had results: claiming pauses until it answers again."""

CANCELLED: Final = "cancelled"
GIVEN_UP: Final = "give-back-cap"
START_FAILURE: Final = "start-failure"
"""Ended before it was bound for a reason that may be the image's or the node's: several in a row open the breaker."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with its reason: a stable code for machines, one bounded sentence for people."""

    verdict: Verdict
    code: str
    sentence: str
    fault: Fault = Fault.NONE
    value_json: str | None = None
    """What the processor returned, of a COMPLETED attempt; None of a plain one: what its sidecar kept in Redis."""
    confirmed: bool = True
    """False: no kubelet said that it ended. What it began to write may take until the graph timeout is over."""
    instead_of: str = ""
    """Of a WAITING one that only events explain: the code that it would have without them."""


def classify(seen: KubeJobSeen, uid: str | None, now: datetime) -> Outcome:
    """Judge the pod *uid* of *seen*; None: no pod is bound yet, so nothing but out-of-memory can be the job's fault."""
    if uid is None:
        return _unbound(seen, now)
    pod = seen.pod(uid)
    if pod is None:
        return lost(seen, uid)
    return _ended(pod, seen) if pod.ended else _live(pod, seen, now)


def lost(seen: KubeJobSeen | None, uid: str) -> Outcome:
    """Judge a bound attempt of which no kubelet will tell the end, once its lock has been absent for long enough."""
    pod = seen.pod(uid) if seen is not None else None
    if seen is None or pod is None:
        return _lost("pod-gone", "its pod is gone and left no word")
    if pod.terminated is not None:
        return _ended(pod, seen)  # a plain one, whose sidecar got lost after that
    if pod.node_gone or pod.disrupted_by_pod_gc:
        return _lost("node-gone", f"its node {safe(pod.node, 80)} is gone")
    if pod.node_ready is False:
        return _lost("node-unreachable", f"its node {safe(pod.node, 80)} is not ready and its lock ran out")
    return _lost("pod-unreachable", "its pod stopped renewing the lock and did not end")


def cancelled() -> Outcome:
    """Judge an attempt that somebody asked to cancel, once it has ended."""
    return Outcome(Verdict.UNRECOVERABLE, CANCELLED, "cancelled")


def changed() -> Outcome:
    """Judge an attempt that had not started when its job type was changed."""
    sentence = "its JobQueue was changed before it started; the next attempt is made as described now"
    return _give_back(SPEC_CHANGED, sentence, Fault.CONFIGURATION)


def timed_out(waiting: Outcome) -> Outcome:
    """Judge an attempt that was *waiting* when its time to start was over."""
    sentence = f"did not start in time: {waiting.sentence}"
    if waiting.fault is Fault.CONFIGURATION:
        return _give_back(waiting.code, sentence, Fault.CONFIGURATION)
    telling = waiting.code.startswith("unschedulable") or waiting.code in _NOT_THE_IMAGE
    return _give_back(waiting.code if telling else START_FAILURE, sentence)


_NOT_THE_IMAGE: Final = frozenset({"gated", "suspended", "quota"})
"""Waits that trying another job of the same type would not tell more about."""


def _lost(code: str, sentence: str) -> Outcome:
    return Outcome(Verdict.GIVE_BACK, code, sentence, Fault.DISRUPTION, confirmed=False)


def _give_back(code: str, sentence: str, fault: Fault = Fault.DISRUPTION) -> Outcome:
    return Outcome(Verdict.GIVE_BACK, code, sentence, fault)


def _failed(code: str, sentence: str) -> Outcome:
    return Outcome(Verdict.FAILED, code, sentence, Fault.JOB)


def _unbound(seen: KubeJobSeen, now: datetime) -> Outcome:
    live = next((pod for pod in seen.pods if not pod.ended), None)
    if live is not None:
        return _live(live, seen, now)
    if seen.pods:
        return _before_bind(_ended(seen.pods[-1], seen))
    if any(condition.type in ("Failed", "Complete") for condition in seen.conditions):
        return _give_back(START_FAILURE, f"ended without a pod{_conditions(seen)}")
    return _waiting(wait_of(None, seen, now))


def _before_bind(outcome: Outcome) -> Outcome:
    if outcome.verdict is Verdict.GIVE_BACK or outcome.code == "oom":
        return outcome
    return _give_back(START_FAILURE, f"ended before it took the job: {outcome.sentence}")


def _live(pod: PodSeen, seen: KubeJobSeen, now: datetime) -> Outcome:
    if pod.started:
        return Outcome(Verdict.RUNNING, "running", "its container runs")
    return _waiting(wait_of(pod, seen, now))


def _waiting(wait: Wait) -> Outcome:
    fault = Fault.CONFIGURATION if wait.configuration else Fault.NONE
    verdict = Verdict.GIVE_BACK if wait.hopeless else Verdict.WAITING
    return Outcome(verdict, wait.code, wait.sentence, fault, instead_of=wait.instead_of)


def _ended(pod: PodSeen, seen: KubeJobSeen) -> Outcome:
    evidence = _Evidence(pod, seen)
    rules = _PLAIN_RULES if seen.attempt.settings.plain else _RULES
    return next(outcome for rule in rules if (outcome := rule(evidence)) is not None)


class _Evidence:
    """All that is known of an ended pod."""

    def __init__(self, pod: PodSeen, seen: KubeJobSeen) -> None:
        self.pod = pod
        self.end = pod.terminated or Terminated(-1)
        self.code = self.end.exit_code or (128 + self.end.signal if self.end.signal else 0)
        self.settings = seen.attempt.settings
        self.said = TerminationMessage.from_text(pod.returned if self.settings.plain else self.end.message)
        self.permanent = self.code in self.settings.permanent_exit_codes
        self.deadline = self._deadline(seen)
        self.final_timeout = seen.attempt.settings.on_timeout == "fail"

    def _deadline(self, seen: KubeJobSeen) -> bool:
        reasons = [self.pod.reason, self.end.reason, *(condition.reason for condition in seen.conditions)]
        return self.code != 0 and "DeadlineExceeded" in reasons

    @property
    def killed(self) -> bool:
        """It ended by a signal that others send, so that who sent it matters; -1: it never ran."""
        return self.code in (-1, ExitCode.OUT_OF_MEMORY, ExitCode.TERMINATED)

    @property
    def finished_by_itself(self) -> bool:
        """It exited with 0 before anybody told it to end: many a program takes SIGTERM for a reason to exit so."""
        told, finished = self.pod.told_at, self.end.finished_at
        if self.code != 0 or (told is None and self.pod.reason):  # evicted for its own disk, nobody says when
            return False
        return told is None or (finished is not None and finished < told)

    @property
    def ran_s(self) -> float:
        """For how long the kubelet says that it ran."""
        started, finished = self.end.started_at, self.end.finished_at
        return (finished - started).total_seconds() if started and finished else 0.0

    @property
    def disrupted(self) -> str:
        """What the cluster did to the pod."""
        pod = self.pod
        if pod.disruption or pod.reason in _REFUSALS or pod.reason in _SHUTDOWNS:
            return pod.disruption or pod.reason
        if pod.node_gone:
            return "its node is gone"
        return "it was deleted" if pod.deleting else ""


_SHUTDOWNS: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown", "NodeLost", "Preempting", "Evicted"})
"""status.reason of pods that the kubelet ended for the node's sake; `Evicted` only once it is no limit of the pod's."""

_REFUSALS: Final = frozenset(
    {
        "OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "NodeAffinity", "NodePorts",
        "UnexpectedAdmissionError", "TopologyAffinityError", "InvalidNodeInfo", "PodOSSelectorNodeLabelDoesNotMatch",
        "PodOSNotSupported", "AppArmor", "SysctlForbidden", "PodLevelResourcesNotSupported",
    }
)  # fmt: skip
"""status.reason of pods that the kubelet refused after scheduling: they never ran."""


def _said(evidence: _Evidence) -> Outcome | None:
    said = evidence.said
    if said is None or said.outcome is RunnerOutcome.TERMINATED:
        return None
    if said.outcome is RunnerOutcome.COMPLETED:
        return _completed(said)
    reason = safe(said.reason)
    if said.outcome is RunnerOutcome.FAILED and evidence.permanent:
        return Outcome(Verdict.UNRECOVERABLE, "permanent", reason or "failed for good", Fault.JOB)
    if evidence.code == ExitCode.BAD_ASSIGNMENT:  # whose fault a give-back is, the exit code says
        outcome = _bad_assignment(evidence)
        return replace(outcome, sentence=reason or outcome.sentence)
    verdict, code, words, fault = _WORDS[said.outcome]
    return Outcome(verdict, code, reason or words, fault)


_WORDS: Final[dict[RunnerOutcome, tuple[Verdict, str, str, Fault]]] = {
    RunnerOutcome.FAILED: (Verdict.FAILED, "failed", "the processor failed", Fault.JOB),
    RunnerOutcome.UNRECOVERABLE: (Verdict.UNRECOVERABLE, "unrecoverable", "failed for good", Fault.JOB),
    RunnerOutcome.GIVE_BACK: (Verdict.GIVE_BACK, "outage", "a store stayed away", Fault.OUTAGE),
    RunnerOutcome.STORE_AWAY: (Verdict.GIVE_BACK, STORE_AWAY, "the graph store stayed away", Fault.OUTAGE),
    RunnerOutcome.SUPERSEDED: (Verdict.GIVE_BACK, "superseded", "the runner lost its fence", Fault.DISRUPTION),
    RunnerOutcome.OOM: (Verdict.FAILED, "oom", "out of memory", Fault.JOB),
}


def _completed(said: TerminationMessage) -> Outcome:
    value = _json(said.value) if said.has_value else None
    if value is None:
        return no_value()
    return Outcome(Verdict.COMPLETED, "completed", "completed", value_json=value)


def _json(value: Any) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return None


def no_value() -> Outcome:
    """Judge an attempt that completed, but of which nobody knows what it returned."""
    return _give_back("no-value", "it completed, but what it returned did not arrive")


def _out_of_memory(evidence: _Evidence) -> Outcome | None:
    # Both, for each alone is wrong at times: the reason comes from a counter that also counts other processes.
    if evidence.end.reason == "OOMKilled" and evidence.code == ExitCode.OUT_OF_MEMORY:
        return _failed("oom", "out of memory: the container reached its memory limit (OOMKilled)")
    return None


def _overran(evidence: _Evidence) -> Outcome | None:
    if not evidence.deadline:
        return None
    outcome = _failed("timeout", "it ran longer than its timeout (DeadlineExceeded)")
    return replace(outcome, verdict=Verdict.UNRECOVERABLE) if evidence.final_timeout else outcome


def _over_disk(evidence: _Evidence) -> Outcome | None:
    # A node under pressure sets DisruptionTarget when it evicts; a pod over its own limit gets none.
    if evidence.pod.reason == "Evicted" and not evidence.pod.disruption:
        return _failed("disk", f"it used more disk than its limit{_quoted(evidence.pod.message)}")
    return None


def _permanent(evidence: _Evidence) -> Outcome | None:
    if evidence.permanent and not (evidence.killed and evidence.disrupted):
        why = _why(evidence) if evidence.settings.plain else ""
        sentence = f"it exited with code {evidence.code}, which the job type lists as permanent{why}"
        return Outcome(Verdict.UNRECOVERABLE, "permanent", sentence, Fault.JOB)
    return None


def _disrupted(evidence: _Evidence) -> Outcome | None:
    if not evidence.disrupted:
        return None
    code = "refused" if evidence.pod.reason in _REFUSALS else "disrupted"
    return _give_back(code, f"the cluster ended it: {safe(evidence.disrupted, 80)}{_quoted(evidence.pod.message)}")


def _container_lost(evidence: _Evidence) -> Outcome | None:
    if evidence.end.reason == "ContainerStatusUnknown":
        return _give_back("container-lost", "its container vanished and nobody knows how it ended")
    return None


def _cannot_start(evidence: _Evidence) -> Outcome | None:
    if evidence.end.reason in ("StartError", "ContainerCannotRun"):
        sentence = f"its container can't be started{_quoted(evidence.end.message)}"
        return _give_back("cannot-start", sentence, Fault.CONFIGURATION)
    return None


def _never_ran(evidence: _Evidence) -> Outcome | None:
    if evidence.pod.terminated is not None:
        return None
    init = evidence.pod.init_terminated
    if init is not None and evidence.pod.fetch_failed:
        return _fetch_failed(init)
    if init is not None:
        return _give_back(START_FAILURE, f"an init container exited with code {init.exit_code}{_quoted(init.message)}")
    return _give_back(START_FAILURE, f"its pod failed: {safe(evidence.pod.reason or 'no reason given', 80)}")


def _fetch_failed(init: Terminated) -> Outcome:
    """The injected init container of a plain pod ended for a reason that is never the job's."""
    said = TerminationMessage.from_text(init.message)
    reason = safe(said.reason) if said is not None else ""
    code, words, fault = _FETCH_EXITS.get(init.exit_code, (START_FAILURE, "", Fault.DISRUPTION))
    return _give_back(code, reason or words or f"its payload was not fetched: exit code {init.exit_code}", fault)


_FETCH_EXITS: Final[dict[int, tuple[str, str, Fault]]] = {
    ExitCode.BAD_ASSIGNMENT: ("bad-assignment", "the injected container refused its environment", Fault.CONFIGURATION),
    ExitCode.GIVE_BACK: ("outage", "Redis stayed away", Fault.OUTAGE),
    ExitCode.SUPERSEDED: ("superseded", "the pod lost its fence before it started", Fault.DISRUPTION),
}


def _returned(evidence: _Evidence) -> Outcome | None:
    """A plain job is done when its container says so by itself; what it returned, its sidecar says or has kept."""
    if not evidence.finished_by_itself:
        return None
    said = evidence.said
    if said is not None and said.outcome is RunnerOutcome.FAILED:
        return _failed("bad-result", safe(said.reason))
    if said is not None and said.outcome is RunnerOutcome.COMPLETED and said.has_value:
        return _completed(said)
    return Outcome(Verdict.COMPLETED, "completed", "completed")


def _plain_overran(evidence: _Evidence) -> Outcome | None:
    # The kubelet counts from when it took the pod: a slow image is not the job's doing.
    if evidence.pod.reason == "DeadlineExceeded" and evidence.ran_s < evidence.settings.timeout_s:
        return _give_back("slow-start", "its images took so long to come that its time was over too early")
    if evidence.pod.reason == "DeadlineExceeded" or evidence.deadline:
        return _failed("timeout", f"timed out after {evidence.settings.timeout_s:g} s")
    return None


def _plain_exited(evidence: _Evidence) -> Outcome:
    """None of the user's exit codes is ours: 64, 75 or 143 without anybody's doing is a failure like any other."""
    why = _why(evidence)
    if evidence.code == ExitCode.OUT_OF_MEMORY:
        return _failed("killed", f"it was killed (SIGKILL), not for its memory limit{why}")
    return _failed("exit-code", f"it exited with code {evidence.code}{why}")


def _why(evidence: _Evidence) -> str:
    """Quote what it wrote last, to /dev/termination-log or else to its log."""
    lines = [line.strip() for line in evidence.end.message.splitlines() if line.strip()]
    return f": {safe(lines[-1], 200)}" if lines else ""


def _bad_assignment(_: _Evidence) -> Outcome:
    return _give_back("bad-assignment", "the runner refused its environment", Fault.CONFIGURATION)


def _exited(evidence: _Evidence) -> Outcome:
    known = _EXITS.get(evidence.code)
    outcome = known(evidence) if known else _failed("exit-code", f"it exited with code {evidence.code}")
    if evidence.end.reason == "OOMKilled":
        return replace(outcome, sentence=f"{outcome.sentence} (a process of its pod had been killed for memory)")
    return outcome


_Rule = Callable[[_Evidence], Outcome | None]
_RULES: Final[tuple[_Rule, ...]] = (
    _said, _out_of_memory, _overran, _over_disk, _permanent, _disrupted, _container_lost, _cannot_start, _never_ran,
    _exited,
)  # fmt: skip

_PLAIN_RULES: Final[tuple[_Rule, ...]] = (
    _returned, _out_of_memory, _plain_overran, _over_disk, _permanent, _disrupted, _container_lost, _cannot_start,
    _never_ran, _plain_exited,
)  # fmt: skip

_EXITS: Final[dict[int, Callable[[_Evidence], Outcome]]] = {
    ExitCode.COMPLETED: lambda _: no_value(),
    ExitCode.FAILED: lambda _: _failed("failed", "it failed and did not say why"),
    ExitCode.BAD_ASSIGNMENT: _bad_assignment,
    ExitCode.SOFTWARE: lambda _: _give_back("runner-broke", "the runner itself broke; its log says where"),
    ExitCode.GIVE_BACK: lambda _: _give_back("outage", "Redis or the graph store stayed away", Fault.OUTAGE),
    ExitCode.SUPERSEDED: lambda _: _give_back("superseded", "the runner lost its fence"),
    ExitCode.OUT_OF_MEMORY: lambda _: _failed("killed", "it was killed (SIGKILL), not for its memory limit"),
    ExitCode.TERMINATED: lambda _: _give_back("terminated", "it was told to end (SIGTERM)"),
}


def _conditions(seen: KubeJobSeen) -> str:
    told = [f"{condition.reason}: {condition.message}" for condition in seen.conditions if condition.reason]
    return f" ({safe('; '.join(told), 200)})" if told else ""


def _quoted(message: str) -> str:
    return f" ({safe(message, 200)})" if message else ""


def over(seen: KubeJobSeen) -> bool:
    """Whether nothing of the attempt runs or will: what capacity and records go by, not what a fence goes by."""
    if seen.pods:
        return all(pod.ended or pod.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED) for pod in seen.pods)
    return any(condition.type in ("Failed", "Complete") for condition in seen.conditions)


def told(seen: KubeJobSeen) -> tuple[str, str]:
    """Return what the runner said last: its outcome and a reason; empty texts when it said nothing."""
    ends = [pod.terminated for pod in seen.pods if pod.terminated is not None]
    said = TerminationMessage.from_text(ends[-1].message) if ends else None
    return (said.outcome.value, safe(said.reason)) if said is not None else ("", "")
