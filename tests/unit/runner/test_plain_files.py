"""The files that a plain job shares with its sidecar: read without being led astray, and what they mean."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from bullpen_runner.plain.files import Files, UnreadableError
from bullpen_runner.plain.result import ResultError, value_of


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param(b'{"a": [1, "\xc3\xa9"], "b": null}\n', '{"a":[1,"é"],"b":null}', id="json"),
        pytest.param(b"42\n", "42", id="number"),
        pytest.param(b'"quoted"', '"quoted"', id="quoted"),
        pytest.param(b"all is well\n", '"all is well"', id="text-without-its-newline"),
        pytest.param(b"two\nlines\n\n", '"two\\nlines\\n"', id="text-with-newlines-of-its-own"),
        pytest.param(b"windows\r\n", '"windows"', id="carriage-return"),
        pytest.param(b'{"a": 1', '"{\\"a\\": 1"', id="half-an-object-is-text"),
        pytest.param(b"NaN", '"NaN"', id="no-number-of-json"),
        pytest.param(b'"\\ud800"', '"\\ud800"', id="half-a-surrogate-pair"),
        pytest.param(b"", "null", id="empty"),
        pytest.param(b" \n", "null", id="blank"),
    ],
)
def test_a_result_is_json_or_else_text(content: bytes, value: str) -> None:
    assert value_of(content) == value


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"caf\xe9", "the result is not UTF-8: byte 3", id="latin-1"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "the result is nested too deep", id="deep"),
    ],
)
def test_a_result_that_is_neither_is_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(ResultError) as caught:
        value_of(content)
    assert str(caught.value) == sentence


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path))


def test_the_payload_is_laid_out_for_any_user_and_twice_is_once(files: Files, tmp_path: Path) -> None:
    for _ in range(2):
        files.lay_out(b'{"a": 1}')
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"payload": 0o444, "progress": 0o666, "result": 0o666}
    assert (tmp_path / "payload").read_bytes() == b'{"a": 1}'
    assert files.read("result", 10) == b""


def test_a_file_up_to_its_limit_is_read_and_a_larger_one_is_not(files: Files, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"x" * 100)
    assert files.read("result", 100) == b"x" * 100
    with pytest.raises(UnreadableError, match="the result is larger than 99 bytes"):
        files.read("result", 99)


def test_a_file_that_is_larger_than_memory_costs_none(files: Files, tmp_path: Path) -> None:
    with (tmp_path / "result").open("wb") as file:
        file.truncate(1 << 36)
    with pytest.raises(UnreadableError, match=r"the result is larger than 1,048,576 bytes"):
        files.read("result", 1 << 20)


def a_link(path: Path) -> None:
    path.symlink_to("/proc/self/environ")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(a_link, "the result file can't be read: it is a symbolic link", id="link-to-our-environment"),
        pytest.param(a_fifo, "the result is no plain file", id="fifo-that-nobody-writes-to"),
        pytest.param(a_folder, "the result is no plain file", id="folder"),
    ],
)
def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(
    files: Files, tmp_path: Path, make: Any, sentence: str
) -> None:
    make(tmp_path / "result")
    with pytest.raises(UnreadableError) as caught:
        files.read("result", 100)
    assert str(caught.value) == sentence


def test_a_file_is_told_from_what_it_was(files: Files, tmp_path: Path) -> None:
    assert files.stamp("progress") is None
    (tmp_path / "progress").write_text("1")
    first = files.stamp("progress")
    assert files.stamp("progress") == first
    (tmp_path / "new").write_text("2")
    (tmp_path / "new").rename(tmp_path / "progress")
    assert files.stamp("progress") not in (None, first)
