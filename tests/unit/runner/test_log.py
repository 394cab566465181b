"""The log's lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bullpen_protocol.assignment import Assignment
from bullpen_protocol.timestamps import timestamp
from bullpen_runner.log import Level, Log

ASSIGNMENT = Assignment(
    "redis://user:hunter2@h", "bull", "q/é", "7", "T", "U", "http-ingest", graph_password="hunter2", attempt=2
)


def written(path: Path, environment: dict[str, str]) -> list[str]:
    with path.open("w") as file:
        log = Log(ASSIGNMENT, environment, file)
        log.debug("detail")
        log.info("started", name="é\ud800")
        log.line(Level.WARN, "some.library", "two\nlines \x1b[31m" + "x" * 9_000)
    return path.read_text().splitlines()


def test_json_lines_have_their_keys_in_order(tmp_path: Path) -> None:
    first, second = map(json.loads, written(tmp_path / "log", {}))
    assert list(first) == ["ts", "level", "ns", "msg", "queue", "job_id", "attempt", "name"]
    assert {key: first[key] for key in list(first)[1:]} == {
        "level": "info",
        "ns": "runner",
        "msg": "started",
        "queue": "q/é",
        "job_id": "7",
        "attempt": 2,
        "name": "é\ud800",
    }
    assert (second["level"], second["ns"], len(second["msg"])) == ("warn", "some.library", 8_192)


def test_pretty_lines_send_a_terminal_no_commands(tmp_path: Path) -> None:
    lines = written(tmp_path / "log", {"LOG_FORMAT": "pretty", "LOG_LEVEL": "warn"})
    assert len(lines) == 1
    assert "WARN  some.library — two\\nlines \\x1b[31mxxx" in lines[0]
    assert lines[0].isprintable()


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("WARN", 1), ("error", 0), ("?", 2)])
def test_the_level_is_asked_for_by_the_environment(tmp_path: Path, level: str, count: int) -> None:
    assert len(written(tmp_path / "log", {"LOG_LEVEL": level})) == count


def test_a_log_that_nobody_reads_any_more_is_no_reason_to_fail() -> None:
    with Path("/dev/full").open("w") as file:
        Log(ASSIGNMENT, {}, file).info("lost")


def test_times_are_utc_with_milliseconds() -> None:
    assert timestamp(1_767_225_600.0789) == "2026-01-01T00:00:00.078Z"
