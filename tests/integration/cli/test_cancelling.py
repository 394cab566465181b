"""`bullpen cancel` before a job runs and while it runs: one `failed`, whoever looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from bullpen_protocol.bullmq import CancelResult, ConsoleQueue, Empty
from fakes.plan import LOCK_MS, claim, new_token, run, run_all
from servers.command import Bullpen
from servers.pools import Nodes
from servers.redis import RedisServer

GOOD = json.dumps({"plan": [{"return": 1}]})


def events(client: redis.Redis, queue: ConsoleQueue, job_id: str) -> list[str]:
    listed: Any = client.xrange(queue.keys("events"))
    return [event["event"] for _, event in listed if event.get("jobId") == job_id]


@pytest.mark.parametrize(
    ("options", "before", "seen"),
    [
        ({}, 3, ["added", "waiting", "active", "failed"]),
        ({"delay": 600_000}, 3, ["added", "delayed", "waiting", "active", "failed"]),
        ({"priority": 5}, 0, ["added", "waiting", "active", "failed"]),
        ({"priority": 5, "delay": 600_000}, 0, ["added", "delayed", "waiting", "active", "failed"]),
    ],
    ids=["waiting", "delayed", "prioritized", "delayed-and-prioritized"],
)
def test_a_job_that_does_not_run_yet_goes_to_the_front_and_fails_when_it_is_claimed(
    *,
    options: dict[str, int],
    before: int,
    seen: list[str],
    server: RedisServer,
    client: redis.Redis,
    queue: ConsoleQueue,
    node: Nodes,
    bullpen: Bullpen,
    prefix: str,
) -> None:
    ahead = [queue.add("n", GOOD, {}) for _ in range(before)]
    job_id = queue.add("n", GOOD, {"attempts": 5, **options}, "mine")
    producer = node("5.7.0").queue(server.url, "q", prefix)
    producer.watch([job_id])
    said = bullpen("cancel", "q", job_id, "--no-wait")
    assert said.code == 0
    assert said.out == (
        "job mine: it does not run yet; it is next now and fails, without running, when it is claimed\n"
    )
    token = new_token()
    job = claim(queue, token).job
    assert job.id == job_id
    run(queue, job, token)
    assert producer.ended([job_id]) == {job_id: {"error": "cancelled"}}
    assert events(client, queue, job_id)[: len(seen)] == seen
    assert events(client, queue, job_id).count("failed") == 1
    assert run_all(queue) == len(ahead)
    assert bullpen("retry", "q", job_id).code == 0
    run_all(queue)
    assert queue.state(job_id) == "completed"  # retried, it is not cancelled any more


@pytest.mark.parametrize("version", ["5.81.5", "6"])
def test_a_worker_of_node_s_fails_a_cancelled_job_as_bullpen_does(
    version: str, server: RedisServer, client: redis.Redis, queue: ConsoleQueue, node: Nodes, prefix: str
) -> None:
    theirs = node(version).queue(server.url, "q", prefix)
    job_id = theirs.add("n", {"plan": [{"return": 1}]}, {"attempts": 3})
    assert queue.cancel(job_id) is CancelResult.NEXT_CLAIM
    theirs.work()
    job = queue.load(job_id)
    assert job is not None
    assert (theirs.state(job_id), job.failed_reason) == ("failed", "cancelled")
    assert events(client, queue, job_id) == ["added", "waiting", "active", "failed"]


def test_cancelling_twice_changes_nothing_more(queue: ConsoleQueue) -> None:
    job_id = queue.add("n", GOOD, {})
    assert queue.cancel(job_id) is queue.cancel(job_id) is CancelResult.NEXT_CLAIM
    assert queue.ids("waiting", 10) == [job_id]


def test_while_a_queue_is_paused_nobody_waits_for_its_jobs(
    queue: ConsoleQueue, client: redis.Redis, bullpen: Bullpen
) -> None:
    client.hset(queue.keys("meta"), "paused", "1")
    job_id = queue.add("n", GOOD, {})
    said = bullpen("cancel", "q", job_id)
    assert said.code == 0
    assert said.out.endswith("; the queue is paused, so that is after it is resumed\n")
    assert isinstance(queue.claim(new_token(), LOCK_MS), Empty)
    client.hdel(queue.keys("meta"), "paused")
    client.rename(queue.keys("paused"), queue.keys("wait"))
    run_all(queue)
    assert queue.state(job_id) == "failed"


@pytest.mark.parametrize("bound", [False, True], ids=["claimed", "bound"])
@pytest.mark.parametrize("locked", [True, False], ids=["locked", "lock-ran-out"])
def test_a_running_attempt_is_marked_with_its_token_for_its_operator(
    bound: bool, locked: bool, queue: ConsoleQueue, client: redis.Redis
) -> None:
    queue.add("n", GOOD, {})
    token = new_token()
    job = claim(queue, token).job
    if bound:
        queue.hold(job.id, token, f"{token}#uid", LOCK_MS)
    if not locked:
        client.delete(queue.keys.lock(job.id))
    assert queue.cancel(job.id) is CancelResult.ATTEMPT
    assert queue.location(job.id).cancel == token
    assert queue.location(job.id).defa is None


def test_a_job_that_is_gone_leaves_no_key_behind(queue: ConsoleQueue, client: redis.Redis, prefix: str) -> None:
    assert queue.cancel("404") is CancelResult.GONE
    assert client.keys(f"{prefix}:*404*") == []


def with_lock(value: str) -> Callable[[ConsoleQueue, redis.Redis], str]:
    def arrange(queue: ConsoleQueue, client: redis.Redis) -> str:
        job_id = queue.add("n", GOOD, {})
        claim(queue)
        client.set(queue.keys.lock(job_id), value)
        return job_id

    return arrange


def of_node(queue: ConsoleQueue, client: redis.Redis) -> str:
    job_id = queue.add("n", GOOD, {})
    queue.claim("abc:1", LOCK_MS, name="worker-1")
    return job_id


def ended(queue: ConsoleQueue, client: redis.Redis) -> str:
    job_id = queue.add("n", GOOD, {})
    run_all(queue)
    return job_id


def parent(queue: ConsoleQueue, client: redis.Redis) -> str:
    client.hset(queue.keys("parent"), mapping={"name": "n", "opts": "{}", "data": "{}"})
    client.zadd(queue.keys("waiting-children"), {"parent": 1})
    client.sadd(queue.keys("parent:dependencies"), "a", "b")
    return "parent"


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        pytest.param(
            with_lock("abc:1"), "only its own worker can end it. Job 1 of queue q is active, not under", id="lock"
        ),
        pytest.param(
            of_node, "only its own worker can end it. Job 1 of queue q is active, not under Bullpen", id="worker"
        ),
        pytest.param(ended, "there is nothing to cancel. Job 1 of queue q completed ", id="ended"),
        pytest.param(
            parent, "cancel its children; it follows them. Job parent of queue q waits for 2 children", id="parent"
        ),
        pytest.param(lambda *_: "404", "There is no job 404 in queue q", id="gone"),
    ],
)
def test_what_can_t_be_cancelled_is_left_alone_and_told(
    arrange: Callable[[ConsoleQueue, redis.Redis], str],
    says: str,
    queue: ConsoleQueue,
    client: redis.Redis,
    bullpen: Bullpen,
) -> None:
    job_id = arrange(queue, client)
    before = client.hgetall(queue.keys(job_id))
    said = bullpen("cancel", "q", job_id)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"bullpen cancel: job {job_id} was not cancelled: {says}")
    assert client.hgetall(queue.keys(job_id)) == before


def test_nobody_who_serves_the_queue_is_said_in_time(queue: ConsoleQueue, bullpen: Bullpen) -> None:
    job_id = queue.add("n", GOOD, {})
    said = bullpen("cancel", "q", job_id, "--timeout", "1")
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        "bullpen cancel: job 1 was not cancelled: it has not ended in time; does an operator serve its queue? "
        "The request stands"
    )
