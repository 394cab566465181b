"""What jobs have in common, in one process or in Redis: a test module subclasses CommonsContract for each."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, Final

import pytest

from bullpen_runner.outside import TEXT_LIMIT, Ask, WireCommons

WINDOW_S: Final = 0.3


class CommonsContract:
    @pytest.fixture
    def ask(self) -> Ask:
        raise NotImplementedError

    @pytest.fixture
    def name(self) -> str:
        """Of the test alone."""
        return f"nvd:{uuid.uuid4().hex}"

    @pytest.fixture
    def commons(self, ask: Ask) -> WireCommons:
        return WireCommons(ask)

    def test_there_are_so_many_turns_and_no_more(self, commons: WireCommons, name: str) -> None:
        assert [commons.take_turn(name, 3, WINDOW_S, 0.0) for _ in range(4)] == [True, True, True, False]

    def test_a_turn_is_free_a_window_after_its_end(self, commons: WireCommons, name: str) -> None:
        assert commons.take_turn(name, 1, WINDOW_S, 0.0)
        commons.end_turn(name)
        ended = time.monotonic()
        assert not commons.take_turn(name, 1, WINDOW_S, 0.0)
        assert commons.take_turn(name, 1, WINDOW_S, 10.0)
        assert time.monotonic() - ended >= WINDOW_S - 0.002  # times are kept in whole milliseconds

    def test_nobody_has_a_turn_while_it_is_held(self, commons: WireCommons, name: str) -> None:
        began = time.monotonic()
        commons.hold_off(name, WINDOW_S)
        commons.hold_off(name, 0.001)
        assert not commons.take_turn(name, 5, 1.0, 0.0)
        assert commons.take_turn(name, 5, 1.0, 10.0)
        assert time.monotonic() - began >= WINDOW_S - 0.002

    def test_turns_of_other_names_are_others(self, commons: WireCommons, name: str) -> None:
        assert commons.take_turn(name, 1, WINDOW_S, 0.0)
        assert commons.take_turn(f"{name}:key", 1, WINDOW_S, 0.0)

    def test_no_window_ever_holds_more_than_the_limit_whoever_asks(self, ask: Ask, name: str) -> None:
        arrivals: list[float] = []
        one_at_a_time = _guarded(ask)

        def one() -> None:
            commons = WireCommons(one_at_a_time)
            assert commons.take_turn(name, 5, WINDOW_S, 30.0)
            arrivals.append(time.monotonic())
            commons.end_turn(name)

        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        arrivals.sort()
        assert len(arrivals) == 20
        assert [b - a for a, b in zip(arrivals, arrivals[5:], strict=False) if b - a < WINDOW_S - 0.002] == []

    def test_what_was_remembered_is_known_until_its_time_is_over(self, commons: WireCommons, name: str) -> None:
        assert commons.recall(name, 0.0) is None
        commons.remember(name, "é", 60)
        assert commons.recall(name, 0.0) == "é"

    def test_what_is_empty_or_too_large_is_not_kept(self, commons: WireCommons, name: str) -> None:
        for text in ("", "x" * (TEXT_LIMIT + 1)):
            assert commons.recall(name, 0.0) is None
            commons.remember(name, text, 60)

    def test_what_could_not_be_found_out_may_be_tried_by_the_next(self, commons: WireCommons, name: str) -> None:
        for _ in range(2):
            assert commons.recall(name, 0.0) is None
            commons.remember(name, None)


def _guarded(ask: Ask) -> Ask:
    """One question at a time: clients and dictionaries here are nobody's to share."""
    guard = threading.Lock()

    def asked(question: dict[str, Any]) -> dict[str, Any]:
        with guard:
            return ask(question)

    return asked
