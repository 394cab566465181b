"""The Lua: BullMQ's own scripts as the build hook laid them down, and three of ours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "lua"
OWN: Final = frozenset({"hold", "cancel", "turn"})
"""Scripts that are not BullMQ's."""


@dataclass(frozen=True, slots=True)
class Source:
    """A script's text and the digest by which the server knows it."""

    text: str
    sha1: str


@cache
def source(name: str) -> Source:
    """Read script *name* (`moveToActive-11`, `hold`); read once a process."""
    path = (FOLDER if name in OWN else FOLDER / "upstream") / f"{name}.lua"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"{path.name} is missing: install Bullpen from its wheel, or `uv sync` in a work tree"
        raise RuntimeError(message) from None
    return Source(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
