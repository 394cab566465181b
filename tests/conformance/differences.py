"""Where our outcome of a job differs from the original's: one difference for each place. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from conformance.cases import Case, Outcome

WIDTH: Final = 300
"""Characters of a value that are shown."""


class Absent(Enum):
    """The value of what one of the two has not."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two differ."""

    what: str
    """state, attempts, reason, value or quads."""
    place: tuple[str | int, ...] = ()
    """Of a value: from its root; an entry of `findings` is named by `finding_key`, and compared with its like.

    Of quads: the line of N-Quads that one of the two has.
    """
    theirs: Any = ABSENT
    ours: Any = ABSENT

    def __str__(self) -> str:
        place = ".".join(map(str, (self.what, *self.place)))
        return f"{place}: theirs {_shown(self.theirs)}, ours {_shown(self.ours)}"


def expected(case: Case, ours: Outcome) -> Outcome:
    """Return what the original made of a job, as far as ours can be held against it.

    Where its store did not take what it sent and ours completed all the same, our quads are held against those that it
    meant to store. That ours completed is a difference of its own.
    """
    return replace(case.theirs, quads=case.meant) if ours.state == "completed" else case.theirs


def differences(theirs: Outcome, ours: Outcome) -> list[Difference]:
    """Name every place where two outcomes differ."""
    pairs = {
        "state": (theirs.state, ours.state),
        "attempts": (theirs.attempts, ours.attempts),
        "reason": (theirs.reason, ours.reason),
    }
    found = [Difference(name, (), *pair) for name, pair in pairs.items() if pair[0] != pair[1]]
    found += _in_values(theirs.value, ours.value, ())
    found += (Difference("quads", (line,), theirs=True) for line in sorted(theirs.quads - ours.quads))
    found += (Difference("quads", (line,), ours=True) for line in sorted(ours.quads - theirs.quads))
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
        yield Difference("value", path, theirs, ours)


def _in_members(theirs: dict[Any, Any], ours: dict[Any, Any], path: tuple[str | int, ...]) -> Iterator[Difference]:
    for name in theirs | ours:
        yield from _in_values(theirs.get(name, ABSENT), ours.get(name, ABSENT), (*path, name))


def _in_order(theirs: Any, ours: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
    """Findings that both have come in the same order."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        orders = [name for name in theirs if name in ours], [name for name in ours if name in theirs]
        if orders[0] != orders[1]:
            yield Difference("value", (*path, "order"), *orders)


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


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "none"
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= WIDTH else f"{said[:WIDTH]}… ({len(said)} characters)"
