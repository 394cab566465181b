"""Settle: finish an attempt in its runner's stead, under the fence that Redis has for it.

The token of every finish is the value of `pb` that was read together with the decision: T can't void a pod that has
bound meanwhile, F can't hit another pod. Whoever loses gets -2, -3 or -6 and leaves the job to its new owner.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from bullpen_operator.events import EventKind
from bullpen_operator.joblog import TOLD, gist, note
from bullpen_operator.outbox import Outbox
from bullpen_operator.outcome import CANCELLED, GIVEN_UP, SPEC_CHANGED, STORE_AWAY, Fault, Outcome, Verdict, no_value
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.served import Lane
from bullpen_operator.sizes import Sizes, escalated
from bullpen_protocol.bullmq import Code, HoldResult, Job, QueueError

LONGEST_DELAY_MS: Final = 600_000
"""However often a job was given back, it is tried again after this."""

AFTER_OUTAGE_MS: Final = 1_000
"""What the graph store kept from its results is due soon: while it is away nothing is claimed anyhow."""

UNKNOWN_JOB: Final = "unknown-job"
CLOSING: Final = "closing"
NO_LONGER_SERVED: Final = "its JobQueue is no longer served here"
TELLS_NOTHING: Final = frozenset({UNKNOWN_JOB, CLOSING, SPEC_CHANGED, CANCELLED})
"""Codes of attempts that were not launched, or ended, for a reason that says nothing of any job type."""

_SUPERSEDED: Final = frozenset({Code.JOB_GONE, Code.NO_LOCK, Code.NOT_ACTIVE, Code.OTHER_TOKEN})
_CHILDREN: Final = {
    Code.PENDING_CHILDREN: "it completed while children of the job were pending",
    Code.FAILED_CHILDREN: "it completed while children of the job had failed",
}


@dataclass(frozen=True, slots=True)
class GiveBacks:
    """What hash field `bullpen` counts of a job; written only by the script that moves the job."""

    total: int = 0
    capped: int = 0
    """Those that count against giveBack.max: faults of the configuration and outages never cost a job."""

    @classmethod
    def of(cls, job: Job) -> GiveBacks:
        """Read the job's field; what is not ours counts as nothing."""
        return cls(_count(job.bullpen.get("giveBacks")), _count(job.bullpen.get("capped")))

    def and_one(self, outcome: Outcome) -> GiveBacks:
        """Count one more."""
        return GiveBacks(self.total + 1, self.capped + (outcome.fault not in (Fault.CONFIGURATION, Fault.OUTAGE)))

    def fields(self, token: str, outcome: Outcome, sizes: Sizes) -> dict[str, str]:
        """Render for a script's `fields`, with the *sizes* that the job is known to need."""
        body = {"giveBacks": self.total, "capped": self.capped, "reason": outcome.code, "lastToken": token}
        body |= {TOLD: gist(outcome.sentence)} if outcome.verdict is Verdict.GIVE_BACK else {}
        return {"bullpen": json.dumps(body | ({"sizes": sizes.to_json()} if sizes != Sizes() else {}))}


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 10**9 else 0


def capped(outcome: Outcome, given_back: GiveBacks, attempt: Attempt) -> Outcome:
    """Make a failure of a give-back that would be one too many; any other outcome stays as it is."""
    if outcome.verdict is not Verdict.GIVE_BACK or outcome.fault in (Fault.CONFIGURATION, Fault.OUTAGE):
        return outcome
    if given_back.capped < attempt.settings.give_back_max:
        return outcome
    times = "once" if given_back.capped == 1 else f"{given_back.capped} times"
    sentence = f"given back {times} without being the job's fault, and again: {outcome.sentence}"
    return Outcome(Verdict.UNRECOVERABLE, GIVEN_UP, sentence, outcome.fault, confirmed=outcome.confirmed)


def closed(outcome: Outcome) -> Outcome:
    """Judge an attempt that was told to end because its JobQueue is no longer served: a give-back is our own doing."""
    if outcome.verdict is not Verdict.GIVE_BACK:
        return outcome
    return replace(outcome, code=CLOSING, sentence=f"{NO_LONGER_SERVED}: {outcome.sentence}", fault=Fault.CONFIGURATION)


def with_value(outcome: Outcome, job: Job, fence: str) -> Outcome:
    """Complete a completion with what the sidecar of a plain pod kept in the job; nothing kept: it runs again."""
    if outcome.verdict is not Verdict.COMPLETED or outcome.value_json is not None:
        return outcome
    kept = job.kept(fence)
    return no_value() if kept is None else replace(outcome, value_json=kept)


def delay_ms(outcome: Outcome, given_back: GiveBacks, attempt: Attempt) -> int:
    """Time until a job that is given back may run again; it doubles with each give-back.

    Of a store that only runners can't reach the operator's probes tell nothing: there the doubling alone slows down.
    Never below the graph timeout when no kubelet confirmed the end: a pod whose hold succeeded just before this
    give-back may write for so long, and the next one must not write beside it.
    """
    if outcome.code == SPEC_CHANGED:
        return 1  # it is to be made anew, not later; under the claim's own token no pod can have bound it
    settings = attempt.settings
    first = AFTER_OUTAGE_MS if outcome.code == STORE_AWAY else settings.give_back_delay_ms
    growing = min(first << min(given_back.total, 20), LONGEST_DELAY_MS)
    shortest = 1 if outcome.confirmed else int(settings.graph_timeout_s * 1000)
    return max(growing, shortest)


@dataclass(frozen=True, slots=True)
class _Case:
    """An attempt that is to be finished, and its job as it was read for that."""

    attempt: Attempt
    job: Job
    fence: str
    given_back: GiveBacks
    sizes: Sizes

    def fields(self, outcome: Outcome) -> dict[str, str]:
        """What is left in the job beside the move; a give-back counts itself."""
        given_back = self.given_back.and_one(outcome) if outcome.verdict is Verdict.GIVE_BACK else self.given_back
        return given_back.fields(self.attempt.token, outcome, self.sizes)


class Settle:
    """Finishes attempts of one JobQueue."""

    def __init__(self, lane: Lane, outbox: Outbox) -> None:
        self._lane = lane
        self._outbox = outbox

    async def settle(self, attempt: Attempt, fence: str, outcome: Outcome, seen: KubeJobSeen | None = None) -> bool:
        """Move the job as *outcome* says, under *fence*, and put the attempt's record into the outbox.

        Returns:
            Whether the job was still the attempt's and is settled now; False: somebody else has moved it.
        """
        job = await self._lane.queue.load(attempt.job_id)
        if job is None or job.pb != fence:
            return False
        given_back = GiveBacks.of(job)
        valued = with_value(closed(outcome) if self._lane.ending else outcome, job, fence)
        final, learned = escalated(capped(valued, given_back, attempt), attempt.settings)
        case = _Case(attempt, job, fence, given_back, learned.larger(Sizes.of(job.bullpen.get("sizes"))))
        try:
            await self._finish(case, final)
        except QueueError as error:
            if error.code not in _SUPERSEDED:
                raise
            return False
        self._lane.learn(attempt, learned)
        self._settled(attempt, final)
        if seen is None:
            await self._explain(case, final)
        await self._outbox.put(attempt, final, seen, job, uid=fence.partition("#")[2])
        return True

    async def _explain(self, case: _Case, outcome: Outcome) -> None:
        """Write why a job came back that no pod tells of into its log, once for as long as it is the same."""
        if outcome.verdict is Verdict.GIVE_BACK and case.job.bullpen.get(TOLD) != gist(outcome.sentence):
            await note(self._lane.queue, case.job.id, f"given back ({outcome.code}): {outcome.sentence}")

    async def _finish(self, case: _Case, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.COMPLETED:
            await self._complete(case, outcome)
        elif outcome.verdict is Verdict.GIVE_BACK:
            await self._give_back(case, outcome)
        else:
            await self._fail(case, outcome)

    async def _give_back(self, case: _Case, outcome: Outcome) -> None:
        queue, delay = self._lane.queue, delay_ms(outcome, case.given_back, case.attempt)
        fields = case.fields(outcome)
        await self._fenced(case, lambda: queue.give_back(case.job, case.fence, delay, fields=fields))

    async def _complete(self, case: _Case, outcome: Outcome) -> None:
        queue, value = self._lane.queue, outcome.value_json or "null"
        fields = case.fields(outcome)
        try:
            await self._fenced(case, lambda: queue.complete(case.job, case.fence, value, fields=fields))
        except QueueError as error:
            sentence = _CHILDREN.get(error.code)
            if sentence is None:
                raise
            verdict = Verdict.FAILED if error.code is Code.PENDING_CHILDREN else Verdict.UNRECOVERABLE
            await self._fail(case, Outcome(verdict, "children", sentence, Fault.JOB))

    async def _fail(self, case: _Case, outcome: Outcome) -> None:
        queue, final = self._lane.queue, outcome.verdict is Verdict.UNRECOVERABLE
        fields = case.fields(outcome)
        stack = [f"{outcome.sentence}\n    at bullpen ({outcome.code})"]
        await self._fenced(
            case,
            lambda: queue.fail(case.job, case.fence, outcome.sentence, stack, unrecoverable=final, fields=fields),
        )

    async def _fenced(self, case: _Case, finish: Callable[[], Awaitable[object]]) -> None:
        """Finish; a lock that ran out is taken again with the fence's own value first."""
        try:
            await finish()
        except QueueError as error:
            if error.code is not Code.NO_LOCK:
                raise
            attempt = case.attempt
            held = await self._lane.queue.hold(case.job.id, attempt.token, case.fence, attempt.settings.lock_ms)
            if held is not HoldResult.HELD:
                raise
            await finish()

    def _settled(self, attempt: Attempt, outcome: Outcome) -> None:
        lane = self._lane
        kind = EventKind.GIVEN_BACK if outcome.verdict is Verdict.GIVE_BACK else EventKind.SETTLED
        lane.tell(kind, attempt, code=outcome.code, sentence=outcome.sentence, outcome=outcome.verdict.value)
        if outcome.code == STORE_AWAY:
            self._outbox.doubt(attempt, outcome.sentence)
        if outcome.code in TELLS_NOTHING:
            lane.breaker.void(attempt.token)
            return
        lane.breaker_changed(lane.breaker.ended(attempt.token, attempt.job_name, outcome, lane.clock.monotonic()))
