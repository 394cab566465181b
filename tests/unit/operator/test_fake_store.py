from __future__ import annotations

import pytest

from contracts.store_contract import RECORD, StoreContract, StoreRig
from fakes.stores import FakeStore


class TestFakeStore(StoreContract):
    @pytest.fixture
    async def rig(self) -> StoreRig:
        store = FakeStore()

        async def reasons() -> list[str]:
            return [RECORD.reason] if store.graphs == {RECORD.attempt: RECORD.insert_once()} else []

        async def go_away() -> None:
            store.away = True

        return StoreRig(store, reasons, go_away)
