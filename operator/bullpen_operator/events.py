"""What the operator tells its surroundings: one event per transition, for logs, tables, metrics and status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EventKind(StrEnum):
    """A transition."""

    CLAIMED = "claimed"
    LAUNCHED = "launched"
    STARTED = "started"
    """The main container (the process) runs."""
    BOUND = "bound"
    """A pod has taken its job and renews the lock; heard of with the next renewal."""
    WAITING = "waiting"
    """It can't start yet; said once per reason."""
    SETTLED = "settled"
    """The operator finished the attempt in its runner's stead: `outcome` says as what."""
    GIVEN_BACK = "given back"
    ENDED = "ended"
    """The runner finished the job itself and its pod ended: `outcome` is what it said last (`completed` ...)."""
    DELETED = "deleted"
    """The operator ended an attempt: it was cancelled, or belongs to nobody."""
    DEGRADED = "degraded"
    """Claiming for the JobQueue stopped; the sentence says why."""
    RECOVERED = "recovered"
    DRIFT = "drift"
    """The audit found a difference; `code` is its kind."""
    AWAY = "away"
    """Redis or the launcher can't be asked; `code` says which."""
    BACK = "back"


ENDS: Final = frozenset({EventKind.SETTLED, EventKind.GIVEN_BACK, EventKind.ENDED})
"""One of these is told of every attempt, once."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition. Texts are bounded and escaped; payloads are never part of it."""

    kind: EventKind
    jobqueue: str
    job_id: str = ""
    job_name: str = ""
    token: str = ""
    attempt: int = 0
    """Number of the attempt; 0 where it is about none."""
    log_namespace: str = ""
    """`ns` of the entry that it becomes on a log server."""
    kube_job: str = ""
    code: str = ""
    """Stable reason code (`oom`, `evicted`, `image-pull` ...)."""
    sentence: str = ""
    outcome: str = ""
    """`completed`, `failed`, `unrecoverable`, `give-back` ...; of SETTLED, GIVEN_BACK and ENDED."""


Report = Callable[[Event], None]
"""Called in the operator's event loop: must not block, must not raise."""


def all_of(*reports: Report) -> Report:
    """Tell each of them, in this order."""

    def report(event: Event) -> None:
        for one in reports:
            one(event)

    return report
