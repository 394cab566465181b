"""A cancel is heeded, whatever the library below makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bullpen_protocol.bullmq.heeding import heeding


async def swallows() -> str:
    """As asyncio.wait_for does before Python 3.12 when what it waits for ends just then."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "an answer"
    raise AssertionError("it was not cancelled")


async def makes_a_fault_of_it() -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ConnectionError("closed") from None
    raise AssertionError("it was not cancelled")


async def lets_it_through() -> str:
    await asyncio.sleep(60)
    raise AssertionError("it was not cancelled")


@pytest.mark.parametrize("request_", [swallows, makes_a_fault_of_it, lets_it_through])
async def test_a_cancel_is_raised_whatever_becomes_of_the_request(request_: Callable[[], Awaitable[str]]) -> None:
    task = asyncio.ensure_future(heeding(request_()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_an_answer_and_a_fault_pass_through() -> None:
    async def answers() -> str:
        return "an answer"

    async def fails() -> str:
        raise ConnectionError("closed")

    assert await heeding(answers()) == "an answer"
    with pytest.raises(ConnectionError, match="closed"):
        await heeding(fails())


async def test_what_runs_after_a_cancel_may_still_ask() -> None:
    async def answers() -> str:
        return "an answer"

    async def tidies() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            told.append(await heeding(answers()))
        raise AssertionError("it was not cancelled")

    told: list[str] = []
    task = asyncio.ensure_future(tidies())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert told == ["an answer"]
