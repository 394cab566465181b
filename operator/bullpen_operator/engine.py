"""The operator without its surroundings: dispatch, settle, audit and renewal of any number of JobQueues.

`bullpen local` and the Kubernetes operator host the same engine; only launchers and connections differ.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Final

from bullpen_operator.claiming import Claiming
from bullpen_operator.clock import SystemClock
from bullpen_operator.events import ENDS, Event, EventKind, Report
from bullpen_operator.hearing import Hearing
from bullpen_operator.loops import (
    Crew,
    EngineSettings,
    audit_loop,
    claim_loop,
    deliver_loop,
    guarded,
    hear_loop,
    inquire_loop,
    renew_loop,
)  # fmt: skip
from bullpen_operator.ports import Clock, Server
from bullpen_operator.served import Backoff, Lane, Served
from bullpen_operator.serving import Serving
from bullpen_operator.status import AttemptStatus, QueueStatus, status_of

logger = logging.getLogger(__name__)

__all__ = ["AttemptStatus", "Engine", "EngineSettings", "Event", "EventKind", "QueueStatus", "Served"]

_WARNINGS: Final = frozenset({EventKind.DEGRADED, EventKind.DRIFT, EventKind.AWAY})


class Engine:
    """Serves JobQueues until it is stopped. All methods belong to one event loop."""

    def __init__(
        self,
        *,
        report: Report | None = None,
        settings: EngineSettings | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        """Make an idle engine; *report* hears every transition (see events.Event)."""
        self._settings = settings or EngineSettings()
        self._clock = clock or SystemClock()
        self._new_id = new_id or (lambda: uuid.uuid4().hex)
        self._listener = report
        self._servings: dict[str, Serving] = {}
        self._left: list[Serving] = []
        """Removed, or replaced by a JobQueue of the same name on another queue."""
        self._claimings: dict[int, Claiming] = {}
        self._settled: dict[str, Counter[str]] = {}
        self._crew = Crew()
        self._running = False
        self._stopped, self._ended = asyncio.Event(), asyncio.Event()

    def put(self, served: Served) -> None:
        """Serve a JobQueue, or serve it as it is described now.

        A changed spec is for the next claim: running attempts keep what was frozen when they were launched. Another
        Server for the same queue must lead to the same Redis (new credentials, say).
        May be called before and while `run` runs.
        """
        serving = self._servings.get(served.name)
        if serving is not None and not _same_queue(serving.lane.served, served):
            self._leave(serving)
            serving = None
        serving = serving or self._returned(served)
        if serving is not None:
            serving.lane.describe(served)
            serving.wake.set()  # attempts that have not started are made anew
            serving.outbox.wake.set()
        serving = self._servings[served.name] = serving or self._serving(served)
        if self._running:
            self._begin(serving)
        self._poke(serving)

    def remove(self, name: str, *, drain: bool = False) -> None:
        """Claim no more for this JobQueue; it is forgotten once its attempts have ended and are settled.

        Args:
            drain: its attempts are told to end and given back, which spends no attempt; each has its own grace time,
                but no more than EngineSettings.drain_timeout_s. Without it they run on.
        """
        serving = self._servings.pop(name, None)
        if serving is not None and drain:
            serving.end(self._clock.monotonic() + self._settings.drain_timeout_s)
        if serving is not None:
            self._leave(serving)

    @property
    def empty(self) -> bool:
        """Whether nothing is served, and nothing is left of what was."""
        return not self._all() and self._crew.idle

    async def run(self) -> None:
        """Serve until `stop`. Outages of Redis and of launchers delay it and never end it."""
        self._running = True
        try:
            for serving in self._all():
                self._begin(serving)
            await self._stopped.wait()
        finally:
            self._running = False
            await self._crew.end()
            self._ended.set()

    async def stop(self, *, drain: bool = False) -> None:
        """End `run`; return when it has ended.

        Args:
            drain: end the running attempts gracefully first and settle them (given back: no attempt is spent);
                at most EngineSettings.drain_timeout_s. Without it they run on, for the next engine to find.
        """
        if drain and self._running:
            await self._drain()
        self._stopped.set()
        if self._running:
            await self._ended.wait()

    async def status(self) -> tuple[QueueStatus, ...]:
        """Every JobQueue as it is now (one request to Redis per queue)."""
        now = self._clock.monotonic()
        return tuple([await status_of(one, now, self._settled.get(one.lane.name, {})) for one in self._all()])

    def _all(self) -> list[Serving]:
        return [*self._servings.values(), *self._left]

    def _serving(self, served: Served) -> Serving:
        lane = Lane(served, self._clock, self._report)
        serving = Serving(lane, self._new_id, self._settings.stalled_interval_ms)
        lane.slots.freed = lambda: self._poke(serving)
        return serving

    def _leave(self, serving: Serving) -> None:
        serving.leave()
        self._left.append(serving)

    def _returned(self, served: Served) -> Serving | None:
        """Take back what is leaving, if it served the same queue: two would tread on each other's attempts."""
        names = (one for one in self._left if one.lane.name == served.name)
        serving = next((one for one in names if _same_queue(one.lane.served, served)), None)
        if serving is not None:
            self._left.remove(serving)
            serving.stay()
            serving.lane.sizes = dict(served.sizes)  # a new JobQueue inherits nothing
        return serving

    def _poke(self, serving: Serving) -> None:
        """Have a claim tried at once: there may be room, or new terms."""
        serving.claim_at = self._clock.monotonic()
        claiming = self._claimings.get(id(serving.lane.served.server))
        if claiming is not None:
            claiming.poke()

    def _report(self, event: Event) -> None:
        _log(event)
        if event.kind in ENDS:
            self._settled.setdefault(event.jobqueue, Counter())[event.outcome] += 1
        if self._listener is not None:
            self._listener(event)

    def _begin(self, serving: Serving) -> None:
        """Start the loops that *serving* needs and that do not run yet."""
        crew, clock, server, launcher = (
            self._crew,
            self._clock,
            serving.lane.served.server,
            serving.lane.served.launcher,
        )
        interval_s = self._settings.audit_interval_s
        crew.loop(("claim", id(server)), lambda: self._claim(server))
        crew.loop(("hear", id(launcher)), lambda: hear_loop(launcher, Hearing(crew.errand), self._all, clock))
        first, forget = (lambda: self._poke(serving)), (lambda: self._forget(serving))
        crew.loop(("audit", id(serving)), lambda: audit_loop(serving, interval_s, first, forget, clock))
        crew.loop(("renew", id(serving)), lambda: renew_loop(serving, clock))
        crew.loop(("inquire", id(serving)), lambda: inquire_loop(serving, clock))
        crew.loop(("deliver", id(serving)), lambda: deliver_loop(serving, interval_s, first, clock))

    async def _claim(self, server: Server) -> None:
        def servings() -> list[Serving]:
            return [one for one in self._servings.values() if one.lane.served.server is server]

        fallback_s, errand = self._settings.fallback_claim_s, self._crew.errand
        claiming = self._claimings[id(server)] = Claiming(server, servings, self._clock, fallback_s, errand)
        await claim_loop(claiming, Backoff(first_s=0.5, longest_s=5.0), servings, self._clock)

    def _forget(self, serving: Serving) -> None:
        if serving.lane.undelivered:
            about = {"jobqueue": serving.lane.name, "records": serving.lane.undelivered}
            logger.warning("records wait in Redis until a JobQueue of this name is served again", extra=about)
        self._left.remove(serving)
        self._crew.dismiss(*((loop, id(serving)) for loop in ("audit", "renew", "inquire", "deliver")))

    async def _drain(self) -> None:
        """End every attempt and settle it, as far as the time allows."""
        deadline = self._clock.monotonic() + self._settings.drain_timeout_s
        for serving in self._all():
            serving.end()
        while self._clock.monotonic() < deadline:
            clean = True
            for serving in self._all():
                clean &= await guarded(serving.drain) and await guarded(serving.audit.round)
            if clean and self._crew.idle and all(one.at_rest for one in self._all()):
                return
            await self._clock.sleep(self._settings.drain_interval_s)


def _same_queue(old: Served, new: Served) -> bool:
    same = old.spec.queue == new.spec.queue and old.spec.prefix == new.spec.prefix
    return same and old.installation == new.installation


def _log(event: Event) -> None:
    """Write one line per transition; the message is constant, the rest are fields."""
    level = logging.WARNING if event.kind in _WARNINGS else logging.INFO
    fields = {"jobqueue": event.jobqueue, "job_id": event.job_id, "job_name": event.job_name, "token": event.token}
    more = {"code": event.code, "sentence": event.sentence, "outcome": event.outcome, "kube_job": event.kube_job}
    logger.log(level, event.kind.value, extra={name: value for name, value in (fields | more).items() if value})
