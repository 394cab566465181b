"""What the operator finds at every graph store, the fake one included: a test module subclasses StoreContract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from bullpen_operator.ports import Store, StoreRefusedError, StoreUnavailableError
from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord

RECORD = AttemptRecord(
    "bull", "é 😀", '1"', "resize", 1_790_000_000_000, "bullpen/i/1", AttemptOutcome.FAILED, reason="é 😀 \" \\u0022 }"
)  # fmt: skip


@dataclass
class StoreRig:
    """A store, what is in it, and how it goes away."""

    store: Store
    reasons: Callable[[], Awaitable[list[str]]]
    """What was recorded of RECORD's attempt as its reason, read past the code under test."""
    go_away: Callable[[], Awaitable[None]]


class StoreContract:
    @pytest.fixture
    async def rig(self) -> StoreRig:
        raise NotImplementedError

    async def test_a_store_that_is_there_answers(self, rig: StoreRig) -> None:
        await rig.store.probe()

    async def test_the_first_record_of_an_attempt_stays(self, rig: StoreRig) -> None:
        await rig.store.update(RECORD.insert_once())
        await rig.store.update(RECORD.insert_once())
        await rig.store.update(replace(RECORD, reason="another").insert_once())
        assert await rig.reasons() == [RECORD.reason]

    async def test_what_no_store_takes_is_refused(self, rig: StoreRig) -> None:
        with pytest.raises(StoreRefusedError, match=r"^the graph store answered 400 Bad Request"):
            await rig.store.update("INSERT nonsense")

    async def test_a_store_that_went_away_is_told_from_one_that_refuses(self, rig: StoreRig) -> None:
        await rig.go_away()
        with pytest.raises(StoreUnavailableError, match=r"^the graph store gave no answer: it can't be connected to$"):
            await rig.store.probe()
        with pytest.raises(StoreUnavailableError):
            await rig.store.update(RECORD.insert_once())
        with pytest.raises(StoreUnavailableError):
            await rig.store.update("INSERT nonsense")
