"""The loops of an engine: one per Redis and launcher, three per JobQueue. Outages pause them and never end them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bullpen_operator.claiming import Claiming
from bullpen_operator.escaping import safe
from bullpen_operator.events import EventKind
from bullpen_operator.hearing import Hearing, Work
from bullpen_operator.inquiry import INTERVAL_S as INQUIRY_INTERVAL_S
from bullpen_operator.ports import Clock, Launcher, LauncherUnavailableError
from bullpen_operator.served import Backoff
from bullpen_operator.serving import Serving
from bullpen_protocol.bullmq import RedisFaultError

logger = logging.getLogger(__name__)

PROBE_S = 5.0
"""A graph store that stays away is asked this often."""

LEAVING_AUDIT_S = 1.0
"""A JobQueue that was removed is looked at this often, until nothing of it is left."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The pace of an engine; the defaults are DESIGN's."""

    audit_interval_s: float = 60.0
    fallback_claim_s: float = 10.0
    """An idle queue with free capacity is asked this often even if no marker woke us."""
    stalled_interval_ms: int = 30_000
    drain_timeout_s: float = 60.0
    """The longest grace of attempts that are told to end because nobody serves them any more."""
    drain_interval_s: float = 1.0


class Crew:
    """Tasks that belong together and end together."""

    def __init__(self) -> None:
        self._loops: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._errands: set[asyncio.Task[bool]] = set()

    @property
    def idle(self) -> bool:
        """Whether no errand is under way."""
        return not self._errands

    def loop(self, key: tuple[str, int], body: Work) -> None:
        """Start a loop unless the one of this key runs."""
        if key not in self._loops:
            self._loops[key] = asyncio.get_running_loop().create_task(body(), name=f"bullpen {key[0]}")

    def errand(self, work: Work) -> None:
        """Do *work* beside the loops. What fails is redone by the audit."""
        task = asyncio.get_running_loop().create_task(guarded(work))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def dismiss(self, *keys: tuple[str, int]) -> None:
        """End some loops; the one that asks ends by itself."""
        for key in keys:
            task = self._loops.pop(key, None)
            if task is not None and task is not asyncio.current_task():
                task.cancel()

    async def end(self) -> None:
        """End all and wait for it."""
        tasks = [*self._loops.values(), *self._errands]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loops.clear()


async def guarded(work: Work) -> bool:
    """Do *work*; whether it went through. The operator outlives whatever one job makes of it."""
    try:
        await work()
    except (RedisFaultError, LauncherUnavailableError) as error:
        logger.debug("left to the audit", extra={"error": safe(str(error))})
        return False
    except Exception:
        logger.exception("unexpected error; left to the audit")
        return False
    return True


async def claim_loop(
    claiming: Claiming, pause: Backoff, servings: Callable[[], Sequence[Serving]], clock: Clock
) -> None:
    """Claim on one Redis; while it is away, say so once and try again ever more rarely."""
    claiming.healthy = lambda: _redis_back(pause, servings())
    while True:
        try:
            await claiming.run()
        except RedisFaultError as error:
            for serving in servings():
                serving.lane.redis_failed(error)
            if pause.failed(clock.monotonic()):
                _tell(servings(), EventKind.AWAY, safe(str(error)))
        except Exception:
            logger.exception("unexpected error while claiming")
            pause.failed(clock.monotonic())
        await clock.sleep(max(0.0, pause.until - clock.monotonic()))


def _redis_back(pause: Backoff, servings: Sequence[Serving]) -> None:
    if pause.worked():
        _tell(servings, EventKind.BACK)
        for serving in servings:
            serving.lane.redis_fault = None
            serving.wake.set()  # what was claimed or settled meanwhile may have lost its answer


def _tell(servings: Sequence[Serving], kind: EventKind, sentence: str = "") -> None:
    for serving in servings:
        serving.lane.tell(kind, code="redis", sentence=sentence)


async def hear_loop(
    launcher: Launcher, hearing: Hearing, servings: Callable[[], Sequence[Serving]], clock: Clock
) -> None:
    """Pass on what one launcher says."""
    pause = Backoff()
    while True:
        try:
            async for seen in launcher.changes():
                pause.worked()
                for serving in servings():
                    if serving.lane.has(seen.attempt):
                        hearing.heard(serving.watch, seen)
        except LauncherUnavailableError as error:
            pause.failed(clock.monotonic(), error.retry_after_s)
        except Exception:
            logger.exception("unexpected error while watching")
            pause.failed(clock.monotonic())
        await clock.sleep(max(0.1, pause.until - clock.monotonic()))


async def audit_loop(
    serving: Serving, interval_s: float, first: Callable[[], None], forget: Callable[[], None], clock: Clock
) -> None:
    """Audit one JobQueue: at once, every *interval_s*, and when asked to; until it has left."""
    pause = Backoff()
    while True:
        serving.wake.clear()
        rest_s = interval_s
        if await guarded(lambda: _audit(serving, first, clock)):
            pause.worked()
        else:
            pause.failed(clock.monotonic())
            rest_s = pause.until - clock.monotonic()
        if serving.leaving:
            await guarded(serving.drain)
            if serving.audited and serving.at_rest:
                forget()
                return
            rest_s = LEAVING_AUDIT_S
        await _until(serving.wake, rest_s)


async def _audit(serving: Serving, first: Callable[[], None], clock: Clock) -> None:
    try:
        await serving.audit.round()
    except (RedisFaultError, LauncherUnavailableError) as error:
        serving.lane.audit_fault = error
        raise
    serving.lane.audit_fault = None
    was_audited = serving.audited
    serving.audited, serving.audited_at = True, clock.now()
    if not was_audited:
        first()


async def deliver_loop(serving: Serving, interval_s: float, resumed: Callable[[], None], clock: Clock) -> None:
    """Bring one JobQueue's records to its graph stores; ask a store that is away until it is back: then *resumed*."""
    lane, outbox = serving.lane, serving.outbox
    pause = Backoff(longest_s=PROBE_S)
    while True:
        outbox.wake.clear()
        was_away = bool(lane.away)
        if await guarded(outbox.round) and not lane.away:
            pause.worked()
            if was_away:
                resumed()
            await _until(outbox.wake, interval_s)
        else:
            pause.failed(clock.monotonic())
            await clock.sleep(pause.until - clock.monotonic())


async def renew_loop(serving: Serving, clock: Clock) -> None:
    """Renew the locks of one JobQueue's unbound attempts; a cancel is not to wait for the next audit."""
    while True:
        await clock.sleep(serving.renewal.interval_s)
        await guarded(serving.renewal.round)
        await guarded(lambda: _heed_cancels(serving))


async def _heed_cancels(serving: Serving) -> None:
    if await serving.renewal.cancels():
        serving.wake.set()


async def inquire_loop(serving: Serving, clock: Clock) -> None:
    """Ask about attempts of one JobQueue that don't start."""
    while True:
        await clock.sleep(INQUIRY_INTERVAL_S)
        await guarded(serving.inquiry.round)


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
