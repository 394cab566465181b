"""What the end of a pod means: rules in order, the first that applies decides.

Evidence, strongest first: the runner's own last words, how the container ended, what Kubernetes did to the pod, what
it says of the KubeJob.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from bullpen_operator.escaping import safe
from bullpen_operator.evidence import REFUSALS, Evidence
from bullpen_operator.outcome import START_FAILURE, STORE_AWAY, Fault, Outcome, Verdict, failed, give_back, no_value
from bullpen_operator.seen import KubeJobSeen, PodSeen, Terminated
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage


def ended(pod: PodSeen, seen: KubeJobSeen) -> Outcome:
    """Judge the end of a pod."""
    evidence = Evidence(pod, seen)
    rules = _PLAIN_RULES if seen.attempt.settings.plain else _RULES
    return next(outcome for rule in rules if (outcome := rule(evidence)) is not None)


def _said(evidence: Evidence) -> Outcome | None:
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


def _out_of_memory(evidence: Evidence) -> Outcome | None:
    # Both, for each alone is wrong at times: the reason comes from a counter that also counts other processes.
    if evidence.end.reason == "OOMKilled" and evidence.code == ExitCode.OUT_OF_MEMORY:
        return failed("oom", "out of memory: the container reached its memory limit (OOMKilled)")
    return None


def _overran(evidence: Evidence) -> Outcome | None:
    if not evidence.deadline:
        return None
    outcome = failed("timeout", "it ran longer than its timeout (DeadlineExceeded)")
    return replace(outcome, verdict=Verdict.UNRECOVERABLE) if evidence.final_timeout else outcome


def _over_disk(evidence: Evidence) -> Outcome | None:
    # A node under pressure sets DisruptionTarget when it evicts; a pod over its own limit gets none.
    if evidence.pod.reason == "Evicted" and not evidence.pod.disruption:
        return failed("disk", f"it used more disk than its limit{_quoted(evidence.pod.message)}")
    return None


def _permanent(evidence: Evidence) -> Outcome | None:
    if evidence.permanent and not (evidence.killed and evidence.disrupted):
        why = _why(evidence) if evidence.settings.plain else ""
        sentence = f"it exited with code {evidence.code}, which the job type lists as permanent{why}"
        return Outcome(Verdict.UNRECOVERABLE, "permanent", sentence, Fault.JOB)
    return None


def _disrupted(evidence: Evidence) -> Outcome | None:
    if not evidence.disrupted:
        return None
    code = "refused" if evidence.pod.reason in REFUSALS else "disrupted"
    return give_back(code, f"the cluster ended it: {safe(evidence.disrupted, 80)}{_quoted(evidence.pod.message)}")


def _container_lost(evidence: Evidence) -> Outcome | None:
    if evidence.end.reason == "ContainerStatusUnknown":
        return give_back("container-lost", "its container vanished and nobody knows how it ended")
    return None


def _cannot_start(evidence: Evidence) -> Outcome | None:
    if evidence.end.reason in ("StartError", "ContainerCannotRun"):
        sentence = f"its container can't be started{_quoted(evidence.end.message)}"
        return give_back("cannot-start", sentence, Fault.CONFIGURATION)
    return None


def _never_ran(evidence: Evidence) -> Outcome | None:
    if evidence.pod.terminated is not None:
        return None
    init = evidence.pod.init_terminated
    if init is not None and evidence.pod.fetch_failed:
        return _fetch_failed(init)
    if init is not None:
        return give_back(START_FAILURE, f"an init container exited with code {init.exit_code}{_quoted(init.message)}")
    return give_back(START_FAILURE, f"its pod failed: {safe(evidence.pod.reason or 'no reason given', 80)}")


def _fetch_failed(init: Terminated) -> Outcome:
    """The injected init container of a plain pod ended for a reason that is never the job's."""
    said = TerminationMessage.from_text(init.message)
    reason = safe(said.reason) if said is not None else ""
    code, words, fault = _FETCH_EXITS.get(init.exit_code, (START_FAILURE, "", Fault.DISRUPTION))
    return give_back(code, reason or words or f"its payload was not fetched: exit code {init.exit_code}", fault)


_FETCH_EXITS: Final[dict[int, tuple[str, str, Fault]]] = {
    ExitCode.BAD_ASSIGNMENT: ("bad-assignment", "the injected container refused its environment", Fault.CONFIGURATION),
    ExitCode.GIVE_BACK: ("outage", "Redis stayed away", Fault.OUTAGE),
    ExitCode.SUPERSEDED: ("superseded", "the pod lost its fence before it started", Fault.DISRUPTION),
}


def _returned(evidence: Evidence) -> Outcome | None:
    """A plain job is done when its container says so by itself; what it returned, its sidecar says or has kept."""
    if not evidence.finished_by_itself:
        return None
    said = evidence.said
    if said is not None and said.outcome is RunnerOutcome.FAILED:
        return failed("bad-result", safe(said.reason))
    if said is not None and said.outcome is RunnerOutcome.COMPLETED and said.has_value:
        return _completed(said)
    return Outcome(Verdict.COMPLETED, "completed", "completed")


def _plain_overran(evidence: Evidence) -> Outcome | None:
    # The kubelet counts from when it took the pod: a slow image is not the job's doing.
    if evidence.pod.reason == "DeadlineExceeded" and evidence.ran_s < evidence.settings.timeout_s:
        return give_back("slow-start", "its images took so long to come that its time was over too early")
    if evidence.pod.reason == "DeadlineExceeded" or evidence.deadline:
        return failed("timeout", f"timed out after {evidence.settings.timeout_s:g} s")
    return None


def _plain_exited(evidence: Evidence) -> Outcome:
    """None of the user's exit codes is ours: 64, 75 or 143 without anybody's doing is a failure like any other."""
    why = _why(evidence)
    if evidence.code == ExitCode.OUT_OF_MEMORY:
        return failed("killed", f"it was killed (SIGKILL), not for its memory limit{why}")
    return failed("exit-code", f"it exited with code {evidence.code}{why}")


def _why(evidence: Evidence) -> str:
    """Quote what it wrote last, to /dev/termination-log or else to its log."""
    lines = [line.strip() for line in evidence.end.message.splitlines() if line.strip()]
    return f": {safe(lines[-1], 200)}" if lines else ""


def _bad_assignment(_: Evidence) -> Outcome:
    return give_back("bad-assignment", "the runner refused its environment", Fault.CONFIGURATION)


def _exited(evidence: Evidence) -> Outcome:
    known = _EXITS.get(evidence.code)
    outcome = known(evidence) if known else failed("exit-code", f"it exited with code {evidence.code}")
    if evidence.end.reason == "OOMKilled":
        return replace(outcome, sentence=f"{outcome.sentence} (a process of its pod had been killed for memory)")
    return outcome


_Rule = Callable[[Evidence], Outcome | None]
_RULES: Final[tuple[_Rule, ...]] = (
    _said, _out_of_memory, _overran, _over_disk, _permanent, _disrupted, _container_lost, _cannot_start, _never_ran,
    _exited,
)  # fmt: skip

_PLAIN_RULES: Final[tuple[_Rule, ...]] = (
    _returned, _out_of_memory, _plain_overran, _over_disk, _permanent, _disrupted, _container_lost, _cannot_start,
    _never_ran, _plain_exited,
)  # fmt: skip

_EXITS: Final[dict[int, Callable[[Evidence], Outcome]]] = {
    ExitCode.COMPLETED: lambda _: no_value(),
    ExitCode.FAILED: lambda _: failed("failed", "it failed and did not say why"),
    ExitCode.BAD_ASSIGNMENT: _bad_assignment,
    ExitCode.SOFTWARE: lambda _: give_back("runner-broke", "the runner itself broke; its log says where"),
    ExitCode.GIVE_BACK: lambda _: give_back("outage", "Redis or the graph store stayed away", Fault.OUTAGE),
    ExitCode.SUPERSEDED: lambda _: give_back("superseded", "the runner lost its fence"),
    ExitCode.OUT_OF_MEMORY: lambda _: failed("killed", "it was killed (SIGKILL), not for its memory limit"),
    ExitCode.TERMINATED: lambda _: give_back("terminated", "it was told to end (SIGTERM)"),
}


def _quoted(message: str) -> str:
    return f" ({safe(message, 200)})" if message else ""
