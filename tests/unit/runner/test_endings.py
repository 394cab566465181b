"""Last words."""

from __future__ import annotations

from pathlib import Path

from bullpen_protocol.assignment import RunnerOutcome, TerminationMessage
from bullpen_runner.endings import write_message


def test_a_shorter_message_replaces_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    assert write_message(str(path), TerminationMessage(RunnerOutcome.FAILED, "x" * 400))
    assert write_message(str(path), TerminationMessage(RunnerOutcome.SUPERSEDED, "short"))
    message = TerminationMessage.from_text(path.read_text())
    assert message == TerminationMessage(RunnerOutcome.SUPERSEDED, "short")


def test_a_message_fits_into_what_kubernetes_keeps(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    for text in ("x" * 100_000, "é" * 100_000, "\x00" * 100_000):
        message = TerminationMessage(RunnerOutcome.COMPLETED, text, text[:1_000], has_value=True)
        assert write_message(str(path), message)
        assert path.stat().st_size <= 4_096, text[0]


def test_a_path_that_cannot_be_written_is_reported_and_no_more(tmp_path: Path) -> None:
    assert not write_message(str(tmp_path / "none" / "log"), TerminationMessage(RunnerOutcome.OOM))
