"""Following one job to its end: by the events of its queue, and by its state where an event is missed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bullpen_cli.telling import moment
from bullpen_operator.escaping import safe

if TYPE_CHECKING:
    from bullpen_protocol.bullmq import ConsoleQueue

BLOCK_S: Final = 5.0
"""Between two looks at the state while no event comes."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class End:
    """What became of a job: `completed`, `failed`, `gone` (removed), or `late` (it has not ended in time)."""

    state: str
    value: Any = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """Say it."""
        return {
            "completed": "it completed",
            "failed": f"it failed: {safe(self.reason)}",
            "gone": "it is gone: somebody removed it",
            "late": "it has not ended yet",
        }[self.state]

    @property
    def body(self) -> dict[str, Any]:
        """Say it to programs."""
        return {"state": self.state, "value": self.value, "reason": self.reason or None}


def follow(queue: ConsoleQueue, job_id: str, place: str, tell: Tell, timeout_s: float | None = None) -> End:
    """Wait for the end of a job, telling what happens after *place* of the event stream."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        end = _ended(queue, job_id)
        left_s = BLOCK_S if until is None else min(BLOCK_S, until - time.monotonic())
        if end is None and left_s <= 0:
            return End("late")
        # what happened up to an end is told as well
        events, place = queue.events_after(place, 1 if end is not None else max(1, int(left_s * 1000)))
        for event in events:
            if event.get("jobId") == job_id:
                told = _end_told(event)
                if told is not None:
                    return told
                if sentence := _sentence(event):
                    tell(sentence)
        if end is not None and not events:
            return end


def _ended(queue: ConsoleQueue, job_id: str) -> End | None:
    state = queue.state(job_id)
    if state not in ("completed", "failed", "unknown"):
        return None
    job = queue.load(job_id)
    if job is None:
        return End("gone")
    if state == "unknown":
        return None  # between two states
    return End(state, _value(job.returnvalue)) if state == "completed" else End(state, reason=job.failed_reason or "")


def _end_told(event: Mapping[str, str]) -> End | None:
    match event.get("event"):
        case "completed":
            return End("completed", _value(event.get("returnvalue")))
        case "failed":
            return End("failed", reason=event.get("failedReason", ""))
        case "removed":
            return End("gone")
    return None


def _sentence(event: Mapping[str, str]) -> str:
    match event.get("event"):
        case "active":
            return "active: an attempt has begun"
        case "progress":
            return f"progress: {safe(event.get('data', ''), 200)}"
        case "delayed":
            return f"delayed until {moment(_number(event.get('delay')))}"
        case "waiting" if event.get("prev") == "active":
            return "waiting: the attempt failed, another follows"
        case "stalled":
            return "stalled: whoever had it is gone"
    return ""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _value(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text
