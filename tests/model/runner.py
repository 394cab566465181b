"""A runner as DESIGN's protocol describes it (steps 3 to 5), and the windows in which it may write to the graph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bullpen_operator.seen import Attempt
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Code, HoldResult, Job, QueueError, RedisAwayError
from bullpen_protocol.provenance import attempt_iri
from fakes.cluster import FakePod
from model.stepping import SteppedQueue, turn

if TYPE_CHECKING:
    from model.world import World


MOST_TRIES = 2
"""Writes that meet no store before a runner gives up."""


class Ends(StrEnum):
    """What the processor will make of the job."""

    COMPLETES = "completes"
    TOO_LARGE = "completes with a value that its last words can't carry"
    RAISES = "raises"
    REFUSES = "refuses the payload for good"
    RUNS_OUT = "runs out of memory"


@dataclass
class Window:
    """From an answered hold on, a pod may write until *until_ms*; afterwards it asks again first."""

    fence: str
    job_id: str
    until_ms: int
    closed: bool = False


@dataclass
class Graph:
    """The graph store: who wrote, and who may be writing."""

    windows: list[Window] = field(default_factory=list)
    written: dict[str, set[str]] = field(default_factory=dict)
    """Job id -> fences of completed writes."""

    def open(self, fence: str, job_id: str, until_ms: int, now_ms: int) -> Window:
        """Rule 1: no other pod of the job may be able to write."""
        others = [
            window
            for window in self.windows
            if window.job_id == job_id and window.fence != fence and not window.closed and now_ms < window.until_ms
        ]
        assert not others, f"{fence} and {others[0].fence} can both write"
        window = Window(fence, job_id, until_ms)
        self.windows = [one for one in self.windows if not one.closed and now_ms < one.until_ms] + [window]
        return window

    def forget(self, fence: str) -> None:
        """Its process is dead: nothing more will be sent."""
        for window in self.windows:
            window.closed |= window.fence == fence


class ExitedError(Exception):
    """The runner ends."""


class Runner:
    """The process in one pod."""

    def __init__(self, world: World, attempt: Attempt, pod: FakePod, ends: Ends, work: int) -> None:
        self.world = world
        self.attempt = attempt
        self.pod = pod
        self.ends = ends
        self.work = work
        self.fence = f"{attempt.token}#{pod.uid}"
        self.persisting = False
        self.dead = False
        self.queue: SteppedQueue = world.server.queue(attempt.queue, attempt.prefix)

    async def run(self) -> None:
        """Hold, load, work, persist, finish, exit."""
        try:
            await self._run()
        except ExitedError as end:
            code, said = end.args
            self.exit(code, said)

    async def _run(self) -> None:
        await self._hold()
        job = await self._insist(lambda: self.queue.load(self.attempt.job_id))
        for _ in range(self.work):
            await self._renew()
        if self.ends is Ends.RUNS_OUT:
            self.world.own_fault(self.attempt)
            raise ExitedError(ExitCode.OUT_OF_MEMORY, TerminationMessage(RunnerOutcome.OOM))
        if job is None:
            raise ExitedError(ExitCode.SUPERSEDED, TerminationMessage(RunnerOutcome.SUPERSEDED))
        self.persisting = True
        if self.ends in (Ends.COMPLETES, Ends.TOO_LARGE):
            await self._write()
        elif self.work % 2:
            await self._record_failure()
        self.world.own_fault(self.attempt)
        self.pod_says(self._last_words())
        await self._finish(job)
        raise ExitedError(self._code(), self._last_words())

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Redis away: ask again, for as long as it takes."""
        while True:
            try:
                return await ask()
            except RedisAwayError:
                await turn()

    async def _hold(self) -> int:
        """Hold, or exit; returns when it was asked for."""
        while True:
            asked_ms = self.world.now_ms
            try:
                held = await self.queue.hold(
                    self.attempt.job_id, self.attempt.token, self.fence, self.attempt.settings.lock_ms
                )
            except RedisAwayError:
                await turn()
                continue
            if held is not HoldResult.HELD:
                raise ExitedError(ExitCode.SUPERSEDED, TerminationMessage(RunnerOutcome.SUPERSEDED))
            return asked_ms

    async def _renew(self) -> None:
        try:
            renewed = await self.queue.extend(self.attempt.job_id, self.fence, self.attempt.settings.lock_ms)
        except RedisAwayError:
            return
        if not renewed:
            await self._hold()

    async def _write(self) -> None:
        """One update, within W of the hold before it; a pause that took longer is noticed, and the hold asked again."""
        timeout_ms = int(self.attempt.settings.graph_timeout_s * 1000)
        while True:
            asked_ms = await self._hold()
            window = self.world.open_window(self.fence, self.attempt.job_id, asked_ms + timeout_ms)
            await turn()
            if self.world.store.away:
                window.closed = True
                self._meet_no_store()
                continue
            if self.world.now_ms < window.until_ms:
                await turn()  # the request is on its way
                if self.world.now_ms < window.until_ms:
                    self._record()
                    self.world.graph.written.setdefault(self.attempt.job_id, set()).add(self.fence)
                    window.closed = True
                    return
            window.closed = True

    def _meet_no_store(self) -> None:
        self._tries += 1
        if self._tries > MOST_TRIES:
            raise ExitedError(ExitCode.GIVE_BACK, TerminationMessage(RunnerOutcome.STORE_AWAY, "no store"))

    async def _record_failure(self) -> None:
        """Try once: what can't be recorded is left to the operator."""
        await turn()
        if not self.world.store.away:
            self._record()

    def _record(self) -> None:
        """The first writer wins."""
        self.world.store.graphs.setdefault(attempt_iri(self.attempt.token), self.fence)
        self._recorded = True

    _tries = 0
    _recorded = False

    async def _finish(self, job: Job) -> None:
        unknown = False
        while True:
            try:
                if unknown and await self._is_done(job):
                    return
                await self._finish_once(job)
            except RedisAwayError:
                unknown = True
                await turn()
            except QueueError as error:
                if error.code is not Code.NO_LOCK:
                    raise ExitedError(ExitCode.SUPERSEDED, self._last_words()) from error
                await self._hold()
            else:
                return

    async def _is_done(self, job: Job) -> bool:
        seen = await self.queue.location(job.id)
        return not seen.exists or seen.moved_by(self.fence)

    async def _finish_once(self, job: Job) -> None:
        if self.ends in (Ends.COMPLETES, Ends.TOO_LARGE):
            await self.queue.complete(job, self.fence, '"done"')
        else:
            await self.queue.fail(job, self.fence, "boom", "", unrecoverable=self.ends is Ends.REFUSES)

    def _last_words(self) -> TerminationMessage:
        if self.ends is Ends.COMPLETES:
            return TerminationMessage(RunnerOutcome.COMPLETED, value="done", has_value=True, recorded=self._recorded)
        if self.ends is Ends.TOO_LARGE:
            return TerminationMessage(RunnerOutcome.COMPLETED, recorded=self._recorded)
        outcome = RunnerOutcome.FAILED if self.ends is Ends.RAISES else RunnerOutcome.UNRECOVERABLE
        return TerminationMessage(outcome, "boom", recorded=self._recorded)

    def _code(self) -> ExitCode:
        return ExitCode.COMPLETED if self.ends in (Ends.COMPLETES, Ends.TOO_LARGE) else ExitCode.FAILED

    def pod_says(self, message: TerminationMessage) -> None:
        """Write the termination message."""
        self.words = message.to_text()

    words = ""

    def exit(self, code: int, said: TerminationMessage | None = None, reason: str = "") -> None:
        """End, and be heard of by the kubelet if there is one."""
        if said is not None:
            self.pod_says(said)
        self.dead = True
        self.world.graph.forget(self.fence)
        self.world.process_ended(self, code, reason)
