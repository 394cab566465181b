"""Turns and answers that jobs have in common, on each version of Redis."""

from __future__ import annotations

import pytest
import redis

from bullpen_protocol.bullmq import SyncQueue
from bullpen_runner.outside import Ask, WireCommons
from bullpen_runner.shared import tell
from contracts.commons_contract import CommonsContract
from servers.pools import Connect
from servers.redis import RedisServer


class Unseen:
    """A lease that notes an outage."""

    def __init__(self) -> None:
        self.lost = 0

    def lost_sight(self) -> None:
        self.lost += 1


class TestRedis(CommonsContract):
    @pytest.fixture
    def queue(self, any_server: RedisServer, connected: Connect, prefix: str) -> SyncQueue:
        return SyncQueue(connected(any_server), "q", prefix)

    @pytest.fixture
    def ask(self, queue: SyncQueue) -> Ask:
        return lambda asked: dict(tell(asked, queue, Unseen()))  # type: ignore[arg-type] # all that it needs of one

    def test_who_asks_second_waits_for_the_first(self, ask: Ask, name: str) -> None:
        assert WireCommons(ask).recall(name, 0.0) is None
        assert ask({"do": "recall", "key": name}) == {"text": None, "mine": False}
        WireCommons(ask).remember(name, "found", 60)
        assert WireCommons(ask).recall(name, 10.0) == "found"

    def test_a_repeated_take_of_one_token_takes_one_turn(self, queue: SyncQueue, name: str) -> None:
        assert [queue.take_turn(name, "one", 2, 5_000) for _ in range(3)] == [0, 0, 0]
        assert queue.take_turn(name, "two", 2, 5_000) == 0
        assert 0 < queue.take_turn(name, "three", 2, 5_000) <= 5_000

    def test_queues_of_one_prefix_share_and_others_do_not(
        self, queue: SyncQueue, any_server: RedisServer, connected: Connect, name: str
    ) -> None:
        beside = SyncQueue(connected(any_server), "other", queue.prefix)
        apart = SyncQueue(connected(any_server), "q", f"{queue.prefix}-apart")
        assert queue.take_turn(name, "one", 1, 5_000) == 0
        assert beside.take_turn(name, "two", 1, 5_000) > 0
        assert apart.take_turn(name, "three", 1, 5_000) == 0

    def test_nothing_stays_for_ever(self, queue: SyncQueue, ask: Ask, name: str) -> None:
        commons = WireCommons(ask)
        commons.take_turn(name, 1, 1.0, 0.0)
        commons.hold_off(name, 5.0)
        commons.recall(name, 0.0)
        commons.remember(f"{name}:known", "x", 60)
        client = queue.client
        assert isinstance(client, redis.Redis)
        keys = list(client.scan_iter(f"{queue.prefix}:*"))
        assert len(keys) == 3
        assert all(client.pttl(key) > 0 for key in keys)


def test_while_redis_is_away_there_are_no_turns_and_nothing_is_known(server: RedisServer, prefix: str) -> None:
    gone = redis.Redis(port=1, decode_responses=True)
    queue, lease = SyncQueue(gone, "q", prefix), Unseen()

    def ask(asked: dict[str, object]) -> dict[str, object]:
        return dict(tell(asked, queue, lease))  # type: ignore[arg-type] # all that it needs of one

    commons = WireCommons(ask)
    assert commons.recall("k", 10.0) is None
    assert not commons.take_turn("n", 5, 1.0, 0.0)
    commons.remember("k", "x", 60)
    commons.end_turn("n")
    commons.hold_off("n", 1.0)
    assert lease.lost == 4
