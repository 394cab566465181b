"""What the fields of a JobQueue are made of: durations, quantities, names. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: Final = {
    None: 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def parse_duration(value: object) -> object:
    """Read `1h30m`, `45s`, `500ms`; raises ValueError for other text and leaves other types to pydantic."""
    if not isinstance(value, str):
        if isinstance(value, timedelta):
            return value
        raise ValueError(f"expected a duration such as 30s, 10m or 1h30m, got {value!r}")
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise ValueError(f"expected a duration such as 30s, 10m or 1h30m, got {value[:40]!r}")
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def quantity(text: str) -> float:
    """Value of a Kubernetes quantity (`500m` -> 0.5, `64Mi` -> 67108864); raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as 500m, 2 or 512Mi, got {text[:40]!r}")
    return float(match[1]) * _FACTORS[match[2]]


def _checked_size(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"expected a quantity such as 512Mi, got {value!r}")
    if quantity(value) <= 0:
        raise ValueError(f"expected a quantity above 0, got {value!r}")
    return value


def _checked_cpu(value: object) -> object:
    return _checked_size(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]
Size = Annotated[str, BeforeValidator(_checked_size), WithJsonSchema({"type": "string", "format": "size"})]
"""Bytes, as text: the API server can bound the cost of checking a text, and of nothing that may be a number too."""
Cpu = Annotated[str, BeforeValidator(_checked_cpu), WithJsonSchema({"type": "string", "format": "cpu"})]
"""Cores, as text or as a whole number."""
NonEmpty = Annotated[str, Field(min_length=1, max_length=253)]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class Model(BaseModel):
    """A part of a spec: camelCase outside, nothing unknown, never changed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds."""
    return duration // timedelta(milliseconds=1)
