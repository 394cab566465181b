"""A job as its hash says. Producers write what they like: whatever can't be read counts as absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_protocol.bullmq.encoding import from_json, json_object, plain
from bullpen_protocol.bullmq.keys import RESERVED_IDS

BULLPEN_FIELD: Final = "bullpen"
"""Hash field of ours, JSON: give-backs, sizes, last reason; `t` and `to`: whose token moved the job last, and where."""

CANCEL_FIELD: Final = "bullpen.cancel"
"""Hash field of ours: T of the attempt that somebody asked to cancel."""

VALUE_FIELD: Final = "bullpen.value"
"""Hash field of ours: F of an attempt and, on the next line, the value that it returned; empty once it was used."""


def kept_under(fence: str, value_json: str) -> str:
    """Render the value of a plain attempt for VALUE_FIELD: it counts only under the fence that it was kept under."""
    return f"{fence}\n{value_json}"


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `data` is raw JSON as the producer sent it; `raw` the hash itself.

    `id` is exact, even where a producer wrote bytes that are no UTF-8 (as lone surrogates, see surrogateescape).
    """

    id: str
    name: str = ""
    data: str = field(default="", repr=False)
    opts: Mapping[str, Any] = field(default_factory=dict)
    timestamp: int = 0
    delay: int = 0
    priority: int = 0
    atm: int = 0
    """Attempts made: counted when an attempt ends, not when it is given back."""
    ats: int = 0
    """Attempts started: claims of any kind."""
    stc: int = 0
    """How often it stalled, as the v5 and v6 scripts count."""
    pb: str | None = None
    """Processed by: T or F of the last attempt of ours."""
    bullpen: Mapping[str, Any] = field(default_factory=dict)
    cancel: str | None = None
    defa: str | None = None
    """A failure decided elsewhere (stalled too often, a child failed): whoever claims the job must fail it at once."""
    rjk: str | None = None
    """The scheduler or the legacy repeat that this job is an iteration of."""
    parent: Mapping[str, Any] | None = None
    processed_on: int | None = None
    finished_on: int | None = None
    returnvalue: str | None = field(default=None, repr=False)
    failed_reason: str | None = None
    stacktrace: tuple[str, ...] = field(default=(), repr=False)
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def reserved(self) -> bool:
        """Its id is also a key of the queue."""
        return self.id in RESERVED_IDS

    @property
    def attempts(self) -> int:
        """How many attempts the producer allows; 0 and 1 both mean one."""
        return number(self.opts.get("attempts"))

    def kept(self, fence: str) -> str | None:
        """Return the value, in JSON, that the attempt of *fence* kept here; None: it kept none."""
        owner, newline, value = self.raw.get(VALUE_FIELD, "").partition("\n")
        return value if newline and owner == fence else None

    @classmethod
    def from_hash(cls, job_id: str, raw: Mapping[str, str]) -> Job:
        """Read the hash of a job."""
        return cls(
            id=job_id,
            name=plain(raw.get("name", "")),
            data=plain(raw.get("data", "")),
            opts=json_object(raw.get("opts")),
            timestamp=number(raw.get("timestamp")),
            delay=number(raw.get("delay")),
            priority=number(raw.get("priority")),
            atm=number(raw.get("atm") or raw.get("attemptsMade")),
            ats=number(raw.get("ats")),
            stc=number(raw.get("stc")),
            pb=raw.get("pb"),
            bullpen=json_object(raw.get(BULLPEN_FIELD)),
            cancel=raw.get(CANCEL_FIELD),
            defa=raw.get("defa"),
            rjk=raw.get("rjk"),
            parent=json_object(raw.get("parent")) or None,
            processed_on=_time(raw.get("processedOn")),
            finished_on=_time(raw.get("finishedOn")),
            returnvalue=raw.get("returnvalue"),
            failed_reason=raw.get("failedReason"),
            stacktrace=_texts(raw.get("stacktrace")),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Location:
    """Where a job is and whose, without its data: read in one round trip, not atomically."""

    job_id: str
    exists: bool
    active: bool
    lock: str | None
    """Value of the lock, T or F; None when it ran out."""
    lock_ms: int
    """What is left of the lock; 0 without one."""
    name: str = ""
    pb: str | None = None
    bullpen: Mapping[str, Any] = field(default_factory=dict)
    cancel: str | None = None
    defa: str | None = None
    atm: int = 0
    finished_on: int | None = None

    def moved_by(self, token: str, to: str | None = None) -> bool:
        """*token*'s attempt has moved the job out of active (to *to*, a value of Finish or `given-back`).

        Only such a move writes `t` and `to`, in the same step.
        """
        return self.bullpen.get("t") == token and to in (None, self.bullpen.get("to"))


LARGEST: Final = 2**53 - 1
"""The largest whole number of JavaScript (and of Lua in Redis): what is above it counts as this."""


def number(value: Any, default: int = 0) -> int:
    """Read a whole number out of what a producer or a hash holds; *default* for anything that is none."""
    if value is None:
        return default
    if isinstance(value, str) and len(value) < 16 and value.isdecimal() and value.isascii():  # nearly always
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return default
    try:
        real = float(value)
    except (ValueError, OverflowError):
        return default
    return max(-LARGEST, min(int(real), LARGEST)) if math.isfinite(real) else default


def _time(value: str | None) -> int | None:
    return number(value) or None


def _texts(value: str | None) -> tuple[str, ...]:
    items = from_json(value, ())
    return tuple(item for item in items if isinstance(item, str)) if isinstance(items, list) else ()
