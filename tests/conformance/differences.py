"""Where our outcome of a job differs from the original's: one difference for each place. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from conformance.cases import Case, Outcome


class Absent(Enum):
    """The value of what one of the two has not."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two differ."""

    field: str
    """state, attempts, reason, value or triple."""
    theirs: Any
    ours: Any
    path: tuple[str | int, ...] = ()
    """Of a value: from its root; an entry of `findings` is named by `finding_key`, and compared with its like."""

    @property
    def line(self) -> str:
        """Of a triple: its line of N-Quads, whoever has it."""
        return str(self.theirs if self.ours is ABSENT else self.ours)


def differences(case: Case, ours: Outcome) -> list[Difference]:
    """Name every difference.

    Where the store did not take what the original sent and ours completed all the same, our triples are held against
    those that the original meant to store. That ours completed is a difference of its own.
    """
    theirs = case.theirs
    found = [
        Difference(name, *pair)
        for name, pair in {
            "state": (theirs.state, ours.state),
            "attempts": (theirs.attempts, ours.attempts),
            "reason": (theirs.reason, ours.reason),
        }.items()
        if pair[0] != pair[1]
    ]
    found += _in_values(theirs.value, ours.value, ())
    expected = case.meant if ours.state == "completed" else theirs.triples
    found += (Difference("triple", line, ABSENT) for line in sorted(expected - ours.triples))
    found += (Difference("triple", ABSENT, line) for line in sorted(ours.triples - expected))
    return found


def finding_key(finding: Mapping[str, Any]) -> str:
    """Name a finding: an analysis has at most one of a rule in a request."""
    return f"{finding.get('ruleId')} {finding.get('requestId') or finding.get('url')}"


def _in_values(theirs: Any, ours: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        left, right = _comparable(theirs), _comparable(ours)
        yield from _in_members(left, right, path)
        yield from _in_order(left.get("findings"), right.get("findings"), (*path, "findings"))
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _in_members(dict(enumerate(theirs)), dict(enumerate(ours)), path)
    elif theirs != ours or isinstance(theirs, bool) is not isinstance(ours, bool):
        yield Difference("value", theirs, ours, path)


def _in_members(theirs: dict[Any, Any], ours: dict[Any, Any], path: tuple[str | int, ...]) -> Iterator[Difference]:
    for name in theirs | ours:
        yield from _in_values(theirs.get(name, ABSENT), ours.get(name, ABSENT), (*path, name))


def _in_order(theirs: Any, ours: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
    """Findings that both have come in the same order."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        orders = [name for name in theirs if name in ours], [name for name in ours if name in theirs]
        if orders[0] != orders[1]:
            yield Difference("value", *orders, (*path, "order"))


def _comparable(value: dict[str, Any]) -> dict[str, Any]:
    """Name the findings of an analysis, and leave its counts out if they are those of its own findings."""
    findings = value.get("findings")
    if not isinstance(findings, list):
        return value
    left = value | {"findings": _named(findings)}
    if value.get("totalFindings") == len(findings):
        del left["totalFindings"]
    if value.get("stats") == _counts(findings, value.get("stats")):
        del left["stats"]
    return left


def _named(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Map each finding by its key; the second one of a key has #2 behind it."""
    seen: Counter[str] = Counter()
    named = {}
    for finding in findings:
        key = finding_key(finding)
        seen[key] += 1
        named[key if seen[key] == 1 else f"{key} #{seen[key]}"] = finding
    return named


def _counts(findings: list[dict[str, Any]], stats: Any) -> dict[str, int] | None:
    severities = Counter(finding.get("severity") for finding in findings)
    return {level: severities[level] for level in stats} if isinstance(stats, dict) else None
