"""Exceptions as people read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bullpen_runner.failure import reason_of, sentence, stack_of


class AuthorsError(Exception):
    """Defined by the author of a processor."""


class BrokenError(Exception):
    """Breaks while it is rendered."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(AuthorsError("GET answered 500"), "GET answered 500", id="own-words"),
        pytest.param(Exception("bad"), "bad", id="plain"),
        pytest.param(KeyError("url"), "KeyError: 'url'", id="built-in"),
        pytest.param(AssertionError(), "AssertionError", id="empty"),
        pytest.param(BrokenError(), "BrokenError", id="broken"),
        pytest.param(AuthorsError("two\n  lines\x1b[31m"), "two lines\\x1b[31m", id="escaped"),
        pytest.param(AuthorsError("half \ud800"), "half \\ud800", id="surrogate"),
    ],
)
def test_a_reason_is_one_printable_sentence(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_long_reason_is_cut() -> None:
    assert sentence("x" * 10_000, 20) == "x" * 19 + "…"


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError


def test_a_deep_stack_keeps_its_inner_frames() -> None:
    def dive(depth: int) -> None:
        if depth == 0:
            raise AuthorsError("the bottom")
        dive(depth - 1)

    lines = stack_of(raised(lambda: dive(200))).splitlines()
    assert lines[0] == "AuthorsError: the bottom"
    assert len(lines) == 42
    assert "outer frames" in lines[1]
    assert "dive" in lines[-1]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(KeyError("url"), "KeyError: 'url'", id="built-in"),
        pytest.param(AssertionError(), "AssertionError", id="empty"),
        pytest.param(AuthorsError("GET answered 500"), "AuthorsError: GET answered 500", id="own-words"),
    ],
)
def test_a_stack_begins_with_the_name_of_the_exception_once(error: BaseException, line: str) -> None:
    assert stack_of(error) == line


def test_the_messages_of_causes_stay_out_of_a_stack() -> None:
    def fail() -> None:
        try:
            int("hunter2")
        except ValueError:
            raise AuthorsError("no number")  # noqa: B904 - its context is the point

    text = stack_of(raised(fail))
    assert "caused by ValueError" in text
    assert "hunter2" not in text
