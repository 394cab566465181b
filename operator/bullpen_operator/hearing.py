"""Passes changes of attempts to their JobQueue: many attempts at once, one attempt in order, only its newest state."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from bullpen_operator.seen import KubeJobSeen
from bullpen_operator.watch import Watch

Work = Callable[[], Coroutine[Any, Any, None]]
Spawn = Callable[[Work], None]


class Hearing:
    """Between a launcher's stream and the watches that act on it, so that a slow answer holds up one attempt only."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._newest: dict[str, KubeJobSeen] = {}
        self._busy: set[str] = set()

    def heard(self, watch: Watch, seen: KubeJobSeen) -> None:
        """Pass *seen* on, at once or after what is being done about the same attempt."""
        token = seen.attempt.token
        self._newest[token] = seen
        if token not in self._busy:
            self._busy.add(token)
            self._spawn(functools.partial(self._pass_on, watch, token))

    async def _pass_on(self, watch: Watch, token: str) -> None:
        try:
            while (seen := self._newest.pop(token, None)) is not None:
                await watch.heard(seen)
        finally:
            self._busy.discard(token)
            self._newest.pop(token, None)
