"""The engine as its hosts use it, in virtual time: wake-ups, timers, outages, changes of the JobQueues, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bullpen_operator.engine import Engine, EngineSettings, QueueStatus, Served
from bullpen_operator.events import Event, EventKind
from bullpen_operator.model import JobQueueSpec
from bullpen_operator.ports import ConfigurationFaultError, LauncherUnavailableError
from bullpen_operator.seen import KubeJobSeen
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import CANCEL_FIELD, RedisRefusedError
from fakes.cluster import FakeCluster, FakeKubeJob
from fakes.memory_redis import MemoryQueue
from fakes.operators import a_spec
from fakes.stores import GONE, FakeStore
from fakes.virtual import LoopClock, VirtualServer, at_once, cancelled, run, until

DONE = TerminationMessage(RunnerOutcome.COMPLETED, value=1, has_value=True, recorded=True).to_text()
NO_STORE = TerminationMessage(RunnerOutcome.STORE_AWAY, "the store is away").to_text()
GRAPH = [{"name": "resize", "graph": {"secretRef": {"name": "graph"}}}]


async def refused(*_: object, **__: object) -> Any:
    raise RedisRefusedError("this user has no permissions to run the 'evalsha' command", "NOPERM")


class House:
    """An engine, its one Redis and its one cluster."""

    def __init__(self, **settings: Any) -> None:
        self.clock = LoopClock()
        self.server = VirtualServer()
        self.cluster = FakeCluster(self.clock.now)
        self.store = FakeStore()
        """Of the Secret `graph`."""
        self.events: list[Event] = []
        self.stopped = False
        self.engine = Engine(report=self.events.append, settings=EngineSettings(**settings), clock=self.clock)

    def serve(self, name: str = "ns/q", **spec: Any) -> JobQueueSpec:
        described = a_spec(**spec)
        stores = {"graph": self.store} if described.graph_secrets() else {}
        self.engine.put(Served(name, described, f"inst-{name}", self.server, self.cluster, stores))
        return described

    def queue(self, name: str = "q") -> MemoryQueue:
        return self.server.queue(name, "bull")

    async def add(self, name: str = "resize", queue: str = "q", **opts: Any) -> str:
        return await self.queue(queue).add(name, "{}", opts)

    def cancel(self, job_id: str, token: str) -> None:
        """As `bullpen cancel` does."""
        queue = self.queue()
        queue.redis.hash(queue.keys(job_id))[CANCEL_FIELD] = token

    async def state(self, job_id: str) -> str:
        return await self.queue().state(job_id)

    def told(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]

    @property
    def kube_jobs(self) -> list[FakeKubeJob]:
        return list(self.cluster.kube_jobs.values())

    async def status(self) -> QueueStatus:
        (status,) = await self.engine.status()
        return status

    async def start(self, kube_job: FakeKubeJob) -> None:
        """Its pod starts and binds."""
        pod = kube_job.pods[0]
        pod.start()
        self.cluster.tell(kube_job)
        attempt = kube_job.attempt
        await self.queue().hold(attempt.job_id, attempt.token, f"{attempt.token}#{pod.uid}", 40_000)

    async def give_back(self, kube_job: FakeKubeJob) -> None:
        """Its runner meets no store and exits."""
        await self.start(kube_job)
        kube_job.pods[0].end(ExitCode.GIVE_BACK, message=NO_STORE)
        self.cluster.tell(kube_job)

    async def complete(self, kube_job: FakeKubeJob) -> None:
        """Its runner completes the job and exits."""
        await self.start(kube_job)
        job = await self.queue().load(kube_job.attempt.job_id)
        assert job is not None
        await self.queue().complete(job, job.pb or "", "1")
        kube_job.pods[0].end(0, message=DONE)
        self.cluster.tell(kube_job)


@asynccontextmanager
async def running(house: House) -> AsyncIterator[House]:
    task = asyncio.create_task(house.engine.run())
    try:
        yield house
        assert house.stopped or not task.done(), "the engine ended by itself"
    finally:
        await cancelled(task)


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run the test in virtual time."""

    def in_virtual_time() -> None:
        run(test)

    in_virtual_time.__name__ = test.__name__
    return in_virtual_time


@virtual
async def test_a_job_is_claimed_and_launched_as_soon_as_it_is_added() -> None:
    house = House()
    house.serve()
    async with running(house):
        await asyncio.sleep(25)
        await house.add()
        assert await until(lambda: house.kube_jobs, 1) < 0.05


@virtual
async def test_a_job_runs_through_and_leaves_its_slot() -> None:
    house = House()
    house.serve()
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.complete(house.kube_jobs[0])
        await until(lambda: house.kube_jobs[0].recorded, 1)
        assert await house.state(job_id) == "completed"
        status = await house.status()
        assert (status.pending, status.running, status.attempts) == (0, 0, ())
        assert status.counts["completed"] == 1
        assert status.settled == {"completed": 1}
        kinds = [event.kind for event in house.events]
        assert kinds == [EventKind.CLAIMED, EventKind.LAUNCHED, EventKind.STARTED, EventKind.ENDED]


@virtual
async def test_a_cancel_is_heeded_within_a_quarter_of_the_lock_time_and_told_once() -> None:
    house = House()
    spec = house.serve()
    async with running(house):
        job_id = await house.add(attempts=3)
        await until(lambda: house.kube_jobs, 1)
        kube_job = house.kube_jobs[0]
        await house.start(kube_job)
        house.cancel(job_id, kube_job.attempt.token)
        await until(lambda: house.cluster.deleted, spec.lock_duration.total_seconds() / 4 + 0.1)
        kube_job.pods[0].end(143)
        house.cluster.tell(kube_job)
        assert await until(lambda: house.told(EventKind.SETTLED), 1) < 0.1
        assert await house.state(job_id) == "failed"
        assert [event.sentence for event in house.told(EventKind.SETTLED)] == ["cancelled"]
        assert house.cluster.deleted == [kube_job.name]


@virtual
async def test_a_cancel_of_an_earlier_attempt_is_not_for_this_one() -> None:
    house = House()
    house.serve()
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.cancel(job_id, "bullpen/inst-ns/q/earlier")
        await asyncio.sleep(150)
        assert house.cluster.deleted == []


@virtual
async def test_a_freed_slot_is_used_at_once() -> None:
    house = House()
    house.serve(concurrency=1)
    async with running(house):
        for _ in range(3):
            await house.add()
        for number in range(1, 4):
            await until(lambda number=number: len(house.kube_jobs) == number, 1)  # type: ignore[misc]
            await asyncio.sleep(3)
            assert len(house.kube_jobs) == number
            await house.complete(house.kube_jobs[-1])


@virtual
async def test_a_queue_that_regained_room_is_waited_on_again() -> None:
    house = House()
    house.serve(concurrency=1)
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(5)
        await house.complete(house.kube_jobs[0])
        await asyncio.sleep(3)
        await house.add()
        assert await until(lambda: len(house.kube_jobs) == 2, 1) < 0.05


@virtual
async def test_a_lost_wake_up_costs_at_most_ten_seconds() -> None:
    house = House()
    house.serve()
    async with running(house):
        await asyncio.sleep(1)
        house.server.lose_wakeups = True
        await house.add()
        assert 1 < await until(lambda: house.kube_jobs, 11) <= 10.1


@virtual
async def test_an_idle_queue_costs_one_empty_claim_per_ten_seconds_and_one_place_in_the_wait() -> None:
    house = House()
    for number in range(5):
        house.serve(f"ns/q{number}", queue=f"q{number}")
    async with running(house):
        await asyncio.sleep(5)
        house.server.asked.clear()
        house.server.waits.clear()
        await asyncio.sleep(100)
        assert 45 <= house.server.asked.count("moveToActive-11") <= 55
        assert set(house.server.waits) == {5}
        assert len(house.server.waits) <= 55


@virtual
async def test_a_full_queue_is_not_waited_on() -> None:
    house = House()
    house.serve("ns/q", concurrency=1)
    house.serve("ns/other", queue="other")
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(25)
        assert house.server.waits[-1] == 1


@virtual
async def test_queues_are_served_in_turns() -> None:
    house = House()
    for name in ("a", "b"):
        house.serve(f"ns/{name}", queue=name, concurrency=10)
        for _ in range(4):
            await house.add(queue=name)
    async with running(house):
        await until(lambda: len(house.kube_jobs) == 8, 1)
        order = [kube_job.attempt.queue for kube_job in house.kube_jobs]
        assert set(order[:2]) == set(order[2:4]) == {"a", "b"}


@virtual
async def test_a_delayed_job_is_claimed_when_it_is_due() -> None:
    house = House()
    house.serve()
    async with running(house):
        await asyncio.sleep(2)
        await house.add(delay=4_000)
        assert 3.9 < await until(lambda: house.kube_jobs, 10) < 4.2


@virtual
async def test_a_rate_limit_is_waited_for_and_not_asked_about() -> None:
    house = House()
    house.serve(rateLimit={"max": 1, "duration": "7s"}, concurrency=5)
    async with running(house):
        await house.add()
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        house.server.asked.clear()
        assert 6.5 < await until(lambda: len(house.kube_jobs) == 2, 10) < 7.5
        assert house.server.asked.count("moveToActive-11") <= 4


@virtual
async def test_nothing_is_claimed_before_the_first_complete_audit() -> None:
    house = House()
    house.serve()
    await house.add()
    house.cluster.fails.add("list")
    async with running(house):
        await asyncio.sleep(20)
        assert house.kube_jobs == []
        assert (await house.status()).audited_at is None
        house.cluster.fails.clear()
        await until(lambda: house.kube_jobs, 31)
        assert (await house.status()).audited_at is not None


@virtual
async def test_what_an_operator_before_left_behind_is_taken_over() -> None:
    house = House()
    house.serve(concurrency=1)
    await house.add()
    await house.add()
    await house.queue().claim("bullpen/inst-ns/q/left", 40_000)
    async with running(house):
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(30)
        (kube_job,) = house.kube_jobs
        assert kube_job.attempt.token == "bullpen/inst-ns/q/left"
        await house.complete(kube_job)
        await until(lambda: len(house.kube_jobs) == 2, 1)


@virtual
async def test_redis_away_is_told_once_and_what_was_left_is_repaired_when_it_is_back() -> None:
    house = House()
    house.serve()
    async with running(house):
        await asyncio.sleep(3)
        house.server.away = True
        await asyncio.sleep(30)
        house.server.away = False
        await house.add()
        await house.queue().claim("bullpen/inst-ns/q/unheard", 40_000)
        await until(lambda: house.kube_jobs, 6)
        assert [event.code for event in house.told(EventKind.AWAY)] == ["redis"]
        assert [event.code for event in house.told(EventKind.BACK)] == ["redis"]
        assert [event.code for event in house.told(EventKind.DRIFT)] == ["not-launched"]


@virtual
async def test_an_end_that_came_while_redis_was_away_is_settled_when_it_is_back() -> None:
    house = House()
    house.serve()
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.server.away = True
        house.kube_jobs[0].pods[0].end(3)
        house.cluster.tell(house.kube_jobs[0])
        await asyncio.sleep(10)
        house.server.away = False
        await until(lambda: house.kube_jobs[0].recorded, 10)
        assert await house.state(job_id) == "failed"


@virtual
async def test_a_launcher_away_stops_claiming_and_what_was_claimed_is_launched_later() -> None:
    house = House()
    house.serve()
    house.cluster.fails.add("launch")
    async with running(house):
        for _ in range(5):
            await house.add()
        await asyncio.sleep(40)
        active = await house.queue().active_ids()
        assert len(active) <= 3
        assert (await house.status()).degraded
        house.cluster.fails.clear()
        await until(lambda: len(house.kube_jobs) == 3, 31)
        assert [event.code for event in house.told(EventKind.AWAY)] == ["launcher"]
        assert (await house.status()).degraded == ""


@virtual
async def test_an_outage_of_the_store_burns_no_more_pods_than_run_at_once_and_is_told_once() -> None:
    house = House()
    house.serve(concurrency=3, jobTypes=GRAPH)
    async with running(house):
        jobs = [await house.add(attempts=1) for _ in range(20)]
        await until(lambda: len(house.kube_jobs) == 3, 1)
        house.store.away = True
        for kube_job in house.kube_jobs:
            await house.give_back(kube_job)
        await asyncio.sleep(3 * 3600)
        assert len(house.kube_jobs) == 3
        assert len(house.server.redis.hash("bull:q:bullpen:outbox")) == 3
        assert len(house.store.asked) < 3 * 3600 / 4.5
        status = await house.status()
        assert (status.reason, status.stopped, status.undelivered) == ("StoreAway", True, 3)
        assert status.degraded == f"{GONE}; no job is claimed until it is back"
        assert house.told(EventKind.DRIFT) == []
        house.store.away = False
        await until(lambda: len(house.kube_jobs) == 6, 6)
        while any(not kube_job.recorded for kube_job in house.kube_jobs):
            for kube_job in [one for one in house.kube_jobs if not one.recorded]:
                await house.complete(kube_job)
            await asyncio.sleep(2)
        assert [await house.state(job_id) for job_id in jobs] == ["completed"] * 20
        assert len(house.kube_jobs) == 23
        assert len(house.store.graphs) == 3
        assert not house.server.redis.exists("bull:q:bullpen:outbox")
        assert [event.kind for event in house.events if event.code == "store"] == [
            EventKind.DEGRADED, EventKind.RECOVERED,
        ]  # fmt: skip
        assert (await house.status()).degraded == ""


@virtual
async def test_a_queue_of_another_store_goes_on_while_one_is_away() -> None:
    house = House()
    house.serve(jobTypes=GRAPH)
    house.serve("ns/other", queue="other")
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        house.store.away = True
        await house.give_back(house.kube_jobs[0])
        await asyncio.sleep(5)
        await house.add(queue="other")
        await until(lambda: len(house.kube_jobs) == 2, 1)


@virtual
async def test_a_new_engine_on_a_store_that_is_still_away_soon_claims_nothing() -> None:
    house = House()
    house.serve(concurrency=1, jobTypes=GRAPH)
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        house.store.away = True
        await house.give_back(house.kube_jobs[0])
        await asyncio.sleep(1)
    house.engine = Engine(report=house.events.append, clock=house.clock)
    house.serve(concurrency=1, jobTypes=GRAPH)
    async with running(house):
        await until(lambda: len(house.told(EventKind.DEGRADED)) == 2, 2)
        await asyncio.sleep(100)
        assert len(house.kube_jobs) <= 2
        house.store.away = False
        await until(lambda: house.store.graphs, 6)


@virtual
async def test_a_removed_job_queue_is_forgotten_when_its_records_are_delivered_or_can_t_be() -> None:
    house = House()
    house.serve(concurrency=1, jobTypes=GRAPH)
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.engine.remove("ns/q")
        house.store.away = True
        house.kube_jobs[0].pods[0].end(137)
        house.cluster.tell(house.kube_jobs[0])
        await asyncio.sleep(5)
        assert await house.engine.status() == ()
        assert len(house.server.redis.hash("bull:q:bullpen:outbox")) == 1, "for whoever serves the queue again"


@virtual
async def test_a_drain_delivers_what_it_gave_back() -> None:
    house = House()
    house.serve(jobTypes=GRAPH)

    def told_to_end(kube_job: FakeKubeJob) -> None:
        kube_job.pods[0].end(143)
        house.cluster.tell(kube_job)

    house.cluster.on_delete = told_to_end
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.stopped = True
        await at_once(house.engine.stop(drain=True), 10)
        assert len(house.store.graphs) == 1
        assert not house.server.redis.exists("bull:q:bullpen:outbox")


@virtual
async def test_redis_away_shows_in_the_status() -> None:
    house = House()
    house.serve()
    async with running(house):
        await asyncio.sleep(1)
        house.server.away = True
        status = await house.status()
        assert (status.reason, status.stopped) == ("RedisAway", True)
        assert status.degraded == "Redis does not answer (connection refused); jobs wait where they are"


@virtual
async def test_a_redis_that_may_lose_jobs_is_not_claimed_from_until_it_is_fit() -> None:
    house = House()
    house.server.unfit = "Redis may evict jobs"
    house.serve()
    async with running(house):
        job_id = await house.add()
        await asyncio.sleep(30)
        status = await house.status()
        assert (status.reason, status.degraded, status.stopped) == ("RedisUnfit", "Redis may evict jobs", True)
        assert (await house.state(job_id), house.kube_jobs) == ("waiting", [])
        house.server.unfit = None
        await until(lambda: house.kube_jobs, 6)
        assert not (await house.status()).degraded
        assert [event.code for event in house.told(EventKind.AWAY)] == ["redis"]
        assert [event.code for event in house.told(EventKind.BACK)] == ["redis"]


@virtual
async def test_a_claim_that_redis_refuses_shows_in_the_status_until_it_is_let_through() -> None:
    house = House()
    house.serve()
    queue = house.queue()
    claim, house.queue().claim = queue.claim, refused  # type: ignore[method-assign]
    async with running(house):
        await house.add()
        await asyncio.sleep(5)
        status = await house.status()
        assert (status.reason, status.stopped) == ("RedisRefused", True)
        assert "no permissions to run the 'evalsha' command" in status.degraded
        queue.claim = claim  # type: ignore[method-assign]
        await until(lambda: house.kube_jobs, 6)
        assert not (await house.status()).degraded


@virtual
async def test_no_more_is_claimed_than_a_launcher_has_room_for_whichever_queue_it_is_of() -> None:
    house = House()
    house.cluster.room = 5
    house.serve("ns/q", concurrency=100)
    house.serve("ns/r", queue="r", concurrency=100)
    async with running(house):
        for _ in range(20):
            await house.add()
            await house.add(queue="r")
        await asyncio.sleep(3)
        assert len(house.kube_jobs) == 5
        claimed = [await house.queue(name).active_ids() for name in ("q", "r")]
        assert sum(map(len, claimed)) == 5
        house.cluster.room = 7
        await until(lambda: len(house.kube_jobs) == 7, 1)
        await asyncio.sleep(3)
        assert len(house.kube_jobs) == 7


@virtual
async def test_an_audit_that_redis_refuses_shows_in_the_status_until_it_is_let_through() -> None:
    house = House()
    house.serve()
    queue = house.queue()
    active_ids, queue.active_ids = queue.active_ids, refused  # type: ignore[method-assign]
    async with running(house):
        await asyncio.sleep(3)
        status = await house.status()
        assert (status.reason, status.stopped, status.audited_at) == ("RedisRefused", True, None)
        queue.active_ids = active_ids  # type: ignore[method-assign]
        await asyncio.sleep(40)
        assert not (await house.status()).degraded


@virtual
async def test_an_audit_that_does_not_go_through_says_why() -> None:
    house = House()
    house.cluster.fails = {"list"}
    house.serve()
    async with running(house):
        await asyncio.sleep(3)
        assert (await house.status()).audit_trouble == "list: 503"
        house.cluster.fails = set()
        await asyncio.sleep(30)
        assert (await house.status()).audit_trouble == ""


@virtual
async def test_a_pending_attempt_keeps_its_lock_for_as_long_as_it_takes() -> None:
    house = House()
    house.serve(jobTypes=[{"name": "resize", "startTimeout": "1h"}])
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(600)
        assert (await house.queue().location(job_id)).lock
        assert house.told(EventKind.DRIFT) == []


@virtual
async def test_a_refused_spec_is_probed_ever_more_rarely_until_it_is_mended() -> None:
    house = House()
    house.serve(jobTypes=[{"name": "resize"}, {"name": "thumb"}])
    house.cluster.refusal = ConfigurationFaultError("no image")
    for _ in range(4):
        await house.add()
    async with running(house):
        await asyncio.sleep(100)
        tries = len(house.cluster.launches)
        assert tries <= 3 + 4, "at first as many as there is room for, then probes after 10, 20 and 40 s"
        assert (await house.status()).degraded == "job type 'resize': no image"
        house.cluster.refusal = None
        await until(lambda: house.kube_jobs, 81)
        await house.complete(house.kube_jobs[0])
        await until(lambda: len(house.kube_jobs) > 1, 20)
        assert (await house.status()).degraded == ""
        assert [event.kind for event in house.events if event.code == "breaker"] == [
            EventKind.DEGRADED, EventKind.RECOVERED,
        ]  # fmt: skip


@virtual
async def test_a_changed_spec_holds_at_once_and_leaves_running_attempts_alone() -> None:
    house = House()
    house.serve(concurrency=1)
    async with running(house):
        for _ in range(3):
            await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(5)
        house.serve(concurrency=2)
        await until(lambda: len(house.kube_jobs) == 2, 0.1)
        house.serve(concurrency=1, suspend=True)
        await asyncio.sleep(200)
        assert house.cluster.deleted == []
        assert len(house.kube_jobs) == 2
        house.serve(concurrency=3)
        await until(lambda: len(house.kube_jobs) == 3, 0.1)


@virtual
async def test_a_removed_job_queue_claims_no_more_and_is_forgotten_when_its_attempts_have_ended() -> None:
    house = House()
    house.serve(concurrency=1)
    async with running(house):
        job_id = await house.add()
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.engine.remove("ns/q")
        await asyncio.sleep(100)
        (status,) = await house.engine.status()
        assert status.leaving
        assert house.cluster.deleted == []
        await house.complete(house.kube_jobs[0])
        await asyncio.sleep(5)
        assert await house.engine.status() == ()
        assert await house.state(job_id) == "completed"
        assert len(house.kube_jobs) == 1
        house.server.asked.clear()
        await asyncio.sleep(100)
        assert house.server.asked == []


def ends_when_told(house: House) -> None:
    """What runs ends as a runner does that gets SIGTERM."""

    def told_to_end(kube_job: FakeKubeJob) -> None:
        if kube_job.pods[0].started:
            kube_job.pods[0].end(143)
            house.cluster.tell(kube_job)

    house.cluster.on_delete = told_to_end


@virtual
async def test_a_deleted_job_queue_gives_back_what_runs_and_what_starts_and_spends_no_attempt() -> None:
    house = House()
    house.serve(concurrency=2, defaults={"giveBack": {"max": 0}})
    ends_when_told(house)
    async with running(house):
        for _ in range(3):
            await house.add(attempts=1)
        await until(lambda: len(house.kube_jobs) == 2, 1)
        await house.start(house.kube_jobs[0])
        house.engine.remove("ns/q", drain=True)
        await until(lambda: house.engine.empty, 5)
        assert [await house.state(job_id) for job_id in ("1", "2", "3")] == ["delayed", "delayed", "waiting"]
        assert all("atm" not in house.server.redis.hash(f"bull:q:{job_id}") for job_id in ("1", "2", "3"))
        assert [event.code for event in house.told(EventKind.GIVEN_BACK)] == ["closing", "closing"]
        assert house.told(EventKind.DRIFT) == []
        assert house.kube_jobs == []


@virtual
async def test_nothing_of_a_deleted_job_queue_has_more_grace_than_a_minute_and_a_drain_shortens_none() -> None:
    house = House(drain_timeout_s=60.0)
    house.serve()
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.engine.remove("ns/q", drain=True)
        await until(lambda: house.cluster.deleted, 2)
        [grace_s] = house.cluster.graces
        assert grace_s is not None
        assert 58 < grace_s <= 60
        house.serve("ns/r", queue="r")
        await house.add(queue="r")
        await until(lambda: len(house.kube_jobs) == 2, 1)
        house.stopped = True
        await house.engine.stop(drain=True)
        assert house.cluster.graces[1:] == [None]


@virtual
async def test_a_job_queue_that_comes_back_while_it_is_drained_runs_its_jobs_again() -> None:
    house = House()
    house.serve(defaults={"giveBack": {"delay": "1s"}})
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        [first] = house.kube_jobs
        await house.start(first)
        house.engine.remove("ns/q", drain=True)
        await until(lambda: house.cluster.deleted, 5)
        house.serve(defaults={"giveBack": {"delay": "1s"}})
        first.pods[0].end(143)
        house.cluster.tell(first)
        house.cluster.tidy()
        await until(lambda: house.kube_jobs, 5)
        [second] = house.kube_jobs
        await house.complete(second)
        assert await house.state(job_id) == "completed"
        await asyncio.sleep(100)
        assert house.cluster.deleted == [first.name], "nothing of the new one was told to end"
        assert not (await house.status()).leaving


@virtual
async def test_a_job_queue_that_moves_to_another_queue_keeps_what_runs() -> None:
    house = House()
    house.serve()
    async with running(house):
        job_id = await house.add()
        await until(lambda: house.kube_jobs, 1)
        await house.start(house.kube_jobs[0])
        house.serve(queue="new")
        await house.add(queue="new")
        await until(lambda: len(house.kube_jobs) == 2, 1)
        await asyncio.sleep(200)
        assert house.cluster.deleted == []
        await house.complete(house.kube_jobs[0])
        await asyncio.sleep(5)
        assert await house.state(job_id) == "completed"
        assert [status.queue for status in await house.engine.status()] == ["new"]


@virtual
async def test_a_drain_gives_running_attempts_back_and_spends_no_attempt() -> None:
    house = House()
    house.serve()
    ends_when_told(house)
    async with running(house):
        for _ in range(3):
            await house.add(attempts=1)
        await until(lambda: len(house.kube_jobs) == 3, 1)
        await house.start(house.kube_jobs[0])
        house.stopped = True
        await at_once(house.engine.stop(drain=True), 10)
        assert house.told(EventKind.DRIFT) == []
        for job_id in ("1", "2", "3"):
            assert await house.state(job_id) == "delayed"
            assert "atm" not in house.server.redis.hash(f"bull:q:{job_id}")
        assert len(house.told(EventKind.GIVEN_BACK)) == 3


@virtual
async def test_a_drain_ends_when_its_time_is_over() -> None:
    house = House(drain_timeout_s=20.0)
    house.serve()
    task = asyncio.create_task(house.engine.run())
    await house.add()
    await until(lambda: house.kube_jobs, 1)
    await house.start(house.kube_jobs[0])
    began = house.clock.monotonic()
    await house.engine.stop(drain=True)
    assert 19 <= house.clock.monotonic() - began <= 22
    assert task.done()


@virtual
async def test_stopping_without_a_drain_leaves_everything_to_the_next_engine() -> None:
    house = House()
    house.serve()
    task = asyncio.create_task(house.engine.run())
    job_id = await house.add()
    await until(lambda: house.kube_jobs, 1)
    await house.start(house.kube_jobs[0])
    await house.engine.stop()
    assert task.done()
    assert house.cluster.deleted == []
    assert await house.state(job_id) == "active"
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("bullpen")]


@virtual
async def test_an_engine_that_never_ran_can_be_stopped() -> None:
    house = House()
    house.serve()
    await house.engine.stop(drain=True)
    house.engine.remove("ns/q")
    house.engine.remove("nobody")


@virtual
async def test_a_watch_that_breaks_is_taken_up_again() -> None:
    house = House()
    house.serve()
    changes = house.cluster.changes

    async def broken_changes() -> AsyncIterator[KubeJobSeen]:
        house.cluster.changes = changes  # type: ignore[method-assign]
        raise LauncherUnavailableError("watch broke")
        yield

    house.cluster.changes = broken_changes  # type: ignore[method-assign]
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(3)
        await house.complete(house.kube_jobs[0])
        await until(lambda: house.kube_jobs[0].recorded, 1)


@virtual
async def test_an_unexpected_error_over_one_job_does_not_stop_the_others() -> None:
    house = House()
    house.serve(concurrency=10)
    load = house.queue().load

    async def choke(job_id: str) -> Any:
        if job_id == "1":
            raise RuntimeError("a bug")
        return await load(job_id)

    house.queue().load = choke  # type: ignore[method-assign]
    house.cluster.refusal = ConfigurationFaultError("no")
    async with running(house):
        await house.add()
        await until(lambda: house.cluster.launches, 1)
        house.cluster.refusal = None
        await house.add()
        await until(lambda: any(one.attempt.job_id == "2" for one in house.kube_jobs), 70)


@virtual
async def test_the_status_shows_attempts_oldest_first_with_stage_and_reason() -> None:
    house = House()
    house.serve(concurrency=5)
    async with running(house):
        await house.add()
        await until(lambda: house.kube_jobs, 1)
        await asyncio.sleep(10)
        await house.add(name="resize")
        await until(lambda: len(house.kube_jobs) == 2, 1)
        await house.start(house.kube_jobs[0])
        house.kube_jobs[1].suspended = True
        house.cluster.tell(house.kube_jobs[1])
        await asyncio.sleep(1)
        status = await house.status()
        assert (status.pending, status.running, status.concurrency) == (1, 1, 5)
        first, second = status.attempts
        assert (first.job_id, first.stage) == ("1", "running")
        assert 11 <= first.age_s <= 12
        assert (second.job_id, second.stage) == ("2", "pending")
        assert second.waiting == "its KubeJob is suspended, to be released by whoever suspended it"
        house.server.away = True
        assert (await house.status()).counts == {}


@pytest.mark.parametrize("secret", ["hunter2"])
def test_one_line_is_logged_per_transition_and_never_a_payload(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        house = House()
        house.serve()
        async with running(house):
            await house.queue().add("resize", f'{{"password": "{secret}"}}', {})
            await until(lambda: house.kube_jobs, 1)
            await house.complete(house.kube_jobs[0])
            await until(lambda: house.kube_jobs[0].recorded, 1)

    with caplog.at_level("INFO", logger="bullpen_operator"):
        run(main)
    lines = [record for record in caplog.records if record.levelname in ("INFO", "WARNING")]
    assert [record.getMessage() for record in lines] == ["claimed", "launched", "started", "ended"]
    assert all(record.__dict__["job_id"] == "1" for record in lines)
    assert secret not in repr([record.__dict__ for record in caplog.records])
