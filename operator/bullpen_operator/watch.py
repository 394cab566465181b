"""What a launcher says as it happens: stages and slots follow at once, the table is asked when something ended."""

from __future__ import annotations

from bullpen_operator.classify import classify, over, told
from bullpen_operator.events import EventKind
from bullpen_operator.joblog import note_wait
from bullpen_operator.outbox import Outbox
from bullpen_operator.outcome import Outcome, Verdict
from bullpen_operator.repair import Repair
from bullpen_operator.seen import KubeJobSeen
from bullpen_operator.served import Lane
from bullpen_operator.slots import Slot, Stage
from bullpen_operator.waits import DULL
from bullpen_protocol.assignment import RunnerOutcome


class Watch:
    """Hears of attempts of one JobQueue. Whatever it misses, the audit finds."""

    def __init__(self, lane: Lane, repair: Repair, outbox: Outbox) -> None:
        self._lane = lane
        self._outbox = outbox
        self._repair = repair

    async def heard(self, seen: KubeJobSeen) -> None:
        """Take in a change of an attempt of ours."""
        token = seen.attempt.token
        if over(seen):
            said, reason = told(seen)
            if said == RunnerOutcome.STORE_AWAY:  # before there is room, or the next job would be claimed into it
                self._outbox.doubt(seen.attempt, reason)
            self._lane.slots.free(token)
            if not seen.recorded:
                await self._repair.heard(seen)
            return
        outcome = classify(seen, None, self._lane.clock.now())
        await self._follow(self._lane.slots.take(seen.attempt, self._lane.clock.monotonic()), seen, outcome)
        if any(pod.ended for pod in seen.pods) or outcome.verdict not in (Verdict.RUNNING, Verdict.WAITING):
            await self._repair.heard(seen)

    async def _follow(self, slot: Slot, seen: KubeJobSeen, outcome: Outcome) -> None:
        was_stuck = slot.stuck
        await self._describe(slot, seen, outcome)
        if was_stuck and not slot.stuck:
            self._lane.slots.freed()  # there may be room under maxPending

    async def _describe(self, slot: Slot, seen: KubeJobSeen, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.RUNNING:
            if seen.attempt.settings.plain:
                self._lane.breaker_changed(self._lane.breaker.proved(seen.attempt.token))
            if slot.stage is not Stage.RUNNING:
                self._lane.tell(EventKind.STARTED, seen.attempt, kube_job=seen.name)
            slot.stage, slot.waiting, slot.sentence, slot.instead_of = Stage.RUNNING, "", "", ""
            return
        slot.stage = Stage.PENDING if slot.stage is Stage.CLAIMED else slot.stage
        if slot.instead_of and slot.instead_of == outcome.code and not seen.warnings:
            return  # what the events said still explains it
        news = (outcome.code, outcome.sentence) != (slot.waiting, slot.sentence)
        slot.waiting, slot.sentence, slot.instead_of = outcome.code, outcome.sentence, outcome.instead_of
        if news and outcome.code not in DULL and not seen.deleting:
            await self._tell(seen, outcome)

    async def _tell(self, seen: KubeJobSeen, outcome: Outcome) -> None:
        """Say why it waits, once per reason: to whoever watches the operator, and in the job's own log."""
        self._lane.tell(EventKind.WAITING, seen.attempt, code=outcome.code, sentence=outcome.sentence)
        await note_wait(self._lane.queue, seen.attempt.job_id, outcome.code, outcome.sentence)
