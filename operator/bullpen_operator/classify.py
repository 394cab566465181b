"""Decide what was seen of an attempt means for its job. Pure: same sight, same outcome.

Whether an attempt has ended at all is for decide.py; what the end of a pod means, for ended.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bullpen_operator.ended import ended
from bullpen_operator.escaping import safe
from bullpen_operator.outcome import START_FAILURE, Fault, Outcome, Verdict, give_back
from bullpen_operator.seen import KubeJobSeen, PodPhase, PodSeen
from bullpen_operator.waits import Wait, wait_of
from bullpen_protocol.assignment import TerminationMessage


def classify(seen: KubeJobSeen, uid: str | None, now: datetime) -> Outcome:
    """Judge the pod *uid* of *seen*; None: no pod is bound yet, so nothing but out-of-memory can be the job's fault."""
    if uid is None:
        return _unbound(seen, now)
    pod = seen.pod(uid)
    if pod is None:
        return lost(seen, uid)
    return ended(pod, seen) if pod.ended else _live(pod, seen, now)


def lost(seen: KubeJobSeen | None, uid: str) -> Outcome:
    """Judge a bound attempt of which no kubelet will tell the end, once its lock has been absent for long enough."""
    pod = seen.pod(uid) if seen is not None else None
    if seen is None or pod is None:
        return _lost("pod-gone", "its pod is gone and left no word")
    if pod.terminated is not None:
        return ended(pod, seen)  # a plain one, whose sidecar got lost after that
    if pod.node_gone or pod.disrupted_by_pod_gc:
        return _lost("node-gone", f"its node {safe(pod.node, 80)} is gone")
    if pod.node_ready is False:
        return _lost("node-unreachable", f"its node {safe(pod.node, 80)} is not ready and its lock ran out")
    return _lost("pod-unreachable", "its pod stopped renewing the lock and did not end")


def timed_out(waiting: Outcome) -> Outcome:
    """Judge an attempt that was *waiting* when its time to start was over."""
    sentence = f"did not start in time: {waiting.sentence}"
    if waiting.fault is Fault.CONFIGURATION:
        return give_back(waiting.code, sentence, Fault.CONFIGURATION)
    telling = waiting.code.startswith("unschedulable") or waiting.code in _NOT_THE_IMAGE
    return give_back(waiting.code if telling else START_FAILURE, sentence)


_NOT_THE_IMAGE: Final = frozenset({"gated", "suspended", "quota"})
"""Waits that trying another job of the same type would not tell more about."""


def _lost(code: str, sentence: str) -> Outcome:
    return Outcome(Verdict.GIVE_BACK, code, sentence, Fault.DISRUPTION, confirmed=False)


def _unbound(seen: KubeJobSeen, now: datetime) -> Outcome:
    live = next((pod for pod in seen.pods if not pod.ended), None)
    if live is not None:
        return _live(live, seen, now)
    if seen.pods:
        return _before_bind(ended(seen.pods[-1], seen))
    if any(condition.type in ("Failed", "Complete") for condition in seen.conditions):
        return give_back(START_FAILURE, f"ended without a pod{_conditions(seen)}")
    return _waiting(wait_of(None, seen, now))


def _before_bind(outcome: Outcome) -> Outcome:
    if outcome.verdict is Verdict.GIVE_BACK or outcome.code == "oom":
        return outcome
    return give_back(START_FAILURE, f"ended before it took the job: {outcome.sentence}")


def _live(pod: PodSeen, seen: KubeJobSeen, now: datetime) -> Outcome:
    if pod.started:
        return Outcome(Verdict.RUNNING, "running", "its container runs")
    return _waiting(wait_of(pod, seen, now))


def _waiting(wait: Wait) -> Outcome:
    fault = Fault.CONFIGURATION if wait.configuration else Fault.NONE
    verdict = Verdict.GIVE_BACK if wait.hopeless else Verdict.WAITING
    return Outcome(verdict, wait.code, wait.sentence, fault, instead_of=wait.instead_of)


def _conditions(seen: KubeJobSeen) -> str:
    told = [f"{condition.reason}: {condition.message}" for condition in seen.conditions if condition.reason]
    return f" ({safe('; '.join(told), 200)})" if told else ""


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
