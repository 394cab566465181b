"""What people at a terminal ask of a queue, by both clients, also when an answer is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from bullpen_protocol.bullmq import (
    AsyncQueue,
    CancelResult,
    Code,
    ConsoleQueue,
    QueueError,
    Standing,
    browsing,
    cancelling,
    connect,
    connect_async,
    retrying,
    standing,
)
from fakes.plan import claim, run_all
from fakes.redis_proxy import Fault, RedisProxy, script
from servers.node import VERSIONS
from servers.pools import Nodes
from servers.redis import RedisServer

THROW = json.dumps({"plan": [{"throw": "broke"}]})


@pytest.fixture
def console(client: redis.Redis, prefix: str) -> ConsoleQueue:
    return ConsoleQueue(client, "q", prefix)


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[RedisProxy]:
    with RedisProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: RedisProxy, prefix: str) -> Iterator[ConsoleQueue]:
    client = connect(f"{proxy.url}?socket_timeout=0.2")
    yield ConsoleQueue(client, "q", prefix)
    client.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_waiting_jobs_are_listed_in_the_order_in_which_they_run(
    version: str, server: RedisServer, console: ConsoleQueue, node: Nodes, prefix: str
) -> None:
    theirs = node(version).queue(server.url, "q", prefix)
    ids = [theirs.add("n", {}) for _ in range(4)] + [theirs.add("n", {}, {"priority": p}) for p in (9, 2)]
    first = theirs.add("n", {}, {"lifo": True})
    told = console.ids("waiting", 9) + console.ids("prioritized", 9)
    assert told == [first, *ids[:4], ids[5], ids[4]]
    assert [console.standing(job_id).before for job_id in told] == list(range(7))
    assert [console.ids("waiting", 2, skip) for skip in (0, 2, 4, 6)] == [told[:2], told[2:4], told[4:5], []]
    assert [claim(console).job.id for _ in told] == told
    assert console.ids("active", 9) == told
    assert console.ids("active", 2, 5) == told[5:]


def test_jobs_of_a_paused_queue_come_after_those_that_an_old_client_left(
    console: ConsoleQueue, client: redis.Redis
) -> None:
    client.rpush(console.keys("wait"), "0:123", "b", "a")
    client.rpush(console.keys("paused"), "d", "c")
    assert console.ids("waiting", 9) == ["a", "b", "c", "d"]
    assert [console.ids("waiting", 2, skip) for skip in (0, 3)] == [["a", "b"], ["c", "d"]]


def test_a_summary_holds_neither_data_nor_value_and_leaves_out_what_is_gone(console: ConsoleQueue) -> None:
    job_id = console.add("n", '{"secret": 1}', {"attempts": 2})
    run_all(console)
    [summary] = console.summaries([job_id, "gone", "meta"])
    assert (summary.id, summary.name, summary.attempts, summary.atm) == (job_id, "n", 2, 1)
    assert (summary.data, summary.returnvalue) == ("", None)


def test_a_standing_tells_what_holds_a_job(console: ConsoleQueue, client: redis.Redis) -> None:
    job_id = console.add("n", "{}", {})
    client.hset(console.keys("meta"), mapping={"concurrency": "1", "max": "2", "duration": "60000"})
    client.set(console.keys("limiter"), "2", px=60_000)
    claim_of_another = console.add("n", "{}", {})
    found = console.standing(job_id)
    assert 0 < found.held_ms <= 60_000
    assert found == Standing("waiting", 0, 0, False, 1, 0, 2, 2, found.limiter_ms, 0)
    client.delete(console.keys("limiter"))
    claim(console)
    assert console.standing(claim_of_another).full


def test_a_log_is_read_from_its_end(console: ConsoleQueue) -> None:
    job_id = console.add("n", "{}", {})
    for line in ("one", "two", "drei ü"):
        console.log(job_id, line)
    assert console.logs(job_id, 2) == (["two", "drei ü"], 3)
    assert console.logs("gone", 2) == ([], 0)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.NO_REPLY])
def test_a_retry_whose_answer_is_lost_is_not_made_twice(
    fault: Fault, console: ConsoleQueue, shaky: ConsoleQueue, proxy: RedisProxy
) -> None:
    job_id = console.add("n", THROW, {})
    run_all(console)
    [job] = console.summaries([job_id])
    rule = proxy.on(script("reprocessJob-8"), fault)
    shaky.retry(job)
    assert rule.done == 1
    assert console.ids("waiting", 9) == [job_id]
    with pytest.raises(QueueError) as refused:
        shaky.retry(job)
    assert refused.value.code is Code.NOT_ACTIVE
    assert console.ids("waiting", 9) == [job_id]


@pytest.mark.parametrize("lost", ["cancel", "promote-9", "changePriority-7"])
def test_a_cancel_whose_answer_is_lost_is_asked_again(
    lost: str, console: ConsoleQueue, shaky: ConsoleQueue, proxy: RedisProxy
) -> None:
    console.add("n", "{}", {})
    job_id = console.add("n", "{}", {"delay": 600_000})
    rule = proxy.on(script(lost), Fault.LOSE_REPLY)
    assert shaky.cancel(job_id) is CancelResult.NEXT_CLAIM
    assert rule.done == 1
    assert claim(console).job.defa == "cancelled"
    assert len(console.ids("waiting", 9)) == 1


async def test_the_async_client_carries_the_same_operations_out(server: RedisServer, prefix: str) -> None:
    client = connect_async(server.url)
    queue = AsyncQueue(client, "q", prefix)
    try:
        job_id = await queue.add("n", THROW, {})
        assert await queue.run(browsing.scan_queues(queue.keys)) is not None
        assert await queue.run(cancelling.cancel(queue.keys, job_id)) is CancelResult.NEXT_CLAIM
        claimed = await queue.claim("T", 30_000)
        await queue.fail(claimed.job, "T", "cancelled")  # type: ignore[union-attr]
        [job] = await queue.run(browsing.summaries(queue.keys, [job_id]))
        await queue.run(retrying.retry(queue.keys, job))
        assert (await queue.run(standing.standing(queue.keys, job_id))).state == "waiting"
    finally:
        await client.aclose()
