"""What every launcher does, fake or real: a test module subclasses LauncherContract and fills in the fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bullpen_operator.model import JobType
from bullpen_operator.ports import Launcher
from bullpen_operator.seen import Attempt, KubeJobSeen, PodPhase

PATIENCE_S = 60.0


async def _by_itself(_: str) -> None:
    """Nothing to do."""


@dataclass
class Rig:
    """A launcher and a hand on what it started."""

    launcher: Launcher
    end: Callable[[str, int], Awaitable[None]]
    """Have the process of the named attempt end with this code."""
    write: Callable[[str, str], Awaitable[None]]
    """Have the process of the named attempt have written this text."""
    start: Callable[[str], Awaitable[None]] = _by_itself
    """Have the process of the named attempt start, where it does not by itself."""


def an_attempt(job_id: str = "1", token: str = "bullpen/i/0001") -> Attempt:
    return Attempt("local/q", "bull", "q", job_id, "resize", token)


JOB_TYPE = JobType(name="resize")


async def until(look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Look until *holds*; what was seen then."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(seen := await look()):  # noqa: ASYNC110 - it has no events
            await asyncio.sleep(0.01)
    return seen


class LauncherContract:
    job_type = JOB_TYPE

    @pytest.fixture
    def rig(self) -> Rig:
        raise NotImplementedError

    async def _launched(self, rig: Rig, attempt: Attempt) -> KubeJobSeen:
        await rig.launcher.launch(attempt, self.job_type)
        (seen,) = [one for one in await rig.launcher.list() if one.attempt == attempt]
        return seen

    async def _running(self, rig: Rig, attempt: Attempt) -> KubeJobSeen:
        name = (await self._launched(rig, attempt)).name
        await rig.start(name)
        seen: KubeJobSeen = await until(
            lambda: rig.launcher.look(name),
            lambda seen: bool(seen and seen.pods and seen.pods[0].phase is PodPhase.RUNNING),
        )
        return seen

    async def test_a_launched_attempt_is_listed_with_its_exact_ids(self, rig: Rig) -> None:
        attempt = an_attempt(job_id='a:b/"ü\n😀', token="bullpen/i/t")
        seen = await self._launched(rig, attempt)
        assert seen.attempt == attempt
        assert not seen.recorded

    async def test_launching_twice_makes_one_attempt_with_one_pod(self, rig: Rig) -> None:
        first = await self._running(rig, an_attempt())
        await rig.launcher.launch(an_attempt(), self.job_type)
        (again,) = await rig.launcher.list()
        assert [pod.uid for pod in again.pods] == [pod.uid for pod in first.pods]

    async def test_two_claims_of_one_job_are_two_attempts_with_two_uids(self, rig: Rig) -> None:
        one = await self._running(rig, an_attempt(token="bullpen/i/1"))
        two = await self._running(rig, an_attempt(token="bullpen/i/2"))
        assert one.name != two.name
        assert one.pods[0].uid != two.pods[0].uid

    async def test_an_end_is_announced_and_seen_with_its_exit_code(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        async with asyncio.timeout(PATIENCE_S), aclosing(_generator(rig.launcher.changes())) as changes:
            await rig.end(running.name, 3)
            async for seen in changes:
                if seen.name == running.name and seen.pods[0].ended:
                    break
        looked = await rig.launcher.look(running.name)
        assert looked is not None
        assert looked.pods[0].uid == running.pods[0].uid
        assert looked.pods[0].phase is PodPhase.FAILED
        assert looked.pods[0].terminated is not None
        assert looked.pods[0].terminated.exit_code == 3

    async def test_exit_code_0_is_a_success(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.end(running.name, 0)
        ended = await until(lambda: rig.launcher.look(running.name), lambda seen: seen.pods[0].ended)
        assert ended.pods[0].phase is PodPhase.SUCCEEDED

    async def test_an_attempt_that_ended_is_never_started_again(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.end(running.name, 1)
        await until(lambda: rig.launcher.look(running.name), lambda seen: seen.pods[0].ended)
        await rig.launcher.mark_recorded(running.name)
        await rig.launcher.launch(an_attempt(), self.job_type)
        again = await rig.launcher.look(running.name)
        assert again is None or (again.pods[0].uid == running.pods[0].uid and again.pods[0].ended)

    async def test_what_is_recorded_says_so_or_is_gone(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.end(running.name, 0)
        await until(lambda: rig.launcher.look(running.name), lambda seen: seen.pods[0].ended)
        await rig.launcher.mark_recorded(running.name)
        assert all(seen.recorded for seen in await rig.launcher.list())

    async def test_a_deleted_attempt_ends(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.launcher.delete(running.name)
        seen = await until(
            lambda: rig.launcher.look(running.name), lambda seen: seen is None or all(pod.ended for pod in seen.pods)
        )
        assert seen is None or seen.deleting

    async def test_an_attempt_that_is_deleted_with_little_grace_ends(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.launcher.delete(running.name, grace_s=0.1)
        await until(
            lambda: rig.launcher.look(running.name),
            lambda seen: seen is None or all(pod.ended for pod in seen.pods),
        )

    async def test_the_end_of_what_it_wrote_can_be_read_after_its_end(self, rig: Rig) -> None:
        running = await self._running(rig, an_attempt())
        await rig.write(running.name, "one\ntwo\nthree\n")
        await rig.end(running.name, 1)
        seen = await until(lambda: rig.launcher.look(running.name), lambda seen: seen.pods[0].ended)
        assert (await rig.launcher.log_tail(seen, seen.pods[0].uid, 2)).splitlines() == ["two", "three"]
        assert await rig.launcher.log_tail(replace(seen, name="bp-nobody", pods=()), "nobody", 2) == ""

    async def test_nobody_s_name_can_be_looked_up_deleted_and_recorded(self, rig: Rig) -> None:
        await rig.launcher.delete("bp-nobody")
        await rig.launcher.mark_recorded("bp-nobody")
        assert await rig.launcher.look("bp-nobody") is None
        assert await rig.launcher.list() == []


def _generator(changes: AsyncIterator[KubeJobSeen]) -> Any:
    """Launchers implement `changes` as an async generator; the port only promises an iterator."""
    return changes
