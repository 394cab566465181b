"""From what was detected to the CVEs that it has, whichever source the records come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bullpen_processors.techstack.matching import Asked, Match, NoMatch, judge, worst_first
from bullpen_processors.techstack.questions import Failed, Question, Source
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.records import Record

MOST: Final = 100
"""CVEs of one technology: the worst ones."""

Explain = Callable[[str, Reason, str], None]
"""Told of what is not reported: what, why, and because of what."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """One technology or firewall, looked up."""

    asked: Asked
    matches: Sequence[Match] = ()
    cut: int = 0
    """Matches beyond the first MOST."""
    failed: str | None = None
    """Why nothing is known."""
    done: bool = True
    """Whether anything was asked at all."""

    @property
    def state(self) -> str:
        """What clients read: complete, failed or none."""
        if not self.done:
            return "none"
        return "complete" if self.failed is None else "failed"


@dataclass(frozen=True, slots=True)
class Lookups:
    """All look-ups of a job, in the order of what was detected."""

    source: Source
    explain: Explain
    most: int = MOST
    _answers: dict[Question, Sequence[Record] | Failed] = field(default_factory=dict)

    def look_up(self, all_asked: Sequence[Asked]) -> list[Lookup]:
        """Look up all that has a version, and firewalls without one: first by CPE, then by words."""
        due = [asked for asked in all_asked if _is_due(asked)]
        self._ask([Question.by_cpe(asked) or Question.by_words(asked) for asked in due])
        self._ask([Question.by_words(asked) for asked in due if self._is_unknown(asked)])
        return [self._judge(asked) if _is_due(asked) else Lookup(asked, done=False) for asked in all_asked]

    def _ask(self, questions: Sequence[Question]) -> None:
        new = [question for question in dict.fromkeys(questions) if question not in self._answers]
        answers: Mapping[Question, Sequence[Record] | Failed] = self.source.ask(new)
        self._answers.update(answers)

    def _is_unknown(self, asked: Asked) -> bool:
        """Tell whether NVD knows no record under the product's CPE: it may have been renamed there."""
        question = Question.by_cpe(asked)
        answer = self._answers.get(question) if question is not None else None
        return answer is not None and not isinstance(answer, Failed) and not answer

    def _judge(self, asked: Asked) -> Lookup:
        by_words = asked.product is None or self._is_unknown(asked)
        question = Question.by_words(asked) if by_words else Question.by_cpe(asked)
        assert question is not None
        answer = self._answers[question]
        if isinstance(answer, Failed):
            return Lookup(asked, failed=answer.reason)
        matches = []
        for record in answer:
            verdict = judge(asked, record, by_words=by_words)
            if isinstance(verdict, NoMatch):
                self.explain(f"{_called(asked)}: {record.id}", verdict.reason, verdict.because)
            else:
                matches.append(verdict)
        matches = worst_first(matches)
        return Lookup(asked, matches[: self.most], cut=max(0, len(matches) - self.most))


def _is_due(asked: Asked) -> bool:
    return asked.is_waf or asked.version is not None


def _called(asked: Asked) -> str:
    return " ".join(filter(None, (asked.name[:80], (asked.version or "")[:40])))
