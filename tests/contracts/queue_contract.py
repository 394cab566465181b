"""What every queue does, in memory or on a real Redis: a test module subclasses QueueContract and fills in the rig.

The model of the protocol (tests/model) is only as true as the scripts in memory: this suite holds them to BullMQ's.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from bullpen_protocol.bullmq import AsyncQueue, Claimed, Code, Empty, Finish, HoldResult, Job, QueueError

T, F, OTHER = "bullpen/i/1", "bullpen/i/1#uid", "bullpen/i/1#other"
LOCK_MS: Final = 60_000


@dataclass
class QueueRig:
    """A queue, and a hand on its Redis."""

    queue: AsyncQueue
    command: Callable[..., Awaitable[Any]]
    events: Callable[[], Awaitable[list[dict[str, str]]]]
    pass_ms: Callable[[int], Awaitable[None]]

    def key(self, name: str) -> str:
        return self.queue.keys(name)

    async def lose_lock(self, job_id: str) -> None:
        """As if it had run out."""
        await self.command("DEL", self.queue.keys.lock(job_id))

    async def claimed(self, token: str = T, **opts: Any) -> Job:
        await self.queue.add("n", "{}", opts)
        claim = await self.queue.claim(token, LOCK_MS)
        assert isinstance(claim, Claimed)
        return claim.job

    async def bound(self, **opts: Any) -> Job:
        job = await self.claimed(**opts)
        assert await self.queue.hold(job.id, T, F, LOCK_MS) is HoldResult.HELD
        return job

    async def told(self, job_id: str) -> list[dict[str, str]]:
        """Events of one job, without what depends on the time."""
        volatile = {"jobId", "delay"}
        return [
            {name: value for name, value in entry.items() if name not in volatile}
            for entry in await self.events()
            if entry.get("jobId") == job_id
        ]


class QueueContract:
    @pytest.fixture
    def rig(self) -> QueueRig:
        raise NotImplementedError

    # ---- claim ----

    async def test_a_claim_locks_names_and_counts(self, rig: QueueRig) -> None:
        job = await rig.claimed(attempts=3)
        assert (job.pb, job.ats, job.atm, job.attempts) == (T, 1, 0, 3)
        location = await rig.queue.location(job.id)
        assert (location.active, location.lock, location.pb) == (True, T, T)
        assert 0 < location.lock_ms <= LOCK_MS
        assert [entry["event"] for entry in await rig.told(job.id)] == ["added", "waiting", "active"]

    async def test_jobs_are_claimed_in_order_and_prioritized_ones_last(self, rig: QueueRig) -> None:
        added: list[tuple[str, dict[str, Any]]] = [
            ("p2", {"priority": 2}),
            ("a", {}),
            ("p1", {"priority": 1}),
            ("b", {}),
            ("l", {"lifo": True}),
        ]
        for name, opts in added:
            await rig.queue.add(name, "{}", opts)
        names = []
        for number in range(5):
            claim = await rig.queue.claim(f"t{number}", LOCK_MS)
            assert isinstance(claim, Claimed)
            names.append(claim.job.name)
        assert names == ["l", "a", "b", "p1", "p2"]

    async def test_an_empty_queue_is_empty(self, rig: QueueRig) -> None:
        assert await rig.queue.claim(T, LOCK_MS) == Empty(0, 0)

    async def test_an_empty_claim_tells_when_the_next_delayed_job_is_due(self, rig: QueueRig) -> None:
        await rig.queue.add("n", "{}", {"delay": 5_000})
        now = await rig.queue.now_ms()
        empty = await rig.queue.claim(T, LOCK_MS)
        assert isinstance(empty, Empty)
        assert 3_000 < empty.next_at_ms - now <= 5_100

    async def test_a_delayed_job_is_claimed_when_it_is_due(self, rig: QueueRig) -> None:
        job_id = await rig.queue.add("n", "{}", {"delay": 60})
        await rig.pass_ms(80)
        claim = await rig.queue.claim(T, LOCK_MS)
        assert isinstance(claim, Claimed)
        assert claim.job.id == job_id
        assert [entry["event"] for entry in await rig.told(job_id)] == ["added", "delayed", "waiting", "active"]

    async def test_a_limiter_gives_so_many_in_its_time(self, rig: QueueRig) -> None:
        for _ in range(3):
            await rig.queue.add("n", "{}", {})
        claims = [await rig.queue.claim(f"t{number}", LOCK_MS, limiter=(2, 5_000)) for number in range(3)]
        assert [isinstance(claim, Claimed) for claim in claims] == [True, True, False]
        assert isinstance(claims[2], Empty)
        assert 0 < claims[2].limit_ms <= 5_000

    async def test_a_paused_queue_gives_nothing(self, rig: QueueRig) -> None:
        await rig.command("HSET", rig.key("meta"), "paused", "1")
        job_id = await rig.queue.add("n", "{}", {})
        assert isinstance(await rig.queue.claim(T, LOCK_MS), Empty)
        assert (await rig.queue.counts())["paused"] == 1
        assert not (await rig.queue.location(job_id)).active

    async def test_a_queue_s_own_concurrency_gives_so_many(self, rig: QueueRig) -> None:
        await rig.command("HSET", rig.key("meta"), "concurrency", "1")
        await rig.claimed()
        await rig.queue.add("n", "{}", {})
        assert isinstance(await rig.queue.claim("t2", LOCK_MS), Empty)

    # ---- hold ----

    @pytest.mark.parametrize(
        ("pb", "lock", "token", "fence", "result"),
        [
            pytest.param(T, T, T, F, HoldResult.HELD, id="bind"),
            pytest.param(T, None, T, F, HoldResult.HELD, id="bind-after-the-lock-ran-out"),
            pytest.param(T, T, T, T, HoldResult.HELD, id="renew-unbound"),
            pytest.param(F, F, T, F, HoldResult.HELD, id="renew-bound"),
            pytest.param(F, None, T, F, HoldResult.HELD, id="own-again"),
            pytest.param(F, T, T, F, HoldResult.HELD, id="the-claim-s-lock-is-no-obstacle"),
            pytest.param(F, F, T, OTHER, HoldResult.SUPERSEDED, id="another-pod"),
            pytest.param(F, None, T, OTHER, HoldResult.SUPERSEDED, id="another-pod-and-no-lock"),
            pytest.param(F, None, T, T, HoldResult.SUPERSEDED, id="the-claim-can-t-void-a-pod"),
            pytest.param("bullpen/i/2", None, T, F, HoldResult.SUPERSEDED, id="another-attempt"),
            pytest.param(T, "node", T, F, HoldResult.SUPERSEDED, id="another-s-lock"),
        ],
    )
    async def test_hold(
        self, rig: QueueRig, pb: str, lock: str | None, token: str, fence: str, result: HoldResult
    ) -> None:
        job = await rig.claimed()
        await rig.command("HSET", rig.key(job.id), "pb", pb)
        await rig.lose_lock(job.id)
        if lock is not None:
            await rig.command("SET", rig.queue.keys.lock(job.id), lock)
        assert await rig.queue.hold(job.id, token, fence, LOCK_MS) is result
        location = await rig.queue.location(job.id)
        expected = (fence, fence) if result is HoldResult.HELD else (pb, lock)
        assert (location.pb, location.lock) == expected

    async def test_hold_of_what_is_gone_or_not_active(self, rig: QueueRig) -> None:
        assert await rig.queue.hold("77", T, F, LOCK_MS) is HoldResult.GONE
        job = await rig.bound()
        await rig.queue.give_back(job, F, 1_000)
        assert await rig.queue.hold(job.id, T, F, LOCK_MS) is HoldResult.NOT_ACTIVE
        assert (await rig.queue.location(job.id)).lock is None

    async def test_a_value_is_kept_under_its_fence_until_the_job_moves(self, rig: QueueRig) -> None:
        job = await rig.bound()
        value = '{"text":"é 😀","half":"\ud800"}'
        assert await rig.queue.hold(job.id, T, F, LOCK_MS, value) is HoldResult.HELD
        assert await rig.queue.hold(job.id, T, F, LOCK_MS) is HoldResult.HELD
        kept = await rig.queue.load(job.id)
        assert kept is not None
        assert kept.kept(F) == '{"text":"é 😀","half":"\\ud800"}'
        assert kept.kept(OTHER) is None
        await rig.queue.give_back(kept, F, 1_000)
        moved = await rig.queue.load(job.id)
        assert moved is not None
        assert moved.kept(F) is None
        assert moved.raw["bullpen.value"] == ""

    async def test_nothing_is_kept_for_whoever_does_not_hold_the_job(self, rig: QueueRig) -> None:
        job = await rig.bound()
        assert await rig.queue.hold(job.id, T, OTHER, LOCK_MS, "1") is HoldResult.SUPERSEDED
        await rig.queue.give_back(job, F, 1_000)
        assert await rig.queue.hold(job.id, T, F, LOCK_MS, "1") is HoldResult.NOT_ACTIVE
        assert await rig.queue.hold("77", T, F, LOCK_MS, "1") is HoldResult.GONE
        moved = await rig.queue.load(job.id)
        assert moved is not None
        assert "bullpen.value" not in moved.raw
        assert await rig.command("EXISTS", rig.key("77")) == 0

    async def test_hold_takes_the_job_out_of_the_stalled_set(self, rig: QueueRig) -> None:
        job = await rig.claimed()
        await rig.queue.stalled(1, 1)
        assert await rig.command("SMEMBERS", rig.key("stalled")) == {job.id}
        await rig.queue.hold(job.id, T, F, LOCK_MS)
        assert await rig.command("SMEMBERS", rig.key("stalled")) == set()

    async def test_extend_needs_the_lock_s_own_value(self, rig: QueueRig) -> None:
        job = await rig.bound()
        assert await rig.queue.extend(job.id, F, LOCK_MS)
        assert not await rig.queue.extend(job.id, T, LOCK_MS)
        await rig.lose_lock(job.id)
        assert not await rig.queue.extend(job.id, F, LOCK_MS)

    # ---- finish ----

    async def test_complete(self, rig: QueueRig) -> None:
        job = await rig.bound()
        assert await rig.queue.complete(job, F, '{"a":1}', {"x": "y"}) is Finish.COMPLETED
        left = await rig.queue.load(job.id)
        assert left is not None
        assert (left.returnvalue, left.atm, left.raw["x"]) == ('{"a":1}', 1, "y")
        assert left.finished_on
        assert (await rig.queue.location(job.id)).lock is None
        assert (await rig.told(job.id))[-1] == {"event": "completed", "returnvalue": '{"a":1}', "prev": "active"}
        assert await rig.queue.state(job.id) == "completed"

    async def test_complete_and_remove(self, rig: QueueRig) -> None:
        job = await rig.bound(removeOnComplete=True)
        await rig.queue.complete(job, F, "1")
        assert await rig.queue.load(job.id) is None
        assert await rig.queue.state(job.id) == "unknown"
        assert (await rig.told(job.id))[-1]["event"] == "completed"

    async def test_a_failure_is_retried_delayed_and_final(self, rig: QueueRig) -> None:
        first = await rig.claimed(attempts=2)
        assert await rig.queue.fail(first, T, "boom", "stack") is Finish.RETRIED
        assert await rig.queue.state(first.id) == "waiting"
        claim = await rig.queue.claim("t2", LOCK_MS)
        assert isinstance(claim, Claimed)
        assert await rig.queue.fail(claim.job, "t2", "boom", "stack 2") is Finish.FAILED
        left = await rig.queue.load(first.id)
        assert left is not None
        assert (left.atm, left.ats, left.failed_reason, left.stacktrace) == (2, 2, "boom", ("stack", "stack 2"))
        assert [entry["event"] for entry in await rig.told(first.id)] == [
            "added", "waiting", "active", "waiting", "active", "failed", "retries-exhausted",
        ]  # fmt: skip
        second = await rig.claimed("t3", attempts=2, backoff=9_000)
        assert await rig.queue.fail(second, "t3", "boom", "") is Finish.DELAYED
        assert await rig.queue.state(second.id) == "delayed"
        assert (await rig.told(second.id))[-1] == {"event": "delayed"}

    async def test_a_retry_keeps_the_priority(self, rig: QueueRig) -> None:
        job = await rig.claimed(attempts=2, priority=5)
        await rig.queue.fail(job, T, "boom", "")
        assert await rig.queue.state(job.id) == "prioritized"

    async def test_an_unrecoverable_failure_is_final_and_not_exhausted(self, rig: QueueRig) -> None:
        job = await rig.claimed(attempts=5)
        assert await rig.queue.fail(job, T, "no", "", unrecoverable=True) is Finish.FAILED
        assert [entry["event"] for entry in await rig.told(job.id)][-1] == "failed"

    async def test_a_give_back_counts_nothing_and_writes_its_fields_with_the_move(self, rig: QueueRig) -> None:
        job = await rig.bound(attempts=2)
        await rig.queue.give_back(job, F, 5_000, {"bullpen": json.dumps({"giveBacks": 3})})
        left = await rig.queue.load(job.id)
        assert left is not None
        assert (left.atm, left.delay, left.bullpen["giveBacks"]) == (0, 5_000, 3)
        location = await rig.queue.location(job.id)
        assert location.moved_by(F)
        assert (location.active, location.lock) == (False, None)
        assert await rig.queue.state(job.id) == "delayed"
        assert [entry["event"] for entry in await rig.told(job.id)] == ["added", "waiting", "active", "delayed"]

    async def test_a_give_back_leaves_a_marker_for_when_it_is_due(self, rig: QueueRig) -> None:
        job = await rig.bound(priority=4)
        await rig.command("DEL", rig.key("marker"))
        await rig.queue.give_back(job, F, 5_000)
        assert await rig.command("ZCARD", rig.key("marker")) == 1

    @pytest.mark.parametrize("move", ["complete", "fail", "retry", "give back"])
    @pytest.mark.parametrize(
        ("trouble", "code"),
        [
            pytest.param("gone", Code.JOB_GONE, id="job-gone"),
            pytest.param("no lock", Code.NO_LOCK, id="lock-ran-out"),
            pytest.param("token", Code.OTHER_TOKEN, id="another-token"),
            pytest.param("bound", Code.OTHER_TOKEN, id="the-claim-s-token-after-bind"),
            pytest.param("moved", Code.NO_LOCK, id="moved-by-the-stalled-check"),
        ],
    )
    async def test_a_move_is_refused(self, rig: QueueRig, move: str, trouble: str, code: Code) -> None:
        job = await rig.bound(attempts=3 if move == "retry" else 1)
        before = await rig.told(job.id)
        if trouble == "gone":
            await rig.command("DEL", rig.key(job.id))
        elif trouble == "no lock":
            await rig.lose_lock(job.id)
        elif trouble == "moved":
            await rig.lose_lock(job.id)
            await self._stall(rig)
            before = await rig.told(job.id)
        token = {"token": OTHER, "bound": T}.get(trouble, F)
        with pytest.raises(QueueError) as refused:
            await self._move(rig.queue, move, job, token)
        assert refused.value.code is code
        assert await rig.told(job.id) == before

    async def test_a_parent_with_pending_children_is_not_completed(self, rig: QueueRig) -> None:
        job = await rig.bound()
        await rig.command("SADD", f"{rig.key(job.id)}:dependencies", "bull:q:child")
        with pytest.raises(QueueError) as refused:
            await rig.queue.complete(job, F, "1")
        assert refused.value.code is Code.PENDING_CHILDREN
        assert (await rig.queue.location(job.id)).lock == F

    async def test_the_last_finish_drains(self, rig: QueueRig) -> None:
        job = await rig.bound()
        await rig.queue.complete(job, F, "1")
        assert (await rig.events())[-1] == {"event": "drained"}

    # ---- stalled ----

    async def test_the_stalled_check_puts_back_what_has_no_lock_in_two_rounds(self, rig: QueueRig) -> None:
        kept, lost = await rig.claimed("t1"), await rig.claimed("t2")
        await rig.lose_lock(lost.id)
        assert await rig.queue.stalled(1, 1) == []
        await rig.pass_ms(5)
        assert await rig.queue.stalled(1, 1) == [lost.id]
        assert await rig.queue.state(kept.id) == "active"
        assert [entry["event"] for entry in await rig.told(lost.id)][-2:] == ["waiting", "stalled"]
        assert (await rig.queue.load(lost.id)).stc == 1  # type: ignore[union-attr]

    async def test_a_job_that_stalls_too_often_is_marked_to_fail(self, rig: QueueRig) -> None:
        job = await rig.claimed("t1")
        for token in ("t2", "t3"):
            await rig.lose_lock(job.id)
            await self._stall(rig)
            claim = await rig.queue.claim(token, LOCK_MS)
            assert isinstance(claim, Claimed)
            job = claim.job
        assert job.defa == "job stalled more than allowable limit"

    async def test_the_check_runs_once_per_interval(self, rig: QueueRig) -> None:
        job = await rig.claimed("t1")
        await rig.lose_lock(job.id)
        await rig.queue.stalled(1, 60_000)
        assert await rig.queue.stalled(1, 60_000) == []
        assert await rig.queue.state(job.id) == "active"

    async def test_spared_jobs_are_never_put_back(self, rig: QueueRig) -> None:
        mine, other = await rig.claimed("t1"), await rig.claimed("t2")
        for job in (mine, other):
            await rig.lose_lock(job.id)
        moved = []
        for _ in range(3):
            moved += await rig.queue.stalled(1, 1, [mine.id])
            await rig.pass_ms(5)
        assert moved == [other.id]
        assert await rig.queue.state(mine.id) == "active"

    # ---- looking ----

    async def test_what_is_not_there_is_nowhere(self, rig: QueueRig) -> None:
        location = await rig.queue.location("99")
        assert (location.exists, location.active, location.lock, location.pb) == (False, False, None, None)
        assert await rig.queue.load("99") is None

    async def test_cancels_are_told_for_many_jobs_in_their_order(self, rig: QueueRig) -> None:
        ids = [await rig.queue.add("n", "{}", {}) for _ in range(3)]
        await rig.command("HSET", rig.queue.keys(ids[1]), "bullpen.cancel", "T")
        assert await rig.queue.cancels([*ids, "nobody"]) == [None, "T", None, None]
        assert await rig.queue.cancels([]) == []

    async def test_a_cancel_is_seen(self, rig: QueueRig) -> None:
        job = await rig.claimed()
        await rig.command("HSET", rig.key(job.id), "bullpen.cancel", T)
        assert (await rig.queue.location(job.id)).cancel == T
        assert await rig.queue.cancels([job.id, "99"]) == [T, None]

    async def test_active_ids_and_counts(self, rig: QueueRig) -> None:
        active = await rig.claimed()
        await rig.queue.add("n", "{}", {})
        await rig.queue.add("n", "{}", {"delay": 99_000})
        assert await rig.queue.active_ids() == [active.id]
        counts = await rig.queue.counts()
        assert {name: count for name, count in counts.items() if count} == {"wait": 1, "active": 1, "delayed": 1}

    async def test_the_oldest_of_the_jobs_that_come_next_tells_since_when_it_waits(self, rig: QueueRig) -> None:
        assert await rig.queue.oldest_waiting_ms() is None
        for opts, added_ms in (({}, 5_000), ({}, 4_000), ({"priority": 2}, 3_000)):
            job_id = await rig.queue.add("n", "{}", opts)
            await rig.command("HSET", rig.queue.keys(job_id), "timestamp", str(added_ms))
            if added_ms != 3_000:
                assert await rig.queue.oldest_waiting_ms() == 5_000
        assert await rig.queue.oldest_waiting_ms() == 3_000

    async def test_a_note_is_the_last_of_as_many_log_lines_as_the_producer_keeps(self, rig: QueueRig) -> None:
        job_id = await rig.queue.add("n", "{}", {"keepLogs": 2})
        for line in "abc":
            await rig.queue.note(job_id, line)
        assert await rig.command("LRANGE", rig.queue.keys(f"{job_id}:logs"), 0, -1) == ["b", "c"]
        assert await rig.queue.note("nobody", "x") == -1

    # ---- outbox ----

    async def test_the_first_record_of_an_attempt_stays_until_it_is_let_go(self, rig: QueueRig) -> None:
        assert await rig.queue.outbox_put("urn:bullpen:attempt:a", "1")
        assert not await rig.queue.outbox_put("urn:bullpen:attempt:a", "2")
        assert await rig.queue.outbox_put("urn:bullpen:attempt:b", '"é"')
        assert await rig.queue.outbox_records() == {"urn:bullpen:attempt:a": "1", "urn:bullpen:attempt:b": '"é"'}
        await rig.queue.outbox_remove("urn:bullpen:attempt:a")
        await rig.queue.outbox_remove("urn:bullpen:attempt:a")
        assert await rig.queue.outbox_records() == {"urn:bullpen:attempt:b": '"é"'}
        await rig.queue.outbox_remove("urn:bullpen:attempt:b")
        assert await rig.command("EXISTS", rig.key("bullpen:outbox")) == 0

    async def test_the_fields_of_a_job_in_the_outbox_s_place_are_not_read(self, rig: QueueRig) -> None:
        await rig.command("HSET", rig.key("bullpen:outbox"), "name", "n")
        await rig.queue.outbox_put("urn:bullpen:attempt:a", "1")
        assert await rig.queue.outbox_records() == {"urn:bullpen:attempt:a": "1"}

    async def test_an_id_is_added_once(self, rig: QueueRig) -> None:
        assert await rig.queue.add("n", "{}", {}, "mine") == "mine"
        assert await rig.queue.add("n", "{}", {}, "mine") == "mine"
        assert (await rig.queue.counts())["wait"] == 1

    async def _stall(self, rig: QueueRig) -> None:
        await rig.pass_ms(5)
        await rig.queue.stalled(1, 1)
        await rig.pass_ms(5)
        await rig.queue.stalled(1, 1)
        await rig.pass_ms(5)

    async def _move(self, queue: AsyncQueue, move: str, job: Job, token: str) -> object:
        if move == "complete":
            return await queue.complete(job, token, "1")
        if move == "give back":
            await queue.give_back(job, token, 1_000)
            return None
        return await queue.fail(job, token, "boom", "")
