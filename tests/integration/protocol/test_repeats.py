"""Schedulers and legacy repeats go on when Bullpen claims their jobs, exactly as under Node's worker."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from bullpen_protocol.bullmq import Claimed, SyncQueue
from bullpen_protocol.bullmq.cron import next_time
from bullpen_protocol.bullmq.repeating import legacy_key
from fakes.plan import LOCK_MS, claim, new_token, run
from fakes.snapshot import keys_of
from servers.pools import Nodes
from servers.redis import RedisServer

RULES: list[dict[str, Any]] = [
    {"every": 300},
    {"every": 300, "limit": 50, "offset": 7},
    {"pattern": "* * * * * *", "tz": "America/New_York", "limit": 9},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("version", ["5.81.5", "6"])
def test_a_schedulers_next_job_is_the_one_that_nodes_worker_makes(
    version: str, rule: dict[str, Any], server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    template = {"name": "tick", "data": {"é": 1}, "opts": {"attempts": 2, "priority": 3, "removeOnComplete": 5}}
    left = {}
    for name in ("theirs", "ours"):
        producer = node(version).queue(server.url, name, prefix)
        producer.call("upsertJobScheduler", "s", rule, template)
        if name == "theirs":
            number = producer.client.send(one_by_worker(producer.at))
            producer.client.wait(number)
        else:
            queue = SyncQueue(queue.client, name, prefix)
            claimed = await_claim(queue)
            run(queue, claimed.job, claimed.job.pb or "")
        left[name] = comparable(keys_of(queue.client, f"{prefix}:{name}:"))
    assert left["ours"] == left["theirs"]


def test_a_scheduler_of_node_ticks_on_under_bullpen_and_stops_at_its_limit(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node("6").queue(server.url, "q", prefix)
    producer.call("upsertJobScheduler", "s", {"every": 15, "limit": 4}, {"name": "tick", "data": {}, "opts": {}})
    slots = []
    for _ in range(4):
        claimed = await_claim(queue)
        slots.append(int(claimed.job.id.rpartition(":")[2]))
        run(queue, claimed.job, claimed.job.pb or "")
    assert all(later - earlier >= 15 for earlier, later in itertools.pairwise(slots))
    assert (queue.counts()["delayed"], queue.counts()["completed"]) == (0, 4)


def test_a_scheduler_stops_at_its_end(server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str) -> None:
    producer = node("5.81.5").queue(server.url, "q", prefix)
    end = queue.now_ms() + 60_000
    producer.call("upsertJobScheduler", "s", {"every": 20, "endDate": end}, {"name": "tick", "data": {}, "opts": {}})
    job = await_claim(queue).job
    queue.client.hset(queue.keys(job.id), "opts", f'{{"repeat":{{"every":20,"endDate":{end - 120_000}}}}}')
    stored = queue.load(job.id)
    assert stored is not None
    queue.advance(stored)
    assert queue.counts()["delayed"] == 0


@pytest.mark.parametrize("version", ["5.81.5", "6"])
def test_advancing_twice_adds_nothing(
    version: str, server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    """An operator that died after the claim does it again: no second job, no later slot."""
    producer = node(version).queue(server.url, "q", prefix)
    producer.call("upsertJobScheduler", "s", {"every": 5_000}, {"name": "tick", "data": {}, "opts": {}})
    job = await_claim(queue).job
    queue.advance(job)
    after_one = queue.client.zrange(queue.keys("delayed"), 0, -1, withscores=True)
    queue.advance(job)
    queue.advance(job)
    assert len(after_one) == 1
    assert queue.client.zrange(queue.keys("delayed"), 0, -1, withscores=True) == after_one


def test_a_removed_scheduler_does_not_come_back(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node("6").queue(server.url, "q", prefix)
    producer.call("upsertJobScheduler", "s", {"every": 5_000}, {"name": "tick", "data": {}, "opts": {}})
    job = await_claim(queue).job
    producer.call("removeJobScheduler", "s")
    queue.advance(job)
    assert queue.counts()["delayed"] == 0
    assert queue.client.zcard(queue.keys("repeat")) == 0


def test_an_id_with_many_colons_is_still_a_schedulers(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node("6").queue(server.url, "q", prefix)
    producer.call("upsertJobScheduler", "a:b:c:d:e:f", {"every": 5_000}, {"name": "tick", "data": {}, "opts": {}})
    queue.advance(await_claim(queue).job)
    assert queue.counts()["delayed"] == 1


LEGACY: list[dict[str, Any]] = [
    {"every": 300},
    {"every": 300, "jobId": "mine", "limit": 100},
    {"pattern": "* * * * * *", "tz": "Europe/Lisbon"},
    {"every": 300, "key": "a-key"},
]


@pytest.mark.parametrize("rule", LEGACY, ids=str)
@pytest.mark.parametrize("version", ["5.7.0", "5.81.5"])
def test_a_legacy_repeats_next_job_is_the_one_that_nodes_worker_makes(
    version: str, rule: dict[str, Any], server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    own = dict(rule)
    opts = {"attempts": 2, "priority": 4} | ({"jobId": own.pop("jobId")} if "jobId" in own else {})
    left = {}
    for name in ("theirs", "ours"):
        producer = node(version).queue(server.url, name, prefix)
        producer.add("tick", {"é": 1}, {**opts, "repeat": own})
        if name == "theirs":
            producer.client.wait(producer.client.send(one_by_worker(producer.at)))
        else:
            queue = SyncQueue(queue.client, name, prefix)
            claimed = await_claim(queue)
            run(queue, claimed.job, claimed.job.pb or "")
        left[name] = comparable(keys_of(queue.client, f"{prefix}:{name}:"))
    assert left["ours"] == left["theirs"]


def test_a_legacy_chain_passes_from_node_to_bullpen_and_back(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node("5.7.0").queue(server.url, "q", prefix)
    producer.add("tick", {}, {"repeat": {"every": 20, "limit": 7}})
    counts = []
    for number in range(6):
        if number in (2, 3):
            producer.client.wait(producer.client.send(one_by_worker(producer.at)))
            continue
        claimed = await_claim(queue)
        counts.append(claimed.job.opts["repeat"]["count"])
        run(queue, claimed.job, claimed.job.pb or "")
    assert counts == [1, 2, 5, 6]
    last = await_claim(queue)
    run(queue, last.job, last.job.pb or "")
    assert last.job.opts["repeat"]["count"] == 7
    assert (queue.counts()["delayed"], queue.counts()["completed"]) == (0, 7)


def test_a_legacy_step_that_was_cut_short_is_mended_by_doing_it_again(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    node("5.7.0").queue(server.url, "q", prefix).add("tick", {}, {"repeat": {"every": 50}})
    job = await_claim(queue).job
    queue.advance(job)
    after_one = queue.client.zrange(queue.keys("delayed"), 0, -1, withscores=True)
    ((member, clock),) = queue.client.zrange(queue.keys("repeat"), 0, -1, withscores=True)
    (next_id,) = (name for name, _ in after_one)
    assert next_id.endswith(f":{int(clock)}")
    # died after the clock was moved, before the job was added
    queue.client.zrem(queue.keys("delayed"), next_id)
    queue.client.delete(queue.keys(next_id))
    await_time(queue, int(clock) + 60)

    for _ in range(2):
        queue.advance(job)

    waiting = queue.client.lrange(queue.keys("wait"), 0, -1) + queue.client.zrange(queue.keys("delayed"), 0, -1)
    assert waiting == [next_id]
    assert queue.client.zscore(queue.keys("repeat"), member) == clock


def test_a_removed_legacy_repeat_does_not_come_back(
    server: RedisServer, queue: SyncQueue, node: Nodes, prefix: str
) -> None:
    producer = node("5.7.0").queue(server.url, "q", prefix)
    producer.add("tick", {}, {"repeat": {"every": 5_000}})
    queue.client.zadd(queue.keys("delayed"), dict.fromkeys(queue.client.zrange(queue.keys("delayed"), 0, -1), 1))
    job = await_claim(queue).job
    producer.call("removeRepeatable", "tick", {"every": 5_000})
    queue.advance(job)
    assert queue.counts()["delayed"] == 0


@pytest.mark.parametrize(
    "repeat",
    [
        '{"pattern":"not a pattern"}',
        '{"pattern":"* * * * *","tz":"Mars/Olympus"}',
        '{"pattern":"* * * * *","endDate":"never"}',
        '{"pattern":"61 * * * *"}',
        '{"pattern":"0 0 30 2 *"}',
        '{"every":"soon"}',
        '{"every":-5}',
        "{}",
    ],
)
def test_a_rule_that_is_none_stops_its_chain_and_hurts_nothing(
    repeat: str, queue: SyncQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.client.zadd(queue.keys("repeat"), {"s": 1})
    queue.client.hset(queue.keys("repeat:s:1"), mapping={"name": "n", "data": "{}", "rjk": "s:::x:y"})
    queue.client.hset(queue.keys("repeat:s:1"), "opts", f'{{"repeat":{repeat}}}')
    queue.client.zadd(queue.keys("repeat"), {"s:::x:y": 0})
    queue.client.lpush(queue.keys("wait"), "repeat:s:1")
    job = claim(queue).job
    queue.advance(job)
    assert [record.message for record in caplog.records] == ["a repeat stops: its rule can't be used"]
    assert queue.counts()["delayed"] == 0


PATTERNS: list[tuple[str, str | None]] = [
    ("* * * * *", None),
    ("*/5 * * * * *", "UTC"),
    ("0 3 * * *", "Europe/Lisbon"),
    ("30 2 * * *", "America/New_York"),
    ("0 0 12 * * 1-5", "Asia/Kolkata"),
    ("15 10 15 * *", "UTC"),
    ("0 9 * * MON", "Europe/Berlin"),
    ("0 0 1 JAN *", "UTC"),
    ("0 0 * * 7", "UTC"),
    ("0 0 13 * 5", "UTC"),
    ("10-20/3 4,8 * * *", "UTC"),
    ("0 0 L * *", "UTC"),
    ("@daily", "Europe/Lisbon"),
    ("@weekly", "UTC"),
    ("*/7 * * *", "UTC"),
]
STARTS = [1_700_000_000_123, 1_709_164_799_999, 1_711_846_800_000, 1_730_000_000_000, 1_735_689_600_000]


@pytest.mark.parametrize(
    ("version", "pattern", "zone"),
    [("5.7.0", *pattern) for pattern in PATTERNS] + [("6", *pattern) for pattern in [*PATTERNS, ("@weekdays", "UTC")]],
)
def test_a_pattern_fires_when_nodes_parser_says(version: str, pattern: str, zone: str | None, node: Nodes) -> None:
    for start in STARTS:
        options = {"currentDate": start} | ({"tz": zone} if zone else {})
        theirs = node(version).driver("next_times", {"pattern": pattern, "options": options, "count": 6})
        ours = [start]
        while len(ours) <= len(theirs):
            ours.append(next_time(pattern, ours[-1], zone))
        assert ours[1:] == theirs, start


def test_a_legacy_key_is_named_as_5_7_0_names_it() -> None:
    assert legacy_key("n", {"every": 5}) == "n::::5"
    rule = {"pattern": "* * * * *", "tz": "UTC", "endDate": "2030-01-01T00:00:00Z", "jobId": "j"}
    assert legacy_key("n", rule) == "n:j:1893456000000:UTC:* * * * *"


def one_by_worker(at: dict[str, Any]) -> dict[str, Any]:
    """Let a worker of Node run exactly one job."""
    return {"on": "driver", "method": "work_one", "args": [{"at": at}]}


def await_claim(queue: SyncQueue) -> Claimed:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        claimed = queue.claim(new_token(), LOCK_MS)
        if isinstance(claimed, Claimed):
            return claimed
        time.sleep(0.001)
    raise AssertionError("no job became due")


def await_time(queue: SyncQueue, millis: int) -> None:
    while queue.now_ms() < millis:
        time.sleep(0.001)


def comparable(keys: dict[str, Any]) -> dict[str, Any]:
    """Times of slots become T, in ids and in what is made of them."""
    return {_slotless(name): _slotless(value) for name, value in keys.items()}


def _slotless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "D" if key in ("delay", "offset") else _slotless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_slotless(item) for item in value]
    if isinstance(value, str) and value.startswith("repeat:"):
        head, _, slot = value.rpartition(":")
        return f"{head}:T" if slot.isdecimal() else value
    return value
