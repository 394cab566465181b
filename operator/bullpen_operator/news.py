"""Which changes of a JobQueue's status are worth a Kubernetes Event. Pure.

What is said is kept by topic, so that nothing is said twice in a row. A new operator begins with what the status says
that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

NORMAL: Final = "Normal"
WARNING: Final = "Warning"

Status = Mapping[str, Any]
"""A status as JSON."""


@dataclass(frozen=True, slots=True)
class News:
    """One Event: its type, a reason in CamelCase and a sentence."""

    type: str
    reason: str
    message: str


Said = Mapping[str, News | None]
"""Topic -> what was said of it last; None: that it is over."""


def said_by(status: Status) -> dict[str, News | None]:
    """Put a status in words, by topic; a topic on which there is nothing to say now is left out."""
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    found = {"service": _service(conditions), "template": _template(conditions), "sizes": _sizes(status)}
    said = {topic: news for topic, news in found.items() if news is not None}
    return {**said, "pods": _pods(status, conditions)}


def news(before: Said, status: Status) -> tuple[list[News], Said]:
    """Return what is new in *status*, and all that has been said then."""
    now = said_by(status)
    fresh = [one for topic, one in now.items() if one is not None and one != before.get(topic)]
    return fresh, {**before, **now}


def _service(conditions: Mapping[Any, Status]) -> News | None:
    ready = conditions.get("Ready")
    if ready is None or ready.get("reason") == "Starting":
        return None
    reason, message = str(ready.get("reason")), str(ready.get("message") or "")
    if _true(conditions.get("Degraded")):
        return News(WARNING, reason, message)
    return News(NORMAL, reason, message or "jobs are claimed")


def _template(conditions: Mapping[Any, Status]) -> News | None:
    accepted = conditions.get("TemplateAccepted")
    if accepted is None:
        return None
    if _true(accepted):
        return News(NORMAL, "TemplateAccepted", "the API server takes the pods of every job type")
    return News(WARNING, "TemplateRefused", str(accepted.get("message") or ""))


def _pods(status: Status, conditions: Mapping[Any, Status]) -> News | None:
    """What keeps pods from starting while jobs are claimed: the rest is said by conditions."""
    blocked = str(status.get("blockedBy") or "")
    told = {str(one.get("message") or "") for one in conditions.values()}
    return News(WARNING, "PodsWait", blocked) if blocked and blocked not in told else None


def _sizes(status: Status) -> News | None:
    text = "; ".join(_grown(status.get("sizes") or ()))
    return News(NORMAL, "LimitsRaised", text) if text else None


def _grown(sizes: Any) -> Iterator[str]:
    for one in sizes:
        for field, what in (("memory", "memory"), ("ephemeralStorage", "disk")):
            if one.get(field):
                yield f"job type {one.get('jobType')!r} begins with {one[field]} of {what}"


def _true(condition: Status | None) -> bool:
    return condition is not None and condition.get("status") == "True"
