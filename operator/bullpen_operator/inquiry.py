"""Ask why attempts don't start where nothing that is heard says so: why no pod is made, only events tell."""

from __future__ import annotations

from typing import Final

from bullpen_operator.naming import kube_job_name
from bullpen_operator.served import Lane
from bullpen_operator.slots import Slot, Stage
from bullpen_operator.waits import DULL
from bullpen_operator.watch import Watch

INTERVAL_S: Final = 5.0
PATIENCE_S: Final = 10.0
"""Of an attempt that has just been launched: most have started by then."""
AT_ONCE: Final = 3
"""Attempts asked about in a round: what holds up hundreds is mostly one thing, and it is said by each of them."""


class Inquiry:
    """Asks for one JobQueue, a few attempts a round, in turns."""

    def __init__(self, lane: Lane, watch: Watch) -> None:
        self._lane = lane
        self._watch = watch
        self._asked: dict[str, int] = {}
        self._rounds = 0

    async def round(self) -> None:
        """Look at those that were not looked at for longest; raises LauncherUnavailableError, RedisAwayError."""
        self._rounds += 1
        waiting = [slot for slot in self._lane.slots.held.values() if self._unexplained(slot)]
        self._asked = {slot.attempt.token: self._asked.get(slot.attempt.token, 0) for slot in waiting}
        for token in sorted(self._asked, key=lambda token: self._asked[token])[:AT_ONCE]:
            self._asked[token] = self._rounds
            await self._ask(self._lane.slots.held[token])

    def _unexplained(self, slot: Slot) -> bool:
        age_s = self._lane.clock.monotonic() - slot.since
        dull = slot.waiting in DULL or slot.instead_of != ""
        return slot.stage is Stage.PENDING and dull and age_s >= PATIENCE_S

    async def _ask(self, slot: Slot) -> None:
        attempt = slot.attempt
        seen = await self._lane.served.launcher.look(kube_job_name(attempt.queue, attempt.job_id, attempt.token))
        if seen is not None and attempt.token in self._lane.slots.held:
            await self._watch.heard(seen)
