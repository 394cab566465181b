"""What a child prints, line by line."""

from __future__ import annotations

import os

import pytest

from bullpen_runner.log import LINE_LIMIT, Level
from bullpen_runner.output import LINES, Output


class Lines:
    """A log that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def line(self, _level: Level, _ns: str, msg: str) -> None:
        self.texts.append(msg)

    def warn(self, msg: str) -> None:
        self.texts.append(msg)


def printed(data: bytes) -> list[str]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    log = Lines()
    output = Output(reader, Level.INFO, log)  # type: ignore[arg-type]
    view = memoryview(data)
    while view:
        view = view[os.write(writer, view[:60_000]) :]
        output.catch_up()
    os.close(writer)
    output.drain()
    os.close(reader)
    return log.texts


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"one\ntwo\n", ["one", "two"], id="lines"),
        pytest.param(b"one\r\n\nlast", ["one", "", "last"], id="no-end-of-line"),
        pytest.param(b"\xff\xfe\n", ["\ufffd\ufffd"], id="no-utf-8"),
    ],
)
def test_output_becomes_lines(data: bytes, lines: list[str]) -> None:
    assert printed(data) == lines


def test_a_stream_without_line_ends_is_cut_into_lines() -> None:
    lines = printed(b"x" * 1_000_000)
    assert max(map(len, lines)) <= 4 * LINE_LIMIT
    assert len(lines) < 100


def test_a_flood_of_lines_is_cut_off_with_a_word_about_it() -> None:
    lines = printed(b"x\n" * (LINES + 500))
    assert len(lines) == LINES + 1
    assert lines[-1] == "the processor printed more than 20,000 lines; the rest is left out"
