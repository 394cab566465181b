"""The event loop of the supervisor."""

from __future__ import annotations

import os
import time

from bullpen_runner.loop import Loop


def test_timers_run_in_order_and_cancelled_ones_do_not() -> None:
    loop = Loop()
    ran: list[str] = []
    now = time.monotonic()
    loop.at(now + 0.02, lambda: ran.append("second"))
    loop.at(now + 0.01, lambda: ran.append("first"))
    loop.at(now, lambda: ran.append("never")).cancel()
    loop.run_until(lambda: len(ran) == 2)
    assert ran == ["first", "second"]


def test_a_readable_file_is_heard_before_a_timer_that_is_due() -> None:
    """A result that came in time counts, even when the loop was held up until after the deadline."""
    loop = Loop()
    ran: list[str] = []
    reader, writer = os.pipe()
    loop.at(time.monotonic() - 1, lambda: ran.append("deadline"))
    loop.watch(reader, lambda: ran.append(os.read(reader, 10).decode()))
    os.write(writer, b"result")
    loop.turn()
    assert ran == ["result", "deadline"]
    os.close(writer)
    os.close(reader)


def test_a_pause_lasts_as_long_as_it_should() -> None:
    loop = Loop()
    began = time.monotonic()
    loop.pause(0.02)
    assert 0.02 <= time.monotonic() - began < 1
