"""One of several operators serves, and two that both believe to do so harm no job."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from bullpen_operator.engine import Engine, EngineSettings
from bullpen_operator.kube import KubeApi
from bullpen_operator.lease import DURATION_S, Election, Move, Observed, leases
from bullpen_operator.served import Served
from fakes.api_server import FakeApiServer, status
from fakes.cluster import FakeCluster
from fakes.operators import a_spec
from fakes.virtual import LoopClock, VirtualServer, run, until


def lease(holder: str, renewed: str = "t1") -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}}


def test_a_lease_is_taken_when_it_has_not_changed_for_its_duration_by_our_own_clock() -> None:
    seen = Observed()
    assert seen.see(None, "me", 0.0) is Move.CREATE
    assert seen.see(lease("other"), "me", 100.0) is Move.WAIT
    assert seen.see(lease("other"), "me", 114.0) is Move.WAIT
    assert seen.see(lease("other", "t2"), "me", 114.5) is Move.WAIT
    assert seen.see(lease("other", "t2"), "me", 114.5 + DURATION_S) is Move.TAKE
    assert seen.see(lease(""), "me", 200.0) is Move.TAKE
    assert seen.see(lease("me"), "me", 200.0) is Move.RENEW


class Rig:
    def __init__(self, server: FakeApiServer, api: KubeApi) -> None:
        self.server, self.api, self.now = server, api, 1000.0

    def election(self, identity: str) -> Election:
        return Election(self.api, "ns", "bullpen", identity, lambda: self.now)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.server.objects[leases("ns")]["bullpen"]["spec"]
        return spec


@pytest.fixture
def rig(server: FakeApiServer, api: KubeApi) -> Rig:
    return Rig(server, api)


async def test_the_first_gets_it_and_the_second_waits_until_it_is_released(rig: Rig) -> None:
    first, second = rig.election("one"), rig.election("two")
    await first.acquire()
    assert not await second._guarded()
    await first.release()
    await second.acquire()
    assert (rig.spec["holderIdentity"], rig.spec["leaseTransitions"]) == ("two", 1)


async def test_the_second_takes_over_from_one_that_vanished(rig: Rig) -> None:
    await rig.election("one").acquire()
    second = rig.election("two")
    assert not await second._guarded()
    rig.now += DURATION_S
    assert await second._guarded()
    assert rig.spec["holderIdentity"] == "two"


async def test_of_two_that_take_it_at_once_one_gets_it(rig: Rig) -> None:
    await rig.election("gone").acquire()
    rivals = [rig.election(name) for name in ("one", "two")]
    for rival in rivals:
        await rival._guarded()
    rig.now += DURATION_S
    held = await asyncio.gather(*(rival._guarded() for rival in rivals))
    assert sorted(held) == [False, True]


async def test_a_holder_that_lost_it_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bullpen_operator.lease.RETRY_S", 0.01)
    first = rig.election("one")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    body = rig.server.objects[leases("ns")]["bullpen"]
    await rig.server.put(leases("ns"), body | {"spec": body["spec"] | {"holderIdentity": "two", "renewTime": "now"}})
    await asyncio.wait_for(keeping, 5)
    await first.release()
    assert rig.spec["holderIdentity"] == "two", "what is another's is not released"


async def test_one_that_can_t_renew_stops_before_another_may_begin(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bullpen_operator.lease.RETRY_S", 0.01)
    first = rig.election("one")
    await first.acquire()
    rig.server.fail_next = [status(500, "InternalError") for _ in range(1000)]
    keeping = asyncio.create_task(first.keep())
    await asyncio.sleep(0)
    rig.now += 10.0
    await asyncio.wait_for(keeping, 5)
    assert rig.now - 1000.0 < DURATION_S


JOBS = 40


def test_two_operators_that_both_believe_to_hold_the_lease_lose_and_double_nothing() -> None:
    async def main() -> None:
        server, clock = VirtualServer(), LoopClock()
        cluster = FakeCluster(clock.now)
        queue = server.queue("q", "bull")
        served = Served("ns/q", a_spec(concurrency=5), "inst", server, cluster)
        engines = [Engine(settings=EngineSettings(audit_interval_s=5.0), clock=clock) for _ in range(2)]
        running = []
        for engine in engines:
            engine.put(served)
            running.append(asyncio.create_task(engine.run()))
        ids = [await queue.add("resize", "{}", {}) for _ in range(JOBS)]
        ending = asyncio.create_task(_play(cluster, queue))
        done = lambda: len(server.redis.zset("bull:q:completed")) == JOBS  # noqa: E731
        await until(done, 600, "all jobs completed")
        for engine in engines:
            await engine.stop()
        ending.cancel()
        await asyncio.gather(*running, ending, return_exceptions=True)
        heard = Counter(
            (entry["jobId"], entry["event"]) for entry in server.redis.events["bull:q:events"] if "jobId" in entry
        )
        assert {heard[job_id, "active"] for job_id in ids} == {1}
        assert {heard[job_id, "completed"] for job_id in ids} == {1}
        assert len(cluster.kube_jobs) == JOBS
        assert all(len(one.pods) == 1 for one in cluster.kube_jobs.values())

    run(main)


async def _play(cluster: FakeCluster, queue: Any) -> None:
    """Runners: each pod binds its attempt, and ends having said what it returned."""
    while True:
        for kube_job in list(cluster.kube_jobs.values()):
            pod = kube_job.pods[0]
            if not pod.started:
                pod.start()
                fence = f"{kube_job.attempt.token}#{pod.uid}"
                await queue.hold(kube_job.attempt.job_id, kube_job.attempt.token, fence, 40_000)
            elif pod.terminated is None:
                pod.end(0, message='{"outcome": "completed", "reason": "", "value": 1}')
            cluster.tell(kube_job)
        await asyncio.sleep(0.5)
