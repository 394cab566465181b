"""Records of attempts that could not write their own, on their way to the graph stores of one JobQueue.

A record goes into the queue's outbox in Redis when its attempt has ended, and leaves it when its store has accepted it:
at least once, where only the first write counts. Nothing is ever dropped for want of room: while a store is away the
JobQueue claims nothing, so that there is at most one record for each attempt that runs.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bullpen_operator.classify import classify
from bullpen_operator.outcome import Outcome
from bullpen_operator.ports import StoreRefusedError, StoreUnavailableError
from bullpen_operator.records import Entry, bound_by, outcome_left, owes_record, record_of, telling_pod
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.served import Lane
from bullpen_protocol.bullmq import Job

logger = logging.getLogger(__name__)

ENTRY_BYTES: Final = 65_536
"""A larger record (its job has an id of tens of thousands of characters) is not kept; that is logged as an error."""


class Outbox:
    """The outbox of one JobQueue."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._unsent: dict[str, str] = {}
        """Records that Redis has not acknowledged yet: their attempts may have nothing else that remembers them."""
        self._put = 0
        self._stranded = 0
        self.wake = asyncio.Event()
        """Set: there is something to deliver, or a store is in doubt."""

    @property
    def quiet(self) -> bool:
        """Whether nothing can be delivered now."""
        return bool(self._lane.away) or not (self._unsent or self._lane.undelivered)

    def doubt(self, attempt: Attempt, why: str) -> None:
        """Claim nothing until the store of *attempt*, which says that it is away, was asked."""
        name = self._lane.store_of(attempt.settings.graph, attempt.job_name)
        if name:
            self._lane.store_away(name, why or "the graph store stayed away from a runner")
            self.wake.set()

    async def put_late(self, attempt: Attempt, seen: KubeJobSeen) -> None:
        """Keep the record of an attempt whose job has been moved before, by whomever."""
        if not self._wanted(attempt, seen, bound=True):
            return
        job = await self._lane.queue.load(attempt.job_id)
        uid = bound_by(attempt, job)
        pod = telling_pod(seen.pods, uid)
        outcome = classify(seen, pod.uid if pod is not None else uid, self._lane.clock.now())
        await self.put(attempt, outcome_left(attempt, job, outcome), seen, job, uid=uid)

    async def put(
        self, attempt: Attempt, outcome: Outcome, seen: KubeJobSeen | None, job: Job | None, *, uid: str
    ) -> None:
        """Keep the record of an attempt that came to *outcome*; *uid* is of the pod that bound it, if one did."""
        if not self._wanted(attempt, seen, bound=bool(uid)):
            return
        record = record_of(attempt, outcome, seen, job, self._lane.clock.now(), uid)
        text = Entry(self._lane.served.installation, attempt.settings.graph, record).to_text()
        if len(text) > ENTRY_BYTES:
            logger.error("record too large to be kept", extra=self._about(record.attempt, bytes=len(text)))
            return
        self._unsent[record.attempt] = text
        await self._send()

    def _wanted(self, attempt: Attempt, seen: KubeJobSeen | None, *, bound: bool) -> bool:
        has_store = self._lane.store_of(attempt.settings.graph, attempt.job_name)
        return bool(has_store) and owes_record(seen, bound=bound)

    async def _send(self) -> None:
        for iri, text in list(self._unsent.items()):
            if await self._lane.queue.outbox_put(iri, text):
                self._put += 1
                self._lane.undelivered += 1
            self._unsent.pop(iri, None)
            self.wake.set()

    async def round(self) -> None:
        """Ask the stores that were away, deliver what waits, and say which stores are away now.

        Raises RedisFaultError.
        """
        lane, doubted = self._lane, set(self._lane.away)
        await self._send()
        self._put = 0
        trouble = await self._probe(doubted)
        waiting = await self._deliver_all(trouble)
        lane.undelivered = waiting + self._put
        for name, why in trouble.items():
            lane.store_away(name, why)
        for name in doubted - trouble.keys():
            lane.store_back(name)

    async def _probe(self, names: set[str]) -> dict[str, str]:
        """Ask each store; return those that are still away, and why."""
        trouble = {}
        for name in names & self._lane.served.stores.keys():
            try:
                await self._lane.served.stores[name].probe()
            except StoreUnavailableError as error:
                trouble[name] = str(error)
        return trouble

    async def _deliver_all(self, trouble: dict[str, str]) -> int:
        """Deliver what is for stores without *trouble*, to which new trouble is added; how many records wait on."""
        waiting = stranded = 0
        for iri, entry in await self._kept():
            name = "" if entry is None else self._lane.store_of(entry.graph, entry.record.job_name)
            if entry is None or not name:
                stranded += 1
            elif not await self._delivered(iri, entry, name, trouble):
                waiting += 1
        self._tell_stranded(stranded)
        return waiting

    async def _kept(self) -> list[tuple[str, Entry | None]]:
        """Read the records of this installation, and what is none at all."""
        if not self._lane.served.stores:
            return []
        entries = [(iri, Entry.from_text(text)) for iri, text in (await self._lane.queue.outbox_records()).items()]
        mine = self._lane.served.installation
        return [(iri, entry) for iri, entry in entries if entry is None or entry.installation == mine]

    async def _delivered(self, iri: str, entry: Entry, name: str, trouble: dict[str, str]) -> bool:
        if name in trouble:
            return False
        try:
            await self._lane.served.stores[name].update(entry.record.insert_once())
        except StoreUnavailableError as error:
            trouble[name] = str(error)
            return False
        except StoreRefusedError as error:
            logger.error("the graph store refused a record: it is dropped", extra=self._about(iri, error=str(error)))
        await self._lane.queue.outbox_remove(iri)
        return True

    def _tell_stranded(self, count: int) -> None:
        if count > self._stranded:
            logger.warning("records wait for a graph store that no job type has", extra=self._about(records=count))
        self._stranded = count

    def _about(self, attempt: str = "", **more: object) -> dict[str, object]:
        return {"jobqueue": self._lane.name, **({"attempt": attempt} if attempt else {}), **more}
