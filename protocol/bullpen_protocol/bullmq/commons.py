"""What jobs of all queues of a prefix have in common: turns at something that is limited, and answers they found."""

from __future__ import annotations

import hashlib
from typing import Final

from bullpen_protocol.bullmq.keys import Keys
from bullpen_protocol.bullmq.steps import Command, Operation, Script, read

ASKING_MS: Final = 120_000
"""For how long one job may look for an answer that others wait for."""
_LONGEST: Final = 160


def take_turn(keys: Keys, name: str, token: str, limit: int, longest_ms: int) -> Operation[int]:
    """Take one of *limit* turns, for *longest_ms* unless it is ended; returns 0, or how long to wait before asking."""
    waits: int = yield Script("turn", (_key(keys, "turns", name),), ("take", token, limit, longest_ms), again=True)
    return waits


def end_turn(keys: Keys, name: str, token: str, window_ms: int) -> Operation[None]:
    """Say that what the turn was taken for has happened: it is free again in *window_ms*."""
    yield Script("turn", (_key(keys, "turns", name),), ("end", token, window_ms), again=True)


def hold_off(keys: Keys, name: str, ms: int) -> Operation[None]:
    """Give nobody a turn for so long."""
    yield Script("turn", (_key(keys, "turns", name),), ("hold", ms), again=True)


def recall(keys: Keys, name: str) -> Operation[tuple[str | None, bool]]:
    """Return what was remembered, or None and whether it is for the caller to find out."""
    text: str | None = yield read("GET", _key(keys, "known", name))
    if text is not None:
        return text, False
    mine = yield Command(("SET", _key(keys, "asking", name), 1, "NX", "PX", ASKING_MS))
    return None, bool(mine)


def remember(keys: Keys, name: str, text: str | None, ms: int) -> Operation[None]:
    """Keep *text* for so long; None: it could not be found out, and somebody else may try."""
    if text is not None and ms > 0:
        yield Command(("SET", _key(keys, "known", name), text, "PX", ms), again=True)
    yield Command(("DEL", _key(keys, "asking", name)), again=True)


def _key(keys: Keys, kind: str, name: str) -> str:
    """Name a key beside those of the queues: no queue's name holds a colon, so none is called so."""
    plain = (
        name if name.isascii() and len(name) <= _LONGEST else hashlib.sha256(name.encode(errors="replace")).hexdigest()
    )
    return f"{keys.prefix}:bullpen-commons:{kind}:{plain}"
