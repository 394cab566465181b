"""Do for one attempt what the decision table says."""

from __future__ import annotations

from dataclasses import dataclass, field

from bullpen_operator.afterword import leave
from bullpen_operator.classify import over, told
from bullpen_operator.decide import ASTRAY, Action, Do, Moment, bound_uid, decide, owns
from bullpen_operator.dispatch import Dispatch
from bullpen_operator.events import EventKind
from bullpen_operator.naming import kube_job_name
from bullpen_operator.outbox import Outbox
from bullpen_operator.outcome import SPEC_CHANGED
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.served import Lane
from bullpen_operator.settle import Settle
from bullpen_protocol.bullmq import HoldResult, Location


@dataclass
class Sightings:
    """Since when something has been seen without a break, by token. A new operator begins anew, and waits longer."""

    lock_absent: dict[str, float] = field(default_factory=dict)
    astray: dict[str, float] = field(default_factory=dict)

    def lasting(self, attempt: Attempt, location: Location, now: float) -> tuple[float, float]:
        """Seconds without a lock, and seconds of not having the job."""
        mine = owns(attempt.token, location)
        return (
            _since(self.lock_absent, attempt.token, now, holds=mine and location.lock is None),
            _since(self.astray, attempt.token, now, holds=not mine),
        )

    def forget(self, tokens: set[str]) -> None:
        """Keep only what is known of *tokens*."""
        for marks in (self.lock_absent, self.astray):
            for token in marks.keys() - tokens:
                del marks[token]


def _since(marks: dict[str, float], token: str, now: float, *, holds: bool) -> float:
    if holds:
        return now - marks.setdefault(token, now)
    marks.pop(token, None)
    return 0.0


class Repair:
    """Looks at single attempts of one JobQueue and acts."""

    def __init__(self, lane: Lane, dispatch: Dispatch, settle: Settle, outbox: Outbox) -> None:
        self._lane = lane
        self._dispatch = dispatch
        self._settle = settle
        self._outbox = outbox
        self.sightings = Sightings()

    async def heard(self, seen: KubeJobSeen) -> None:
        """Act on what a watch said of an attempt, if it says that something is to be done.

        An end is believed at once: it never becomes untrue. All else is confirmed by the fence.
        """
        location = await self._lane.queue.location(seen.attempt.job_id)
        await self._act(self._decide(seen.attempt, location, seen), seen.attempt, location, seen)

    async def audit(self, attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> bool:
        """Compare and repair; whether the attempt still takes a slot.

        What is to be repaired is read again, from the sources, before anything is done about it.
        """
        action = self._decide(attempt, location, seen)
        if action.drift and not self._under_way(action, attempt):
            name = seen.name if seen is not None else _name(attempt)
            seen = await self._lane.served.launcher.look(name)
            location = await self._lane.queue.location(attempt.job_id)
            action = self._decide(attempt, location, seen)
            if action.drift and not self._under_way(action, attempt):
                if not self._lane.closing and action.drift != SPEC_CHANGED:  # then it is we who make the difference
                    self._lane.tell(EventKind.DRIFT, attempt, code=action.drift)
                await self._act(action, attempt, location, seen)
        elif action.do is Do.HOLD:
            await self._act(action, attempt, location, seen)
        return _takes_slot(action, attempt, location, seen)

    def _under_way(self, action: Action, attempt: Attempt) -> bool:
        """Whether this operator is claiming or launching the attempt at this moment, or will as soon as it can."""
        slot = self._lane.slots.held.get(attempt.token)
        if action.do is not Do.LAUNCH:
            return False
        paused = self._lane.launcher_pause.until > self._lane.clock.monotonic()
        return paused or attempt.token in self._lane.claiming or (slot is not None and slot.starting)

    def _decide(self, attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> Action:
        lock_absent_s, astray_s = self.sightings.lasting(attempt, location, self._lane.clock.monotonic())
        return decide(
            attempt,
            location,
            seen,
            Moment(self._lane.clock.now(), lock_absent_s, astray_s, self._lane.outdated(attempt)),
        )

    async def _act(self, action: Action, attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> None:
        if action.do is Do.HOLD:
            await self._hold(attempt, location)
        elif action.do is Do.LAUNCH:
            await self.launch(attempt)
        elif action.do is Do.SETTLE:
            await self._settle_it(action, attempt, location, seen)
        elif action.do is Do.DELETE:
            await self._delete(attempt, action.drift, seen if action.drift == ASTRAY else None)
        elif action.do is Do.RECORD and seen is not None:
            await self._outbox.put_late(attempt, seen)
            await self._record(attempt, seen)
            self._finished(attempt, seen)

    async def _hold(self, attempt: Attempt, location: Location) -> None:
        held = await self._lane.queue.hold(attempt.job_id, attempt.token, location.pb or "", attempt.settings.lock_ms)
        if held is HoldResult.HELD:
            self.sightings.lock_absent.pop(attempt.token, None)

    async def launch(self, attempt: Attempt) -> None:
        """Do again what follows a claim, if the attempt still has its job and no pod has bound it."""
        job = await self._lane.queue.load(attempt.job_id)
        if job is not None and job.pb == attempt.token:
            await self._dispatch.start(job)

    async def _settle_it(self, action: Action, attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> None:
        assert action.outcome is not None
        await leave(self._lane, attempt, seen, _uid_of_the_ended(attempt, location, seen), action.outcome)
        if not await self._settle.settle(attempt, location.pb or "", action.outcome, seen):
            return  # it has bound, or somebody else settled it: leave it
        if action.delete:
            await self._lane.served.launcher.delete(_name(attempt))
        elif seen is not None:
            await self._record(attempt, seen)
        if action.delete or seen is None:
            self._lane.slots.free(attempt.token)

    async def _delete(self, attempt: Attempt, why: str, moved: KubeJobSeen | None) -> None:
        """End an attempt; of one that was *moved* already nobody may be left to record the end."""
        if moved is not None:
            await self._outbox.put_late(attempt, moved)
        await self._lane.served.launcher.delete(_name(attempt))
        self._lane.tell(EventKind.DELETED, attempt, code=why)

    async def _record(self, attempt: Attempt, seen: KubeJobSeen) -> None:
        await self._lane.served.launcher.mark_recorded(seen.name)
        if over(seen):
            self._lane.slots.free(attempt.token)

    def _finished(self, attempt: Attempt, seen: KubeJobSeen) -> None:
        lane = self._lane
        lane.breaker_changed(lane.breaker.proved(attempt.token))
        outcome, sentence = told(seen)
        lane.tell(EventKind.ENDED, attempt, outcome=outcome, sentence=sentence, kube_job=seen.name)


def _uid_of_the_ended(attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> str:
    """Uid of the pod that is judged: the one that has bound the attempt, else the last one if it has ended."""
    bound = bound_uid(attempt.token, location)
    ended = [pod.uid for pod in seen.pods if pod.ended] if seen is not None else []
    return bound or (ended[-1] if ended else "")


def _name(attempt: Attempt) -> str:
    return kube_job_name(attempt.queue, attempt.job_id, attempt.token)


def _takes_slot(action: Action, attempt: Attempt, location: Location, seen: KubeJobSeen | None) -> bool:
    if action.do in (Do.SETTLE, Do.RECORD):
        return False
    mine = owns(attempt.token, location)
    if seen is None:
        return mine
    if over(seen):
        return False
    # What lost its job and is out of reach may stay so for ever: it is void, and takes nobody's place.
    return mine or not seen.pods or any(pod.node_ready is not False and not pod.node_gone for pod in seen.pods)
