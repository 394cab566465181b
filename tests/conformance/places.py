"""Where two JSON values or two sets of quads differ: one difference for each place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from enum import Enum
from typing import Any, Final

Place = tuple[str | int, ...]
"""Names and numbers from the root of a value; of a quad, its line."""


class Absent(Enum):
    """The value of what one of the two has not."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


def in_values(theirs: Any, ours: Any, place: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """Yield each place with what is there in both; members that only one has are ABSENT in the other."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        yield from _in_members(theirs, ours, place)
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _in_members(dict(enumerate(theirs)), dict(enumerate(ours)), place)
    elif theirs != ours or isinstance(theirs, bool) is not isinstance(ours, bool):
        yield place, theirs, ours


def _in_members(theirs: dict[Any, Any], ours: dict[Any, Any], place: Place) -> Iterator[tuple[Place, Any, Any]]:
    for name in theirs | ours:
        yield from in_values(theirs.get(name, ABSENT), ours.get(name, ABSENT), (*place, name))


def in_quads(theirs: Set[str], ours: Set[str]) -> Iterator[tuple[Place, Any, Any]]:
    """Yield each line that one of the two has; it is ABSENT in the other."""
    for line in sorted(theirs ^ ours):
        yield (line,), line if line in theirs else ABSENT, line if line in ours else ABSENT
