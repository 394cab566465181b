"""How two outcomes of `techstack-analyze` differ, finding by finding. Wording is free: messages, remediations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from conformance.cases import Outcome
from conformance.difference import Difference
from conformance.places import in_values
from conformance.triples import encoded

TECHSTACK: Final = "techstack-analyze"
_FREE: Final = frozenset({"message", "remediation", "confidence"})
_LINE: Final = re.compile(r"<([^>]*)> <[^>]*[#](\w+)> (.*) <[^>]*> \.")
_FREE_TRIPLES: Final = frozenset({"label", "findingDescription", "remediation", "confidence"})


def in_values_of(theirs: Any, ours: Any) -> Iterator[Difference]:
    """Yield the findings that one of both has, and the members that both show otherwise."""
    if theirs["insertStatus"] != ours["insertStatus"]:
        yield Difference("insertStatus", theirs=theirs["insertStatus"], ours=ours["insertStatus"])
    if not set(theirs["result"]) <= set(ours["result"]) or not adds_up(ours["result"]):
        yield Difference("value")
    one, other = _by_id(theirs), _by_id(ours)
    for place in dict.fromkeys((*one, *other)):
        if place not in other:
            yield Difference("gone", one[place]["rule"], place, theirs=one[place])
        elif place not in one:
            yield Difference("new", other[place]["rule"], place, ours=other[place])
        else:
            yield from _changed(place, one[place], other[place])


def _by_id(value: Any) -> dict[tuple[str, int], Any]:
    """Name each finding by its id, and its number among those of that id."""
    seen: Counter[str] = Counter()
    found = {}
    for finding in value["result"]["findings"]:
        found[finding["id"], seen[finding["id"]]] = finding
        seen[finding["id"]] += 1
    return found


def _changed(place: tuple[str, int], theirs: Any, ours: Any) -> Iterator[Difference]:
    shown, mine = ({name: part for name, part in one.items() if name not in _FREE} for one in (theirs, ours))
    for where, one, other in in_values(shown, mine):
        if where[:2] != ("evidence", "matched"):
            yield Difference("changed", theirs["rule"], (*place, *where), one, other, item=(theirs, ours))


def adds_up(result: Any) -> bool:
    """Tell whether all counts and lists of a result are those of its findings."""
    kinds = Counter(finding["kind"] for finding in result["findings"])
    summary, stats = result["summary"], result["stats"]
    known = {name: sum(entry["hasKnownCVE"] for entry in result[name]) for name in ("technologies", "waf")}
    return bool(
        summary
        == {
            "totalTechnologies": len(result["technologies"]), "technologiesWithKnownCVE": known["technologies"],
            "totalWaf": len(result["waf"]), "wafWithKnownCVE": known["waf"],
            "totalHeaderFindings": kinds["HeaderIssue"], "totalCookieFindings": kinds["CookieIssue"],
            "totalFindings": len(result["findings"]),
        }
        and stats["byKind"] == kinds
        and all(
            stats[name] == Counter(finding[key] for finding in result["findings"])
            for name, key in (("bySeverity", "severity"), ("byCategory", "category"))
        )
        and sum(len(entry["cve"]) for name in known for entry in result[name])
        == kinds["TechnologyCVE"] + kinds["WafCVE"]
        and len(result["secureHeaders"]) == kinds["HeaderIssue"]
        and sum(len(cookie["issues"]) for cookie in result["cookies"]) == kinds["CookieIssue"]
    )  # fmt: skip


def in_quads_of(theirs: Outcome, ours: Outcome) -> Iterator[Difference]:
    """Yield what is stored of a finding that both have, piece by piece; and nodes of ours that no finding tells of."""
    one, other = _by_subject(theirs.quads), _by_subject(ours.quads)
    both = {finding["id"] for finding, _ in _shared(theirs.value, ours.value)}
    times = Counter(finding["id"] for finding in theirs.value["result"]["findings"])
    for key in sorted(both):
        for node in _nodes(key, one, other):
            for name, value in sorted(one[node] ^ other[node]):
                has = ((name, value) in one[node], (name, value) in other[node])
                yield Difference("quads", name, (key, node), *has, item=(value, times[key]))
    stored = {key for key in other if key.startswith("urn:finding:")}
    if stored != {f"urn:finding:{encoded(finding['id'])}" for finding in ours.value["result"]["findings"]}:
        yield Difference("quads", "", ("findings",))


def _shared(theirs: Any, ours: Any) -> list[tuple[Any, Any]]:
    one, other = _by_id(theirs), _by_id(ours)
    return [(one[place], other[place]) for place in one if place in other]


def _by_subject(quads: frozenset[str]) -> Mapping[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in quads:
        match = _LINE.fullmatch(line)
        if match and match[2] not in _FREE_TRIPLES:
            found[match[1]].add((match[2], match[3]))
    return found


def _nodes(key: str, *stored: Mapping[str, set[tuple[str, str]]]) -> Iterator[str]:
    """Yield the finding and the nodes that it links: header, cookie, CVE."""
    finding = f"urn:finding:{encoded(key)}"
    yield finding
    links = ("refersToHeader", "refersToCookie", "aboutVulnerabilityType")
    found = {value[1:-1] for one in stored for name, value in one.get(finding, ()) if name in links}
    yield from sorted(found)
