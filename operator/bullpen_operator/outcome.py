"""What an attempt can come to, and what everybody calls it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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


def give_back(code: str, sentence: str, fault: Fault = Fault.DISRUPTION) -> Outcome:
    """Judge that the job goes back, no attempt spent."""
    return Outcome(Verdict.GIVE_BACK, code, sentence, fault)


def failed(code: str, sentence: str) -> Outcome:
    """Judge that the job failed by its own doing: an attempt is spent."""
    return Outcome(Verdict.FAILED, code, sentence, Fault.JOB)


def cancelled() -> Outcome:
    """Judge an attempt that somebody asked to cancel, once it has ended."""
    return Outcome(Verdict.UNRECOVERABLE, CANCELLED, "cancelled")


def changed() -> Outcome:
    """Judge an attempt that had not started when its job type was changed."""
    sentence = "its JobQueue was changed before it started; the next attempt is made as described now"
    return give_back(SPEC_CHANGED, sentence, Fault.CONFIGURATION)


def no_value() -> Outcome:
    """Judge an attempt that completed, but of which nobody knows what it returned."""
    return give_back("no-value", "it completed, but what it returned did not arrive")
