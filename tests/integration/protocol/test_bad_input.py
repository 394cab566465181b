"""Whatever a producer writes: one clear outcome, and the other jobs of the queue are not disturbed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bullpen_protocol.bullmq import (
    RESERVED_IDS,
    Claimed,
    Finish,
    JobOptionsError,
    RedisRefusedError,
    SyncQueue,
    to_json,
)
from fakes.plan import claim, new_token, run, run_all
from servers.pools import Connect, Nodes
from servers.redis import RedisServer

L = 30_000


@pytest.fixture
def queue(any_server: RedisServer, connected: Connect, prefix: str) -> SyncQueue:
    """On each version of Redis: they report a script's errors in different words."""
    return SyncQueue(connected(any_server), "q", prefix)


@pytest.mark.parametrize("job_id", sorted(RESERVED_IDS - {"wait", "active", "delayed", "id", "meta", "events"}))
def test_a_job_with_a_reserved_id_is_failed_out_of_the_way(queue: SyncQueue, job_id: str) -> None:
    """Its hash sits on a key of the queue: BullMQ's scripts break there for every job, until it is taken out."""
    queue.add("good", '{"plan":[{"return":1}]}')
    plant(queue, job_id)
    bad = claim(queue).job
    assert (bad.id, bad.reserved) == (job_id, True)

    assert queue.fail(bad, bad.pb or "", "the id is reserved", unrecoverable=True) is Finish.FAILED

    assert queue.client.type(queue.keys(job_id)) in ("none", "zset", "set")
    assert queue.client.exists(queue.keys.lock(job_id)) == 0
    last = queue.client.xrevrange(queue.keys("events"), count=1)[0][1]
    assert (last["event"], last["jobId"], last["failedReason"]) == ("failed", job_id, "the id is reserved")
    assert run_all(queue) == 1
    assert queue.counts()["completed"] == 1


@pytest.mark.parametrize("job_id", ["active", "delayed"])
def test_a_queue_that_no_claim_can_open_says_so(queue: SyncQueue, job_id: str) -> None:
    plant(queue, job_id)
    with pytest.raises(RedisRefusedError) as refused:
        queue.claim(new_token(), L)
    assert refused.value.kind == "WRONGTYPE"


def test_a_job_taken_by_a_claim_that_broke_half_way_is_found(queue: SyncQueue) -> None:
    """With a hash for a marker, moveToActive fails after it has activated its job."""
    job_id = queue.add("n", "{}")
    queue.client.delete(queue.keys.marker)
    queue.client.hset(queue.keys.marker, "name", "x")
    assert claim(queue).job.id == job_id


@pytest.mark.parametrize("job_id", sorted(RESERVED_IDS))
def test_bullpen_itself_adds_no_such_id(queue: SyncQueue, job_id: str) -> None:
    with pytest.raises(JobOptionsError, match="is a key of the queue itself"):
        queue.add("n", "{}", job_id=job_id)


@pytest.mark.parametrize(
    ("opts", "job_id", "says"),
    [
        ({"priority": -1}, None, "priority"),
        ({"priority": 3_000_000}, None, "priority"),
        ({"delay": -5}, None, "delay"),
        ({}, "12", "number"),
        ({}, "", "empty"),
        ({}, "\ud800", "UTF-8"),
        ({}, "a:b", "colon"),
        ({}, "0:a:b", "colon"),
    ],
)
def test_options_that_bullmq_refuses_are_refused(queue: SyncQueue, opts: Any, job_id: str | None, says: str) -> None:
    with pytest.raises(JobOptionsError, match=says):
        queue.add("n", "{}", opts, job_id)


IDS = ["ü😀", "a b\n\t\x00c", "*?[x]", "{tag}", "../../etc/passwd", "-- ' OR 1=1", "x" * 3000, "lock", "a:b:c"]


@pytest.mark.parametrize("job_id", IDS, ids=lambda job_id: ascii(job_id)[:20])
def test_a_hostile_id_passes_through_every_operation(queue: SyncQueue, job_id: str) -> None:
    assert queue.add("n", "{}", {"attempts": 3}, job_id) == job_id
    every_operation(queue, job_id)


def test_an_id_of_foreign_bytes_passes_through_every_operation(queue: SyncQueue) -> None:
    """No UTF-8: what a client in another language may write."""
    foreign = b"\xff\xfe\x80id"
    key = queue.keys.base.encode() + foreign
    queue.client.hset(key, mapping={"name": "n", "data": "{}", "opts": '{"attempts":3}'})
    queue.client.rpush(queue.keys("wait"), foreign)
    every_operation(queue, foreign.decode(errors="surrogateescape"))


def every_operation(queue: SyncQueue, job_id: str) -> None:
    job = claim(queue, "T").job
    assert job.id == job_id
    assert queue.hold(job_id, "T", "T#u", L) == 1
    assert queue.extend_many([job_id], ["T#u"], L) == []
    assert queue.location(job_id).active
    assert queue.progress(job_id, 1) is True
    assert queue.log(job_id, "line") == 1
    assert queue.fail(job, "T#u", "no") is Finish.RETRIED
    job = claim(queue, "T2").job
    queue.give_back(job, "T2", 1)
    while not isinstance(queue.claim("T3", L), Claimed):
        pass
    assert queue.complete(job, "T3", "1") is Finish.COMPLETED
    assert queue.state(job_id) == "completed"


def test_a_node_worker_and_bullpen_read_the_same_text(queue: SyncQueue, any_server: RedisServer, node: Nodes) -> None:
    theirs = node("6").queue(any_server.url, "q", queue.prefix)
    data = {"é": "ü😀", "lone": "\ud800", "nul": "\x00", "esc": "\u2028", "big": 2**53, "plan": [{"return": 1}]}
    first = theirs.add("náme\udc00", data)
    job = claim(queue).job
    assert job.id == first
    assert job.name == "náme\ufffd\ufffd\ufffd"  # Node sends the lone half as three bytes that are no UTF-8
    assert json.loads(job.data) == data
    assert queue.complete(job, job.pb or "", to_json({"a": float("nan"), "b": "\udfff", "c": "é"})) == "completed"
    assert theirs.job(first, "toJSON")["returnvalue"] == {"a": None, "b": "\udfff", "c": "é"}


def test_text_that_cannot_be_sent_is_replaced_as_node_replaces_it(queue: SyncQueue) -> None:
    job_id = queue.add("n", '{"a":"\ud800"}', {"attempts": 2})
    job = claim(queue).job
    assert json.loads(job.data) == {"a": "\ud800"}
    queue.log(job_id, "bad \udc00")
    queue.progress(job_id, {"x": "\ud83d"})
    queue.fail(job, job.pb or "", "bad \ud800", ["stack \udfff"], fields={"x": "y\ud800"})
    left = queue.load(job_id)
    assert left is not None
    assert (left.failed_reason, left.stacktrace) == ("bad \ufffd", ("stack \udfff",))
    assert (left.raw["progress"], left.raw["x"]) == ('{"x":"\\ud83d"}', "y\ufffd")
    assert queue.client.lrange(queue.keys(f"{job_id}:logs"), 0, -1) == ["bad \ufffd"]


@pytest.mark.parametrize(
    "opts",
    [
        "",
        "no json",
        "[1,2]",
        "null",
        "[" * 100_000,
        '{"attempts":"many","backoff":{"type":"exponential","delay":"long"}}',
        '{"attempts":1e999,"backoff":{"type":["x"]},"stackTraceLimit":"all","removeOnFail":{"age":{}}}',
        '{"attempts":2,"backoff":{"delay":1e308,"type":"exponential"},"lifo":"yes"}',
        '{"attempts":9999999999999999999999,"backoff":-5}',
    ],
    ids=lambda opts: opts[:30],
)
def test_options_that_are_none_still_let_the_job_end(queue: SyncQueue, opts: str) -> None:
    job_id = queue.add("n", '{"plan":[{"throw":"no"}]}')
    queue.client.hset(queue.keys(job_id), "opts", opts)
    job = claim(queue).job
    run(queue, job, job.pb or "")
    assert queue.state(job_id) in ("failed", "delayed", "waiting")
    assert queue.client.exists(queue.keys.lock(job_id)) == 0


def test_a_custom_backoff_is_a_clear_failure(queue: SyncQueue) -> None:
    job_id = queue.add("n", "{}", {"attempts": 3, "backoff": {"type": "my own"}})
    job = claim(queue).job
    assert queue.fail(job, job.pb or "", "it broke") is Finish.FAILED
    left = queue.load(job_id)
    assert left is not None
    assert left.failed_reason == "it broke (unknown backoff type 'my own')"


def test_an_id_without_a_hash_is_a_job_without_a_name(queue: SyncQueue) -> None:
    queue.client.lpush(queue.keys("wait"), "ghost")
    job = claim(queue).job
    assert (job.id, job.name, job.data) == ("ghost", "", "")
    assert queue.fail(job, job.pb or "", "no such job", unrecoverable=True) is Finish.FAILED


def test_fifty_megabytes_pass(server: RedisServer, connected: Connect, prefix: str) -> None:
    queue = SyncQueue(connected(server), "q", prefix)
    data = f'{{"x":"{"y" * 50_000_000}"}}'
    queue.add("n", data)
    job = claim(queue).job
    assert len(job.data) == len(data)
    assert queue.complete(job, job.pb or "", "1") is Finish.COMPLETED


def plant(queue: SyncQueue, job_id: str) -> None:
    """What Node's add() leaves for such an id, as far as it gets."""
    queue.client.delete(queue.keys(job_id))  # a marker, for one, is taken by whoever waits
    queue.client.hset(queue.keys(job_id), mapping={"name": "bad", "data": "{}", "opts": "{}", "timestamp": "1"})
    queue.client.rpush(queue.keys("wait"), job_id)
