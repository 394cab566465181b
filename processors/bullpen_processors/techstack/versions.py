"""Versions as products write them: 1.18.0, 1.0.1g, 7.2p2, 9.0.0-M3, 2.4.52 (Ubuntu). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeAlias

_WRITTEN: Final = re.compile(r"\d{1,20}(?:[.\-_+~]?[0-9A-Za-z]{1,40}){0,20}", re.ASCII)
_PACKAGED: Final = re.compile(
    r"[\s(\-+~.]{1,3}(?:\d{1,6}[.~+]?)?(?:ubuntu|debian|deb\d|dfsg|el\d|fc\d|amzn|alpine|centos|red\s?hat|suse|raspbian)",
    re.ASCII | re.IGNORECASE,
)
"""What a distribution adds: it may have mended what the number alone says is broken."""
_PART: Final = re.compile(r"\d{1,20}|[a-z]{1,40}", re.ASCII)
_EARLIER: Final = frozenset(
    {"alpha", "beta", "rc", "pre", "preview", "dev", "m", "milestone", "snapshot", "canary", "next", "nightly", "cr"}
)
_RELEASE: Final = frozenset({"final", "release", "ga", "stable"})

_Rank: TypeAlias = tuple[int, int, str]
_END: Final[_Rank] = (1, 0, "")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that can be compared; equal ones may be written differently (3 and 3.0)."""

    parts: tuple[_Rank, ...]
    packaged: bool = False
    """It names a distribution."""

    @classmethod
    def of(cls, text: str) -> Version | None:
        """Read the first version in *text*; None where there is no number."""
        packaged = _PACKAGED.search(text)
        found = _WRITTEN.search(text[: packaged.start()] if packaged else text) or _WRITTEN.search(text)
        if found is None:
            return None
        parts = (part for part in _PART.findall(found[0].lower()) if part not in _RELEASE)
        return cls(tuple(map(_rank, parts)), bool(packaged))

    def compare(self, other: Version) -> int:
        """Return -1, 0 or 1: before, the same, after."""
        for one, two in zip_longest(self.parts, other.parts):
            left, right = _beside(one, two), _beside(two, one)
            if left != right:
                return -1 if left < right else 1
        return 0

    def begins(self, other: Version) -> bool:
        """Tell whether this is a shorter way to write *other*, as far as one can see: 2 of 2.0.1."""
        return len(self.parts) < len(other.parts) and other.parts[: len(self.parts)] == self.parts

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before the release of its number."""
        return any(rank[0] == 0 for rank in self.parts)


def _rank(part: str) -> _Rank:
    """Order what may stand at one place: rc < nothing < a < 1. Numbers are compared as such."""
    if part.isdigit():
        return 3, int(part), ""
    return (0, 0, part) if part in _EARLIER else (2, 0, part)


def _beside(part: _Rank | None, other: _Rank | None) -> _Rank:
    """Stand in for what is missing: 0 beside a number, nothing beside a letter."""
    if part is not None:
        return part
    return (3, 0, "") if other is not None and other[0] == 3 else _END
