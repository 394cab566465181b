"""How much memory and disk an attempt gets after an earlier one had too little. Pure.

What a job needed is kept twice: in the job itself (`sizes` in hash field `bullpen`) for its own next attempt, and by
job type for the next jobs of that type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bullpen_operator.fields import quantity
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.resources import Limits, Resources
from bullpen_operator.seen import Allowance, AttemptSettings

MEBIBYTE: Final = 2**20
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that proved to be needed; 0: nothing is known."""

    memory: int = 0
    disk: int = 0

    @classmethod
    def of(cls, body: Any) -> Sizes:
        """Read what `to_json` wrote; what is not ours counts as nothing."""
        fields = body if isinstance(body, Mapping) else {}
        return cls(_bytes(fields.get("memory")), _bytes(fields.get("disk")))

    def to_json(self) -> dict[str, int]:
        """Render without what is not known."""
        return {name: size for name, size in (("memory", self.memory), ("disk", self.disk)) if size}

    def larger(self, other: Sizes) -> Sizes:
        """Return the larger of each."""
        return Sizes(max(self.memory, other.memory), max(self.disk, other.disk))


def _bytes(value: Any) -> int:
    return value if type(value) is int and 0 < value < _LARGEST else 0


def sized(settings: AttemptSettings, sizes: Sizes) -> AttemptSettings:
    """Give an attempt what is known to be needed, as far as its job type lets it grow."""
    return replace(settings, memory=_raised(settings.memory, sizes.memory), disk=_raised(settings.disk, sizes.disk))


def _raised(allowance: Allowance, size: int) -> Allowance:
    return replace(allowance, limit=min(max(allowance.limit, size), allowance.max)) if allowance.max else allowance


def escalated(outcome: Outcome, settings: AttemptSettings) -> tuple[Outcome, Sizes]:
    """Decide what an end for want of memory or disk means for the next attempt: more of it, or the job fails for good.

    Any other end stays as it is, and nothing is learned from it.
    """
    if outcome.verdict is not Verdict.FAILED or outcome.code not in _WANTS:
        return outcome, Sizes()
    field, name, what = _WANTS[outcome.code]
    allowance: Allowance = getattr(settings, field)
    if not allowance.max or not allowance.limit:
        return outcome, Sizes()
    if allowance.limit >= allowance.max:
        sentence = f"{outcome.sentence}; {text_of(allowance.max)} is the most that {name}.max allows: raise it"
        return Outcome(Verdict.UNRECOVERABLE, f"{outcome.code}-at-max", sentence, Fault.JOB), Sizes()
    size = _next(allowance)
    sentence = f"{outcome.sentence}; it had {text_of(allowance.limit)}, the next gets {text_of(size)} of {what}"
    return replace(outcome, sentence=sentence), Sizes(**{field: size})


_WANTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "oom": ("memory", "onOutOfMemory", "memory"),
    "disk": ("disk", "onOutOfDisk", "disk"),
}
"""Code of an outcome -> what grows, the field of the JobQueue that says how, and its name for people."""


def _next(allowance: Allowance) -> int:
    wanted = math.ceil(allowance.limit * allowance.factor / MEBIBYTE) * MEBIBYTE
    return min(wanted, allowance.max)


def text_of(size: int) -> str:
    """Render bytes as a Kubernetes quantity."""
    return f"{size // MEBIBYTE}Mi" if size % MEBIBYTE == 0 else str(size)


def resources_of(resources: Resources, settings: AttemptSettings) -> dict[str, Any]:
    """Render a container's resources: as configured, with what has grown; a request grows as its limit does."""
    body: dict[str, Any] = resources.model_dump(by_alias=True, exclude_none=True)
    for kind, allowance in (("memory", settings.memory), ("ephemeral-storage", settings.disk)):
        configured = _amount(resources.limits, kind)
        if allowance.max and allowance.limit > configured > 0:
            body["limits"][kind] = text_of(allowance.limit)
            request = _amount(resources.requests, kind)
            if request:
                body["requests"][kind] = text_of(_scaled(request, allowance.limit, configured))
    return body


def _amount(limits: Limits, kind: str) -> int:
    text = limits.of(kind)
    return int(quantity(text)) if text else 0


def _scaled(request: int, limit: int, configured: int) -> int:
    return min(math.ceil(request * limit / configured / MEBIBYTE) * MEBIBYTE, limit)
