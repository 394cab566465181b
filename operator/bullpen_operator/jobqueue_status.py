"""What the operator says of a JobQueue: its status as the API server keeps it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from bullpen_operator.fields import quantity
from bullpen_operator.sizes import Sizes

SENTENCE_LIMIT: Final = 1024


class _Status(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class StatusCondition(_Status):
    """One condition, as Kubernetes writes them everywhere."""

    type: str
    """`Ready`: jobs are being claimed. `Degraded`: something keeps them from it; the message says what.

    `TemplateAccepted`: the API server takes the pods of every job type. `Conflict`: another JobQueue serves the queue.
    """
    status: str
    """`True`, `False` or `Unknown`."""
    reason: str
    message: str = ""
    last_transition_time: str
    observed_generation: int = 0


class LearnedSize(_Status):
    """What attempts of a job type proved to need: its next ones begin with it."""

    job_type: str
    memory: str | None = None
    ephemeral_storage: str | None = None


class JobQueueStatus(_Status):
    """The queue in numbers, and whether it is served."""

    observed_generation: int = 0
    waiting: int = 0
    prioritized: int = 0
    delayed: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    oldest_waiting: str | None = None
    """When the oldest of the jobs that come next was added; left out while none waits."""
    give_backs: int = 0
    """Attempts that were given back: the cluster's doing, or the configuration's; no job paid for them."""
    pods_pending: int = 0
    """Attempts whose container has not started yet."""
    pods_running: int = 0
    sizes: tuple[LearnedSize, ...] = ()
    """Limits that were raised after kills for memory or disk."""
    blocked_by: str = ""
    """Why no job is claimed, or why pods don't start; one sentence, empty when all is well."""
    conditions: tuple[StatusCondition, ...] = ()


def condition(kind: str, true: bool, reason: str, message: str, *, now: str, generation: int = 0) -> StatusCondition:
    """Make a condition; `keep_times` then puts the time of its last transition."""
    return StatusCondition(
        type=kind,
        status="True" if true else "False",
        reason=reason,
        message=message[:SENTENCE_LIMIT],
        last_transition_time=now,
        observed_generation=generation,
    )


def keep_times(new: Sequence[StatusCondition], old: Sequence[Mapping[str, Any]]) -> tuple[StatusCondition, ...]:
    """Keep the time of the last transition where the status of a condition did not change."""
    before = {(one.get("type"), one.get("status")): one.get("lastTransitionTime") for one in old}
    return tuple(
        one.model_copy(update={"last_transition_time": before.get((one.type, one.status)) or one.last_transition_time})
        for one in new
    )


def learned(status: Mapping[str, Any]) -> dict[str, Sizes]:
    """Read what an operator before this one wrote of what job types need; what is not ours counts as nothing."""
    try:
        sizes = JobQueueStatus.model_validate({"sizes": status.get("sizes") or ()}).sizes
        return {one.job_type: Sizes(_bytes(one.memory), _bytes(one.ephemeral_storage)) for one in sizes}
    except ValueError:
        return {}


def _bytes(text: str | None) -> int:
    return int(quantity(text)) if text else 0
