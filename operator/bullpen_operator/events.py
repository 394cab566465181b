"""What the operator tells its surroundings: one event per transition, for logs, tables, metrics and status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """A transition."""

    CLAIMED = "claimed"
    LAUNCHED = "launched"
    STARTED = "started"
    """The main container (the process) runs."""
    WAITING = "waiting"
    """It can't start yet; said once per reason."""
    SETTLED = "settled"
    """The operator finished the attempt: `outcome` says as what."""
    GIVEN_BACK = "given back"
    ENDED = "ended"
    """The pod ended and everything is recorded; also of attempts that their runner finished itself."""
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


@dataclass(frozen=True, slots=True)
class Event:
    """One transition. Texts are bounded and escaped; payloads are never part of it."""

    kind: EventKind
    jobqueue: str
    job_id: str = ""
    job_name: str = ""
    token: str = ""
    kube_job: str = ""
    code: str = ""
    """Stable reason code (`oom`, `evicted`, `image-pull` ...)."""
    sentence: str = ""
    outcome: str = ""
    """Verdict of a settled attempt: `completed`, `failed`, `unrecoverable`."""


Report = Callable[[Event], None]
"""Called in the operator's event loop: must not block, must not raise."""
