"""Who owns an active job: hold, extend, the lock that runs out, the pod that comes too late."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bullpen_protocol.bullmq import Claimed, Code, HoldResult, Job, QueueError, SyncQueue
from fakes.plan import claim, new_token
from servers.pools import Connect
from servers.redis import RedisServer

L = 30_000
FIRST, SECOND = "#pod-1", "#pod-2"


@pytest.fixture
def queue(any_server: RedisServer, connected: Connect, prefix: str) -> SyncQueue:
    """On each version of Redis."""
    return SyncQueue(connected(any_server), "q", prefix)


@pytest.fixture
def token() -> str:
    return new_token()


@pytest.fixture
def job(queue: SyncQueue, token: str) -> Job:
    """Active under *token*, bound by nobody."""
    queue.add("n", "{}", {"attempts": 3})
    return claim(queue, token).job


def test_a_claim_leaves_its_token_in_lock_and_hash(queue: SyncQueue, job: Job, token: str) -> None:
    seen = queue.location(job.id)
    assert (seen.active, seen.lock, seen.pb) == (True, token, token)
    assert 0 < seen.lock_ms <= L


def test_the_operator_renews_what_no_pod_has_bound(queue: SyncQueue, job: Job, token: str) -> None:
    assert queue.hold(job.id, token, token, 77_000) is HoldResult.HELD
    assert queue.location(job.id).lock_ms > L


def test_binding_voids_the_operators_token_everywhere(queue: SyncQueue, job: Job, token: str) -> None:
    fence = token + FIRST
    assert queue.hold(job.id, token, fence, L) is HoldResult.HELD
    assert queue.location(job.id).pb == fence
    assert queue.hold(job.id, token, token, L) is HoldResult.SUPERSEDED
    assert queue.extend(job.id, token, L) is False
    assert queue.extend_many([job.id, "none"], [token, token], L) == [job.id, "none"]
    for move in moves(queue, job, token):
        with pytest.raises(QueueError) as refused:
            move()
        assert refused.value.code is Code.OTHER_TOKEN
    assert queue.extend(job.id, fence, L) is True
    assert queue.extend_many([job.id], [fence], L) == []


def test_a_second_pod_of_the_same_attempt_gets_nothing(queue: SyncQueue, job: Job, token: str) -> None:
    assert queue.hold(job.id, token, token + FIRST, L) is HoldResult.HELD
    assert queue.hold(job.id, token, token + SECOND, L) is HoldResult.SUPERSEDED
    queue.client.delete(queue.keys.lock(job.id))  # not even when the lock has run out
    assert queue.hold(job.id, token, token + SECOND, L) is HoldResult.SUPERSEDED
    assert queue.hold(job.id, token, token + FIRST, L) is HoldResult.HELD


def test_a_lock_of_somebody_else_is_never_taken(queue: SyncQueue, job: Job, token: str) -> None:
    queue.client.set(queue.keys.lock(job.id), "a-worker:1")  # a worker without a name leaves pb as it was
    assert queue.hold(job.id, token, token, L) is HoldResult.SUPERSEDED
    assert queue.location(job.id).lock == "a-worker:1"


def test_an_attempt_of_an_earlier_claim_is_superseded(queue: SyncQueue, job: Job, token: str) -> None:
    queue.give_back(job, token, 1)
    while not isinstance(queue.claim("later", L), Claimed):
        pass
    assert queue.hold(job.id, token, token + FIRST, L) is HoldResult.SUPERSEDED
    assert queue.location(job.id).pb == "later"


def test_a_job_that_has_left_active_is_not_held(queue: SyncQueue, job: Job, token: str) -> None:
    queue.complete(job, token, "1")
    assert queue.hold(job.id, token, token, L) is HoldResult.NOT_ACTIVE
    assert queue.client.exists(queue.keys.lock(job.id)) == 0


def test_a_job_that_is_gone_is_not_held_and_gets_no_log(queue: SyncQueue, job: Job, token: str) -> None:
    queue.client.delete(queue.keys(job.id), queue.keys.lock(job.id))
    assert queue.hold(job.id, token, token, L) is HoldResult.GONE
    assert queue.progress(job.id, 5) is False
    assert queue.log(job.id, "line") == -1
    for move in moves(queue, job, token):
        with pytest.raises(QueueError) as refused:
            move()
        assert refused.value.code is Code.JOB_GONE
    assert list(queue.client.scan_iter(match=queue.keys(f"{job.id}*"))) == []


def test_after_the_lock_ran_out_the_owner_may_take_it_again(queue: SyncQueue, token: str) -> None:
    queue.add("n", "{}", {"attempts": 3})
    claimed = queue.claim(token, 10)
    assert isinstance(claimed, Claimed)
    job = claimed.job
    await_lock_gone(queue, job.id)

    assert queue.extend(job.id, token, L) is False
    assert queue.progress(job.id, 5) is True
    assert queue.log(job.id, "still here") == 1
    for move in moves(queue, job, token):
        with pytest.raises(QueueError) as refused:
            move()
        assert refused.value.code is Code.NO_LOCK

    assert queue.hold(job.id, token, token + FIRST, L) is HoldResult.HELD
    assert queue.complete(job, token + FIRST, "1") == "completed"


def test_a_held_job_is_not_taken_for_stalled(queue: SyncQueue, job: Job, token: str) -> None:
    queue.client.delete(queue.keys.lock(job.id))
    assert stalled(queue) == []  # the first check only notes it
    assert queue.hold(job.id, token, token + FIRST, L) is HoldResult.HELD
    assert stalled(queue) == []
    assert queue.location(job.id).active


def test_a_job_nobody_holds_goes_back_to_wait_at_the_second_check(queue: SyncQueue, job: Job, token: str) -> None:
    queue.client.delete(queue.keys.lock(job.id))
    assert stalled(queue) == []
    assert stalled(queue) == [job.id]
    assert queue.state(job.id) == "waiting"
    assert queue.hold(job.id, token, token, L) is HoldResult.NOT_ACTIVE
    again = claim(queue, "next").job
    assert (again.stc, again.atm, again.ats) == (1, 0, 2)
    with pytest.raises(QueueError) as refused:
        queue.complete(job, token, "1")
    assert refused.value.code is Code.OTHER_TOKEN


def test_a_job_that_is_spared_is_never_put_back(queue: SyncQueue, job: Job) -> None:
    queue.client.delete(queue.keys.lock(job.id))
    assert [stalled(queue, job.id) for _ in range(3)] == [[], [], []]
    assert queue.location(job.id).active


def test_the_stalled_check_runs_once_an_interval(queue: SyncQueue, job: Job) -> None:
    queue.client.delete(queue.keys.lock(job.id))
    assert [queue.stalled(1, 60_000) for _ in range(3)] == [[], [], []]
    assert queue.client.smembers(queue.keys("stalled")) == {job.id}


def test_a_cancellation_is_for_one_attempt(queue: SyncQueue, job: Job, token: str) -> None:
    assert queue.cancels([]) == []
    assert queue.cancels([job.id, "gone"]) == [None, None]
    queue.client.hset(queue.keys(job.id), "bullpen.cancel", token)
    assert queue.cancels(["gone", job.id]) == [None, token]
    assert queue.location(job.id).cancel == token


def moves(queue: SyncQueue, job: Job, token: str) -> list[Callable[[], object]]:
    """Every way out of active."""
    return [
        lambda: queue.complete(job, token, "1"),
        lambda: queue.fail(job, token, "no"),
        lambda: queue.fail(job, token, "no", unrecoverable=True),
        lambda: queue.give_back(job, token, 10),
    ]


def stalled(queue: SyncQueue, *spare: str) -> list[str]:
    """Run the check as if its interval had passed."""
    queue.client.delete(queue.keys("stalled-check"))
    return queue.stalled(1, 60_000, spare)


def await_lock_gone(queue: SyncQueue, job_id: str) -> None:
    deadline = time.monotonic() + 5
    while queue.location(job_id).lock is not None:
        assert time.monotonic() < deadline
