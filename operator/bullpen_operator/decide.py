"""DESIGN's decision table of the audit: what Redis and the launcher say of one attempt -> what is to be done. Pure.

The same table serves the watch: an attempt that was heard to have ended is one row of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from bullpen_operator.classify import classify, lost, over, timed_out
from bullpen_operator.outcome import SPEC_CHANGED, Outcome, Verdict, cancelled, changed
from bullpen_operator.seen import Attempt, KubeJobSeen, PodPhase, PodSeen
from bullpen_protocol.assignment import RENEWALS_PER_LOCK
from bullpen_protocol.bullmq import Location

HELD_S: Final = 60.0
"""A pod that still runs so long after its main container ended is held by a container of the user's own."""
ASTRAY_RENEWALS: Final = 2
"""Renewals after which a runner must have noticed that its job is no longer its own."""


ASTRAY: Final = "astray"
"""What lost its job, and does not end by itself."""


class Do(StrEnum):
    """What is to be done about an attempt."""

    NOTHING = "nothing"
    HOLD = "hold"
    """Renew or re-own the lock with the value of `pb`."""
    LAUNCH = "launch"
    """Do again what follows a claim."""
    SETTLE = "settle"
    DELETE = "delete"
    """End it and remove its KubeJob."""
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Action:
    """One row's answer. `drift` names the difference; it is empty in the rows marked (ok)."""

    do: Do
    drift: str = ""
    outcome: Outcome | None = None
    delete: bool = False
    """After settling, delete the KubeJob: something of it may still be there."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Time, as far as the table needs it."""

    now: datetime
    lock_absent_s: float = 0.0
    """For how long the lock has been seen absent."""
    astray_s: float = 0.0
    """For how long the attempt has been seen alive while its job was not its own."""
    outdated: bool = False
    """The job type was changed since it was launched."""


OK: Final = Action(Do.NOTHING)


def owns(token: str, location: Location) -> bool:
    """Whether the job is in the hands of the attempt *token*: active, its durable fence, nobody else's lock.

    A worker without a name leaves our old `pb` in a job that it claims. Should it die, the job is not the old attempt's
    again, whose end must not be counted twice: each move of ours leaves its fence in field `bullpen`, which tells.
    """
    if not location.active or location.lock not in (None, token, location.pb) or stale(location):
        return False
    return location.pb == token or bound_uid(token, location) != ""


def stale(location: Location) -> bool:
    """Whether the attempt that `pb` names has moved the job already: whoever has it now left no name."""
    return location.pb is not None and location.moved_by(location.pb)


def bound_uid(token: str, location: Location) -> str:
    """Uid of the pod that has bound the attempt; empty: none has."""
    owner, _, uid = (location.pb or "").partition("#")
    return uid if owner == token else ""


def decide(attempt: Attempt, location: Location, seen: KubeJobSeen | None, moment: Moment) -> Action:
    """Find *attempt*'s row of the table.

    Attempts of other installations, and jobs of other claimers, never get here.
    """
    token = attempt.token
    if not owns(token, location):
        return _astray(attempt, seen, moment)
    bound = location.pb != token
    action = _bound(attempt, location, seen, moment) if bound else _unbound(attempt, seen, moment)
    return _cancelled(action, seen) if location.cancel == token else action


def _unbound(attempt: Attempt, seen: KubeJobSeen | None, moment: Moment) -> Action:
    if seen is None:
        return Action(Do.LAUNCH, "not-launched")
    outcome = classify(seen, None, moment.now)
    if outcome.verdict is Verdict.WAITING and moment.outdated:
        return Action(Do.SETTLE, SPEC_CHANGED, changed(), delete=True)
    if outcome.verdict not in (Verdict.RUNNING, Verdict.WAITING):
        return Action(Do.SETTLE, "start-failure", outcome, delete=not over(seen))
    age_s = (moment.now - seen.created_at).total_seconds()
    if age_s >= attempt.settings.start_timeout_s and not seen.suspended:
        return Action(Do.SETTLE, "start-timeout", timed_out(outcome), delete=True)
    return Action(Do.HOLD)


def _bound(attempt: Attempt, location: Location, seen: KubeJobSeen | None, moment: Moment) -> Action:
    uid = bound_uid(attempt.token, location)
    pod = seen.pod(uid) if seen is not None else None
    if seen is not None and pod is not None and pod.ended:
        return _ended(classify(seen, uid, moment.now))
    if seen is not None and pod is not None and attempt.settings.plain and _reachable(pod):
        action = _held(pod, moment) if pod.started else _starting(attempt, location, seen, moment)
        if action is not None:
            return action
    if pod is not None and _reachable(pod) and (location.lock is not None or _runs(pod)):
        return OK if location.lock is not None else Action(Do.HOLD)
    return _unreachable(attempt, location, seen, moment)


def _starting(attempt: Attempt, location: Location, seen: KubeJobSeen, moment: Moment) -> Action:
    """A plain pod binds before its main container starts: that may still fail, or take too long."""
    outcome = classify(seen, bound_uid(attempt.token, location), moment.now)
    age_s = (moment.now - seen.created_at).total_seconds()
    # Unconfirmed: it might start at this very moment, so the next one comes when this one is surely gone.
    if outcome.verdict is Verdict.GIVE_BACK:
        return Action(Do.SETTLE, "start-failure", replace(outcome, confirmed=False), delete=True)
    if age_s >= attempt.settings.start_timeout_s:
        return Action(Do.SETTLE, "start-timeout", replace(timed_out(outcome), confirmed=False), delete=True)
    return OK if location.lock is not None else Action(Do.HOLD)


def _held(pod: PodSeen, moment: Moment) -> Action | None:
    """Its main container ended, but not its pod: the sidecar is told to speak only when every other container ended."""
    finished = pod.terminated.finished_at if pod.terminated is not None else None
    if finished is None or (moment.now - finished).total_seconds() < HELD_S:
        return None
    return Action(Do.DELETE, "held")


def _ended(outcome: Outcome) -> Action:
    return Action(Do.SETTLE, "not-replayed" if outcome.verdict is Verdict.COMPLETED else "not-settled", outcome)


def _unreachable(attempt: Attempt, location: Location, seen: KubeJobSeen | None, moment: Moment) -> Action:
    uid = bound_uid(attempt.token, location)
    lapsed = location.lock is None and moment.lock_absent_s >= attempt.settings.graph_timeout_s
    if lapsed and not (attempt.settings.wait_for_unreachable and _may_run(seen, uid)):
        return Action(Do.SETTLE, "lost", lost(seen, uid), delete=seen is not None)
    if seen is not None and seen.pods and seen.pod(uid) is None and not seen.deleting:
        return Action(Do.DELETE, "another-pod")
    pod = seen.pod(uid) if seen is not None else None
    if pod is not None and location.lock is not None and pod.deleting and pod.node_ready is not False:
        return OK  # ending as it was told to, and still renewing
    return Action(Do.NOTHING, "unreachable")


def _may_run(seen: KubeJobSeen | None, uid: str) -> bool:
    """Whether the main container of a pod may run on where nobody sees it; no fence keeps it from its side effects."""
    pod = seen.pod(uid) if seen is not None else None
    return not (pod is None or pod.terminated is not None or pod.node_gone or pod.disrupted_by_pod_gc)


def _reachable(pod: PodSeen) -> bool:
    gone = pod.node_gone or pod.node_ready is False or pod.deleting or bool(pod.disruption)
    return not gone and pod.phase in (PodPhase.PENDING, PodPhase.RUNNING)


def _runs(pod: PodSeen) -> bool:
    """Whether the operator may keep the lock in the runner's stead: the strict reading, for it hides a dead runner."""
    return pod.phase is PodPhase.RUNNING and pod.node_ready is True


def _cancelled(action: Action, seen: KubeJobSeen | None) -> Action:
    """Bend *action* to a cancel: end the attempt; where it has ended, fail it unless its results are stored already."""
    if action.do is Do.SETTLE and action.outcome is not None:
        if action.outcome.verdict is Verdict.COMPLETED:
            return action
        return Action(Do.SETTLE, "cancel", cancelled(), action.delete)
    if action.do is Do.LAUNCH:
        return Action(Do.SETTLE, "cancel", cancelled())
    if seen is not None and not seen.deleting:
        return Action(Do.DELETE, "cancel")
    # Being deleted. A lock is not kept for it: once absent for long enough that is its end.
    return Action(Do.NOTHING, "cancel")


def _astray(attempt: Attempt, seen: KubeJobSeen | None, moment: Moment) -> Action:
    if seen is None:
        return OK
    finished = over(seen)
    if finished and not seen.recorded:
        return Action(Do.RECORD, "not-recorded")
    patience_s = ASTRAY_RENEWALS * attempt.settings.lock_ms / 1000 / RENEWALS_PER_LOCK
    if lingers(seen) and not seen.deleting and moment.astray_s >= patience_s:
        return Action(Do.DELETE, ASTRAY)
    return OK


def lingers(seen: KubeJobSeen) -> bool:
    """Whether something of it still runs or may start: also a sidecar that holds a pod whose main container ended."""
    return not over(seen) or any(pod.phase is PodPhase.RUNNING for pod in seen.pods)
