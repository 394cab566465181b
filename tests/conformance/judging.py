"""Hold outcomes against the recorded ones: what differs, which predicate means it, what is left. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conformance.cases import Case, Outcome
from conformance.difference import Difference
from conformance.differences import differences, expected
from conformance.predicates import ALL, Predicate

SHOWN: Final = 12
"""Differences of one case that a report shows."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case, judged."""

    name: str
    kind: str
    """Queue and job name."""
    meant: frozenset[str]
    """Predicates that meant a difference of it."""
    left: Sequence[Difference]
    """Differences that none means."""
    absent: Mapping[str, int] = field(default_factory=dict)
    """Findings that only the original has, by the predicate that says why."""

    def lines(self) -> Iterator[str]:
        """Say what is left."""
        yield f"{self.name}: {len(self.left)} difference(s) that nothing means"
        for difference in self.left[:SHOWN]:
            yield f"  {difference}"


def judge(name: str, case: Case, ours: Outcome, predicates: Iterable[Predicate] = ALL) -> Verdict:
    """Hold an outcome against the recorded one; each difference counts for the first predicate that means it."""
    meant, left = set(), []
    absent: Counter[str] = Counter()
    theirs = expected(case, ours)
    for difference in differences(case, theirs, ours):
        by = next((one.name for one in predicates if one.excuses(case, theirs, ours, difference)), None)
        if by is None:
            left.append(difference)
        else:
            meant.add(by)
            absent[by] += difference.what == "gone"
    return Verdict(name, f"{case.queue} {case.job_name or '(no name)'}", frozenset(meant), left, absent)


@dataclass
class Report:
    """All verdicts of a run."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def left(self) -> list[Verdict]:
        """Those with a difference that nothing means."""
        return [verdict for verdict in self.verdicts if verdict.left]

    def lines(self, predicates: Sequence[Predicate] = ALL) -> Iterator[str]:
        """Cases per job type, per predicate and in total; then what is left, case by case."""
        yield from _table("cases", Counter(verdict.kind for verdict in self.verdicts))
        means = Counter(name for verdict in self.verdicts for name in verdict.meant)
        names = {f"{predicate.number}: {predicate.name}": means[predicate.name] for predicate in predicates}
        yield from _table("cases with an intended difference, by predicate", names)
        absent = sum((Counter(verdict.absent) for verdict in self.verdicts), Counter())
        yield from _table("findings or places of the original that are absent, by reason", +absent)
        equal = sum(not verdict.meant and not verdict.left for verdict in self.verdicts)
        yield (
            f"{len(self.verdicts)} cases: {equal} equal, {len(self.verdicts) - equal - len(self.left)} different only"
            f" as meant, {len(self.left)} different otherwise; {len(predicates)} predicates"
        )
        for verdict in self.left:
            yield from verdict.lines()


def _table(title: str, counts: dict[str, int] | Counter[str]) -> Iterator[str]:
    yield title
    for name, count in counts.items():
        yield f"{count:6d}  {name}"
