"""Tables, times and sentences for a terminal, and that hostile text can do nothing to it."""

from __future__ import annotations

import pytest

from bullpen_cli.telling import count, facts, moment, span, table


@pytest.mark.parametrize(
    ("ms", "says"),
    [
        *((-5, "0 ms"), (0, "0 ms"), (999, "999 ms"), (1_000, "1 s"), (59_999, "59 s"), (60_000, "1 min")),
        *((3_599_999, "59 min"), (3_600_000, "1 h"), (86_400_000 * 400, "400 d")),
    ],
)
def test_spans_have_one_fitting_unit(ms: int, says: str) -> None:
    assert span(ms) == says


def test_a_moment_that_no_calendar_holds_is_told_as_it_is() -> None:
    assert moment(None) == "-"
    assert moment(10**18) == "1000000000000000000 ms"


def test_counts_are_readable() -> None:
    assert [count(1, "job"), count(2, "job"), count(1_234, "child", "children")] == [
        "1 job",
        "2 jobs",
        "1,234 children",
    ]


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    assert table(("id", "name", "why"), [("1", "日本", "x"), ("22", "é", "")], width=0).splitlines() == [
        "id  name  why",
        "1   日本  x",
        "22  é",
    ]


def test_a_line_is_cut_to_the_terminal_and_a_cell_to_its_limit() -> None:
    [_, line] = table(("id", "why"), [("x" * 500, "y" * 500)], width=80).splitlines()
    assert len(line) == 80
    assert line.endswith("…")
    [_, line] = table(("id", "why"), [("x" * 500, "y" * 500)], width=0).splitlines()
    assert len(line) == 60 + 2 + 300


def test_no_cell_can_move_a_cursor_or_begin_a_line() -> None:
    text = table(("id", "why"), [("\x1b[2J\n", "\x9b31m\u202e\ud800")], width=0) + facts([("a", "\r\x07")])
    assert all(character == "\n" or character.isprintable() for character in text)
    assert text.count("\n") == 1


def test_facts_without_a_value_are_left_out() -> None:
    assert facts([("name", "x"), ("ended", ""), ("id", "7")]) == "name  x\nid    7"
