"""Where the dialects of BullMQ differ, no job is lost and no parent waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from bullpen_protocol.bullmq import Job, SyncQueue
from fakes.plan import claim, new_token, run, run_all
from servers.node import NodeQueue
from servers.pools import Nodes
from servers.redis import RedisServer

Act = Callable[[SyncQueue, Job, str], None]


def given_back(queue: SyncQueue, job: Job, token: str) -> None:
    queue.give_back(job, token, 1)
    while queue.state(job.id) == "delayed":
        queue.claim(new_token(), 1000)  # what is due is moved by whoever claims; the queue is paused


def retried(queue: SyncQueue, job: Job, token: str) -> None:
    queue.fail(job, token, "once")


def stalled(queue: SyncQueue, job: Job, token: str) -> None:
    queue.client.delete(queue.keys.lock(job.id))
    while not queue.stalled(1, 1):
        pass


@pytest.mark.parametrize("act", [given_back, retried, stalled])
@pytest.mark.parametrize("version", ["5.7.0", "5.81.5", "6"])
def test_a_job_that_returns_while_its_queue_is_paused_is_there_after_resume(
    version: str, act: Act, server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node(version).queue(server.url, "q", prefix)
    ids = [producer.add("n", {"plan": [{"return": 1}]}, {"attempts": 3}) for _ in range(3)]
    token = new_token()
    job = claim(queue, token).job
    producer.call("pause")

    act(queue, job, token)
    assert queue.paused()
    producer.call("resume")

    assert run_all(queue) == len(ids)
    assert [queue.state(job_id) for job_id in ids] == ["completed"] * 3
    producer.call("obliterate", {"force": True})


FLAGS = {
    "none": {},
    "fpof": {"failParentOnFailure": True},
    "idof": {"ignoreDependencyOnFailure": True},
    "rdof": {"removeDependencyOnFailure": True},
    "cpof": {"continueParentOnFailure": True},
}
PARENT_ENDS = {
    "none": "waiting-children",
    "fpof": "failed",
    "idof": "completed",
    "rdof": "completed",
    "cpof": "completed",
}
SERVED = [
    (version, flag) for version in ("5.7.0", "5.81.5", "6") for flag in FLAGS if (version, flag) != ("5.7.0", "cpof")
]


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
@pytest.mark.parametrize(("version", "flag"), SERVED)
def test_a_childs_final_failure_moves_its_parent_as_its_flag_says(
    version: str, flag: str, removed: bool, server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node(version).queue(server.url, "q", prefix)
    parent, child, sibling = flow(producer, {**FLAGS[flag], "removeOnFail": removed})
    parents = SyncQueue(queue.client, "parents", prefix)

    for _ in range(2):
        claimed = claim(queue)
        run(queue, claimed.job, claimed.job.pb or "")

    assert not queue.load(child) if removed else queue.state(child) == "failed"
    assert queue.state(sibling) == "completed"
    if flag == "none" and removed:
        assert parents.state(parent) == "waiting"  # removing a child ends the wait for it
        return
    assert parents.state(parent) == ("waiting-children" if flag == "none" else "waiting")
    if flag == "none":
        return
    claimed = claim(parents)
    assert (claimed.job.defa is not None) is (flag == "fpof")
    run(parents, claimed.job, claimed.job.pb or "")
    assert parents.state(parent) == PARENT_ENDS[flag]
    if flag == "fpof":
        failed = parents.load(parent)
        assert failed is not None
        assert failed.failed_reason == f"child {prefix}:q:{child} failed"
        assert failed.defa is None


def flow(producer: NodeQueue, opts: dict[str, Any]) -> tuple[str, str, str]:
    """Add a parent with one child that fails and one that does not."""
    children = [
        {"name": "c", "queueName": "q", "data": {"plan": [{"throw": "no"}]}, "opts": opts},
        {"name": "c", "queueName": "q", "data": {"plan": [{"return": 1}]}},
    ]
    tree = {"name": "p", "queueName": "parents", "data": {"plan": [{"return": 2}]}, "children": children}
    added = producer.flow(tree)
    first, second = (child["job"]["id"] for child in added["children"])
    return added["job"]["id"], first, second


def test_a_job_that_stalled_too_often_is_claimed_once_more_to_be_failed(queue: SyncQueue) -> None:
    job_id = queue.add("n", "{}", {"attempts": 5})
    for _ in range(2):
        job = claim(queue).job
        assert job.defa is None
        stalled(queue, job, "")
    claimed = claim(queue)
    assert claimed.job.defa == "job stalled more than allowable limit"
    assert claimed.job.stc == 2

    run(queue, claimed.job, claimed.job.pb or "")

    failed = queue.load(job_id)
    assert failed is not None
    assert (queue.state(job_id), failed.atm, failed.failed_reason) == (
        "failed",
        1,
        "job stalled more than allowable limit",
    )


@pytest.mark.parametrize("version", ["5.7.0", "6"])
def test_nodes_stalled_check_leaves_a_job_alone_whose_lock_is_renewed(
    version: str, server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    theirs = node(version).queue(server.url, "q", prefix)
    job_id = queue.add("mine", "{}", {"attempts": 1})
    token = new_token()
    claim(queue, token)
    # their worker checks every 5 ms while it runs its own job, and again until the queue is empty
    for _ in range(3):
        queue.add("theirs", '{"plan":[{"return":1}]}', {"delay": 30})
    number = theirs.client.send(
        {"on": "driver", "method": "work", "args": [{"at": theirs.at, "options": STALLED_CHECKS}]}
    )
    while queue.counts()["completed"] < 3:
        assert queue.extend(job_id, token, 100)
    assert queue.state(job_id) == "active"
    assert queue.complete(claimed_again(queue, job_id), token, "1") == "completed"
    theirs.client.wait(number)
    events = [entry["event"] for _, entry in queue.client.xrange(queue.keys("events")) if entry.get("jobId") == job_id]
    assert events == ["added", "waiting", "active", "completed"]


STALLED_CHECKS = {"stalledInterval": 5, "skipStalledCheck": False}


def claimed_again(queue: SyncQueue, job_id: str) -> Job:
    job = queue.load(job_id)
    assert job is not None
    return job


def test_their_own_counter_of_stalls_is_left_alone(client: redis.Redis, queue: SyncQueue) -> None:
    job_id = queue.add("n", "{}")
    client.hset(queue.keys(job_id), "stalledCounter", 3)  # what 5.7.0 counted
    assert claim(queue).job.stc == 0
