"""Dispatch: claim a job of one JobQueue and start its attempt. Redone by the audit after a crash anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_operator.events import EventKind
from bullpen_operator.outcome import Fault, Outcome, Verdict
from bullpen_operator.ports import ConfigurationFaultError, LaunchError, LauncherUnavailableError
from bullpen_operator.seen import Attempt
from bullpen_operator.served import Lane
from bullpen_operator.settle import CLOSING, NO_LONGER_SERVED, UNKNOWN_JOB, Settle
from bullpen_operator.slots import Stage
from bullpen_protocol.bullmq import RESERVED_IDS, Claimed, Empty, Job

NAMES_REMEMBERED: Final = 20
"""Unknown job names that a status keeps."""
_CLOSING: Final = Outcome(Verdict.GIVE_BACK, CLOSING, NO_LONGER_SERVED, Fault.CONFIGURATION)


class Dispatch:
    """Claims and launches for one JobQueue."""

    def __init__(self, lane: Lane, settle: Settle, new_id: Callable[[], str]) -> None:
        self._lane = lane
        self._settle = settle
        self._new_id = new_id

    def may_claim(self) -> bool:
        """Whether there is room, and nothing speaks against it."""
        lane, now = self._lane, self._lane.clock.monotonic()
        spec = lane.served.spec
        if lane.closing or spec.suspend or len(lane.slots) >= spec.concurrency:
            return False
        if spec.max_pending is not None and lane.slots.stuck() >= spec.max_pending:
            return False
        if lane.away or now < lane.launcher_pause.until:
            return False
        return lane.breaker.allows(now) and lane.served.launcher.may_launch()

    async def claim(self) -> Claimed | Empty:
        """Claim the next job under a token of its own and take a slot for it.

        A claim whose answer is lost for good leaves a job that is active under a token of ours: the audit finds it.
        """
        lane = self._lane
        token = f"{lane.token_prefix}{self._new_id()}"
        lane.claiming.add(token)
        try:
            return await self._claim(token)
        finally:
            lane.claiming.discard(token)

    async def _claim(self, token: str) -> Claimed | Empty:
        lane = self._lane
        limit = lane.served.spec.rate_limit
        limiter = None if limit is None else (limit.max, int(limit.duration.total_seconds() * 1000))
        claim = await lane.queue.claim(token, lane.lock_ms, limiter=limiter)
        if isinstance(claim, Claimed):
            attempt = self._taken(claim.job, token)
            lane.breaker.claimed(token)
            lane.tell(EventKind.CLAIMED, attempt)
        return claim

    def _taken(self, job: Job, token: str) -> Attempt:
        attempt = self._lane.attempt(job, token)
        self._lane.slots.take(attempt, self._lane.clock.monotonic())
        return attempt

    async def start(self, job: Job) -> None:
        """Do what follows a claim of *job*: each step may be done twice.

        The token is the job's `pb`. A launcher that is away leaves the job claimed, to be started again.
        """
        assert job.pb is not None
        attempt = self._taken(job, job.pb)
        slot = self._lane.slots.held[attempt.token]
        slot.starting = True
        try:
            await self._start(attempt, job)
        finally:
            slot.starting = False

    async def _start(self, attempt: Attempt, job: Job) -> None:
        refusal = _refusal(job)
        if refusal is not None:
            await self._end(attempt, refusal)
            return
        await self._lane.queue.advance(job)
        if self._lane.closing:
            await self._end(attempt, _CLOSING)
        else:
            await self._launch(attempt)

    async def _launch(self, attempt: Attempt) -> None:
        lane = self._lane
        job_type = lane.served.spec.job_type(attempt.job_name)
        if job_type is None:
            await self._unknown(attempt)
            return
        try:
            await lane.served.launcher.launch(attempt, job_type)
        except LauncherUnavailableError as error:
            self._launcher_away(error)
        except ConfigurationFaultError as error:
            await self._end(attempt, Outcome(Verdict.GIVE_BACK, error.code, safe(str(error)), Fault.CONFIGURATION))
        except LaunchError as error:
            await self._end(attempt, Outcome(Verdict.UNRECOVERABLE, "not-launchable", safe(str(error)), Fault.JOB))
        else:
            self._launched(attempt)

    def _launched(self, attempt: Attempt) -> None:
        lane = self._lane
        if lane.launcher_pause.worked():
            lane.tell(EventKind.BACK, code="launcher")
        slot = lane.slots.held.get(attempt.token)
        if slot is not None and slot.stage is Stage.CLAIMED:
            slot.stage = Stage.PENDING
        lane.tell(EventKind.LAUNCHED, attempt)

    def _launcher_away(self, error: LauncherUnavailableError) -> None:
        self._lane.launcher_trouble = safe(str(error))
        if self._lane.launcher_pause.failed(self._lane.clock.monotonic(), error.retry_after_s):
            self._lane.tell(EventKind.AWAY, code="launcher", sentence=safe(str(error)))

    async def _unknown(self, attempt: Attempt) -> None:
        lane, name = self._lane, safe(attempt.job_name, 100)
        if lane.served.spec.unknown_jobs == "fail":
            sentence = f"Unknown job: {name}"
            await self._end(attempt, Outcome(Verdict.UNRECOVERABLE, UNKNOWN_JOB, sentence, Fault.JOB))
            return
        known = name in lane.unknown_names
        lane.unknown_names.pop(name, None)
        lane.unknown_names[name] = lane.clock.monotonic()
        while len(lane.unknown_names) > NAMES_REMEMBERED:
            lane.unknown_names.pop(next(iter(lane.unknown_names)))
        sentence = f"no job type serves jobs named {name!r}; they wait until one does"
        if not known:
            lane.tell(EventKind.DEGRADED, attempt, code=UNKNOWN_JOB, sentence=sentence)
        await self._end(attempt, Outcome(Verdict.GIVE_BACK, UNKNOWN_JOB, sentence, Fault.CONFIGURATION))

    async def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Settle an attempt that no pod was started for."""
        await self._settle.settle(attempt, attempt.token, outcome)
        self._lane.slots.free(attempt.token)


def _refusal(job: Job) -> Outcome | None:
    if job.id in RESERVED_IDS:
        sentence = f"the job's id {job.id!r} is a name that BullMQ keeps for itself; add it under another id"
        return Outcome(Verdict.UNRECOVERABLE, "reserved-id", sentence, Fault.JOB)
    if job.defa:
        return Outcome(Verdict.UNRECOVERABLE, "deferred-failure", safe(job.defa), Fault.JOB)
    return None
