"""An answer that is lost: nothing is done twice, nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bullpen_protocol.bullmq import (
    AsyncQueue,
    Claimed,
    Code,
    Empty,
    Finish,
    Job,
    QueueError,
    RedisAwayError,
    SyncQueue,
    connect,
    connect_async,
)
from fakes.plan import claim, new_token
from fakes.redis_proxy import Fault, RedisProxy, command, script
from servers.redis import RedisServer

L = 30_000
CLAIM = script("moveToActive-11")
Move = Callable[[SyncQueue, Job, str], Any]


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[RedisProxy]:
    with RedisProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: RedisProxy, prefix: str) -> Iterator[SyncQueue]:
    """The same queue as `queue`, through the proxy; gives up on an answer after 0.2 s."""
    client = connect(f"{proxy.url}?socket_timeout=0.2")
    yield SyncQueue(client, "q", prefix)
    client.close()


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.NO_REPLY])
def test_a_claim_whose_answer_is_lost_is_found_by_its_token(
    fault: Fault, queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    ids = [queue.add("n", '{"é":1}') for _ in range(3)]
    claim(queue)
    rule = proxy.on(CLAIM, fault)
    token = new_token()

    claimed = shaky.claim(token, L)

    assert rule.done == 1
    assert isinstance(claimed, Claimed)
    assert (claimed.job.id, claimed.job.data, claimed.job.pb) == (ids[1], '{"é":1}', token)
    assert queue.active_ids() == [ids[1], ids[0]]
    assert queue.counts()["wait"] == 1
    assert events(queue, "active") == [ids[0], ids[1]]


async def test_a_claim_is_found_by_the_async_client_too(queue: SyncQueue, proxy: RedisProxy, prefix: str) -> None:
    job_id = queue.add("n", "{}")
    client = connect_async(proxy.url)
    rule = proxy.on(CLAIM, Fault.LOSE_REPLY)
    try:
        claimed = await AsyncQueue(client, "q", prefix).claim("T", L)
    finally:
        await client.aclose()
    assert rule.done == 1
    assert isinstance(claimed, Claimed)
    assert claimed.job.id == job_id


def test_a_claim_that_never_arrived_takes_nothing(queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy) -> None:
    queue.add("n", "{}")
    proxy.on(CLAIM, Fault.CUT)
    with pytest.raises(RedisAwayError):
        shaky.claim(new_token(), L)
    assert queue.counts()["wait"] == 1
    assert isinstance(shaky.claim(new_token(), L), Claimed)


def test_an_empty_answer_that_is_lost_is_no_job(queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy) -> None:
    proxy.on(CLAIM, Fault.LOSE_REPLY)
    with pytest.raises(RedisAwayError):
        shaky.claim(new_token(), L)
    assert shaky.claim(new_token(), L) == Empty(0, 0)


def test_when_redis_stays_away_the_job_waits_under_its_token(
    queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    job_id = queue.add("n", "{}")
    proxy.on(CLAIM, Fault.LOSE_REPLY)
    proxy.on(command("LRANGE"), Fault.CUT, times=2)
    with pytest.raises(RedisAwayError):
        shaky.claim("T", L)
    assert queue.location(job_id).pb == "T"  # for the audit to find


MOVES: dict[str, tuple[str, Move, dict[str, Any], str, list[str]]] = {
    "complete": (
        "moveToFinished-14",
        lambda queue, job, token: queue.complete(job, token, '{"é":1}'),
        {},
        "completed",
        ["active", "completed"],
    ),
    "complete and remove": (
        "moveToFinished-14",
        lambda queue, job, token: queue.complete(job, token, "1"),
        {"removeOnComplete": True},
        "unknown",
        ["active", "completed"],
    ),
    "fail": (
        "moveToFinished-14",
        lambda queue, job, token: queue.fail(job, token, "no"),
        {},
        "failed",
        ["active", "failed", "retries-exhausted"],
    ),
    "retry": (
        "retryJob-11",
        lambda queue, job, token: queue.fail(job, token, "no"),
        {"attempts": 2},
        "waiting",
        ["active", "waiting"],
    ),
    "retry later": (
        "moveToDelayed-12",
        lambda queue, job, token: queue.fail(job, token, "no"),
        {"attempts": 2, "backoff": 60_000},
        "delayed",
        ["active", "delayed"],
    ),
    "give back": (
        "moveToDelayed-12",
        lambda queue, job, token: queue.give_back(job, token, 60_000),
        {"attempts": 2},
        "delayed",
        ["active", "delayed"],
    ),
}
SAYS = {"complete": Finish.COMPLETED, "complete and remove": Finish.COMPLETED, "fail": Finish.FAILED}
SAYS |= {"retry": Finish.RETRIED, "retry later": Finish.DELAYED}


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.CUT])
@pytest.mark.parametrize("move", MOVES)
def test_a_move_happens_once_whatever_becomes_of_its_answer(
    move: str, fault: Fault, queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    name, act, opts, state, said = MOVES[move]
    job_id = queue.add("n", "{}", opts)
    token = new_token()
    job = claim(queue, token).job
    rule = proxy.on(script(name), fault)

    assert act(shaky, job, token) == SAYS.get(move)

    assert rule.done == 1
    assert queue.state(job_id) == state
    assert [entry["event"] for entry in entries(queue, job_id)][2:] == said
    left = queue.load(job_id)
    if left is not None:
        assert left.atm == (0 if move == "give back" else 1)
        assert left.bullpen == {"t": token, "to": str(SAYS.get(move, "given-back"))}
    assert queue.client.exists(queue.keys.lock(job_id)) == 0


async def test_a_finish_of_the_async_client_happens_once(queue: SyncQueue, proxy: RedisProxy, prefix: str) -> None:
    job_id = queue.add("n", "{}")
    job = claim(queue, "T").job
    client = connect_async(proxy.url)
    proxy.on(script("moveToFinished-14"), Fault.LOSE_REPLY)
    try:
        assert await AsyncQueue(client, "q", prefix).complete(job, "T", "1") is Finish.COMPLETED
    finally:
        await client.aclose()
    assert [entry["event"] for entry in entries(queue, job_id)] == ["added", "waiting", "active", "completed"]


def test_a_retry_that_somebody_else_runs_meanwhile_counts_as_done(
    queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is active again, under another lock, when the lost answer is looked into."""
    job_id = queue.add("n", "{}", {"attempts": 3})
    job = claim(queue, "T").job
    rule = proxy.on(script("retryJob-11"), Fault.LOSE_REPLY)
    proxy.on(lambda words: words[0] == b"LPOS" and bool(claim_once(queue, rule.done)), Fault.CUT, nth=99)

    assert shaky.fail(job, "T", "no") is Finish.RETRIED

    assert queue.location(job_id).pb == "other"
    assert [entry["event"] for entry in entries(queue, job_id)][3:] == ["waiting", "active"]


def claim_once(queue: SyncQueue, after: int) -> bool:
    return after == 1 and isinstance(queue.claim("other", L), Claimed)


def test_a_finish_that_came_too_late_is_refused(queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy) -> None:
    """Its first sending never arrived, and by the second another attempt owns the job."""
    job_id = queue.add("n", "{}", {"attempts": 3})
    job = claim(queue, "T").job
    rule = proxy.on(script("moveToFinished-14"), Fault.CUT)

    def supersede(words: list[bytes]) -> bool:
        if rule.done and words[0] == b"LPOS":
            queue.client.hset(queue.keys(job_id), "pb", "other")
            queue.client.set(queue.keys.lock(job_id), "other")
        return False

    proxy.on(supersede, Fault.CUT)
    with pytest.raises(QueueError) as refused:
        shaky.complete(job, "T", "1")
    assert refused.value.code is Code.OTHER_TOKEN
    assert queue.location(job_id).active


def test_a_finish_is_not_taken_for_done_when_its_token_moved_the_job_elsewhere(
    queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    """The runner's finish never arrived, and the operator gave the job back with the runner's fence."""
    job_id = queue.add("n", "{}", {"attempts": 3})
    job = claim(queue, "T").job
    rule = proxy.on(script("moveToFinished-14"), Fault.CUT)

    def give_back(words: list[bytes]) -> bool:
        if rule.done and words[0] == b"LPOS":
            queue.give_back(job, "T", 60_000)
        return False

    proxy.on(give_back, Fault.CUT)
    with pytest.raises(QueueError) as refused:
        shaky.complete(job, "T", "1")
    assert refused.value.code is Code.NOT_ACTIVE
    assert queue.state(job_id) == "delayed"
    assert queue.location(job_id).moved_by("T")
    assert not queue.location(job_id).moved_by("T", Finish.COMPLETED)


def test_while_redis_stays_away_a_finish_says_so_and_may_be_called_again(
    queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    job_id = queue.add("n", "{}")
    job = claim(queue, "T").job
    proxy.partition()
    with pytest.raises(RedisAwayError):
        shaky.complete(job, "T", "1")
    proxy.heal()
    assert shaky.complete(job, "T", "1") is Finish.COMPLETED
    assert queue.state(job_id) == "completed"


def test_what_only_reads_or_may_be_repeated_is_asked_for_again(
    queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy
) -> None:
    job_id = queue.add("n", "{}")
    claim(queue, "T")
    for match in (command("HGETALL"), script("hold"), script("extendLock-2"), command("LPOS")):
        proxy.on(match, Fault.LOSE_REPLY)
    assert shaky.load(job_id) is not None
    assert shaky.hold(job_id, "T", "T", L) == 1
    assert shaky.extend(job_id, "T", L) is True
    assert shaky.location(job_id).active
    assert [rule.done for rule in proxy.rules] == [1, 1, 1, 1]


def test_a_log_line_is_not_written_twice(queue: SyncQueue, shaky: SyncQueue, proxy: RedisProxy) -> None:
    job_id = queue.add("n", "{}")
    proxy.on(script("addLog-2"), Fault.LOSE_REPLY)
    with pytest.raises(RedisAwayError) as away:
        shaky.log(job_id, "once")
    assert away.value.maybe_done
    assert queue.client.lrange(queue.keys(f"{job_id}:logs"), 0, -1) == ["once"]


def test_a_server_that_lost_its_scripts_is_given_them_again(queue: SyncQueue) -> None:
    queue.add("n", "{}")
    queue.client.script_flush()
    assert isinstance(queue.claim("T", L), Claimed)


def entries(queue: SyncQueue, job_id: str) -> list[dict[str, str]]:
    stream: list[tuple[str, dict[str, str]]] = queue.client.xrange(queue.keys("events"))
    return [entry for _, entry in stream if entry.get("jobId") == job_id]


def events(queue: SyncQueue, kind: str) -> list[str]:
    stream: list[tuple[str, dict[str, str]]] = queue.client.xrange(queue.keys("events"))
    return [entry["jobId"] for _, entry in stream if entry["event"] == kind]
