"""A folder of NVD's JSON feeds, for clusters without a way out: `nvdcve-2.0-*.json`, or the same as .json.gz.

Source: NVD, "Data Feeds" 2.0: one object a file, `vulnerabilities` as in the API. A feed is read in pieces, record by
record, and only those are parsed that hold what is asked for.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Final, cast

from bullpen_processors.api import Json, Report, SettingsError
from bullpen_processors.techstack.questions import Failed, Question
from bullpen_processors.techstack.records import Record, records, trimmed

_START: Final = re.compile(r'\{\s{0,99}"cve"\s{0,99}:\s{0,99}\{')
_PIECE: Final = 4 * 1024 * 1024
_RECORD_MOST: Final = 64 * 1024 * 1024


class Mirror:
    """All feeds of a folder; one pass answers all questions of a job."""

    def __init__(self, folder: str, report: Report) -> None:
        self._folder = Path(folder)
        self._report = report
        if not self._folder.is_dir():
            raise SettingsError(f"setting nvdMirror: {folder[:200]} is no folder")

    def ask(self, questions: Sequence[Question]) -> Mapping[Question, Sequence[Record] | Failed]:
        """Answer each question."""
        found: dict[Question, dict[str, Json]] = {question: {} for question in questions}
        if not found:
            return {}
        try:
            files = sorted(path for path in self._folder.iterdir() if path.name.endswith((".json", ".json.gz")))
            for path in files:
                _read(path, found)
        except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:
            return self._fail(questions, f"a feed of the mirror can't be read: {type(error).__name__}")
        if not files:
            return self._fail(questions, "the mirror holds no feed (*.json or *.json.gz)")
        return {question: list(records(list(kept.values()))) for question, kept in found.items()}

    def _fail(self, questions: Sequence[Question], reason: str) -> Mapping[Question, Failed]:
        self._report.log(f"look-ups failed: {reason}")
        return dict.fromkeys(questions, Failed(reason))


def _read(path: Path, found: Mapping[Question, dict[str, Json]]) -> None:
    """Add what a feed has; of a record that comes twice the last counts."""
    needles = {question: _needle(question) for question in found}
    with _open(path) as feed:
        for text in _texts(feed):
            folded = text.casefold()
            hits = [question for question, needle in needles.items() if needle in folded]
            kept = trimmed(json.JSONDecoder().raw_decode(text)[0]) if hits else None
            if kept is not None:
                for question in hits:
                    found[question][kept["id"]] = kept


def _open(path: Path) -> IO[str]:
    if path.suffix != ".gz":
        return path.open(encoding="utf-8")
    return cast("IO[str]", gzip.open(path, "rt", encoding="utf-8"))


def _needle(question: Question) -> str:
    """Return what the text of a record holds that answers; in JSON a backslash is two."""
    if question.words:
        return question.words
    return f":{':'.join(question.match_string.split(':')[3:5])}:".replace("\\", "\\\\").casefold()


def _texts(feed: IO[str]) -> Iterator[str]:
    """Yield the text of each record, from its brace to the next one's."""
    rest = ""
    while piece := feed.read(_PIECE):
        rest += piece
        starts = [match.start() for match in _START.finditer(rest)]
        for begin, end in pairwise(starts):
            yield rest[begin:end]
        rest = rest[starts[-1] :] if starts else rest[-1024:]
        if len(rest) > _RECORD_MOST:
            raise ValueError("a record is too long")
    if _START.match(rest):
        yield rest
