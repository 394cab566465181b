"""How two outcomes of one job differ, taken apart so that each piece can be explained by itself.

A finding is a set of places: parameters, headers, cookies, ... that it shows. What differs is a place that only one of
the two shows, or that they show differently. Wording is free: descriptions, and patterns that are text of a rule.
Of other job types each place of the value differs by itself. Each quad does, but for those that follow from a finding.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import items, member, text, truthy
from conformance import places as plain
from conformance import sast, techstack
from conformance.cases import Case, Outcome
from conformance.difference import Difference, Place, What
from conformance.triples import encoded

FINDINGS_GRAPH: Final = "http://localhost/graphs/findings"
RESOLVER: Final = "http-resolver"


def expected(case: Case, ours: Outcome) -> Outcome:
    """Return what the original made of a job, as far as ours can be held against it.

    Where its store did not take what it sent and ours completed all the same, our quads are held against those that it
    meant to store. That ours completed is a difference of its own.
    """
    return replace(case.theirs, quads=case.meant) if ours.state == "completed" else case.theirs


def differences(case: Case, theirs: Outcome, ours: Outcome) -> list[Difference]:
    """Return every piece in which two outcomes differ."""
    pairs: dict[What, tuple[Any, Any]] = {
        "state": (theirs.state, ours.state),
        "attempts": (theirs.attempts, ours.attempts),
        "reason": (theirs.reason, ours.reason),
    }
    found = [Difference(what, theirs=one, ours=other) for what, (one, other) in pairs.items() if one != other]
    if case.job_name == RESOLVER and theirs.value and ours.value:
        return [*found, *_value(case, theirs.value, ours.value), *_quads(case, theirs, ours)]
    if case.job_name == techstack.TECHSTACK and theirs.value and ours.value:
        return [*found, *techstack.in_values_of(theirs.value, ours.value), *techstack.in_quads_of(theirs, ours)]
    if case.job_name == sast.SAST and theirs.value and ours.value:
        return [*found, *sast.in_values_of(case, theirs.value, ours.value), *sast.in_quads_of(case, theirs, ours)]
    found += (Difference("value", "", *piece) for piece in plain.in_values(theirs.value, ours.value))
    return [*found, *(Difference("quads", "", *piece) for piece in plain.in_quads(theirs.quads, ours.quads))]


def _value(case: Case, theirs: Any, ours: Any) -> Iterator[Difference]:
    if theirs["insertStatus"] != ours["insertStatus"]:
        yield Difference("insertStatus", theirs=theirs["insertStatus"], ours=ours["insertStatus"])
    if not _adds_up(ours["result"]) or set(theirs) != set(ours) or set(theirs["result"]) != set(ours["result"]):
        yield Difference("value")
    given = items(member(case.data, "list"))
    one, other = by_item(given, theirs), by_item(given, ours)
    for index, rule in dict.fromkeys((*one, *other)):
        item = given[index] if index is not None else None
        yield from _finding(rule, one.get((index, rule)), other.get((index, rule)), item)


def _adds_up(result: Any) -> bool:
    severities = [finding["severity"] for finding in result["findings"]]
    stats = {severity: severities.count(severity) for severity in ("high", "medium", "low")}
    return bool(result["ok"] is True and result["totalFindings"] == len(severities) and result["stats"] == stats)


def by_item(given: list[Any], value: Any) -> dict[tuple[int | None, str], Any]:
    """Find out which item each finding is about: findings come in the order of the list, one of each rule at most."""
    found: dict[tuple[int | None, str], Any] = {}
    at = 0
    for finding in value["result"]["findings"]:
        rule = finding["ruleId"]
        fits = (i for i in range(at, len(given)) if _is_about(finding, given[i]) and (i, rule) not in found)
        index = next(fits, None)
        found[index, rule] = finding
        at = at if index is None else index
    return found


def _is_about(finding: Any, item: Any) -> bool:
    uri, response = member(item, "uri"), member(item, "response")
    identity = member(item, "id") if truthy(member(item, "id")) else None
    said = (finding["requestId"], finding.get("url"), finding.get("method"), finding.get("responseStatus"))
    return bool(said == (identity, member(uri, "full"), member(item, "method"), member(response, "status")))


def _finding(rule: str, theirs: Any, ours: Any, item: Any) -> Iterator[Difference]:
    one, other = places(theirs), places(ours)
    beside = frozenset(str(place[0]) for place in other)
    for place in dict.fromkeys((*one, *other)):
        if place[0] in ("finding", "iri") and not (place in one and place in other):
            continue  # follows from the places that are gone or new
        if place not in other:
            yield Difference("gone", rule, place, theirs=one[place], item=item, beside=beside)
        elif place not in one:
            yield Difference("new", rule, place, ours=other[place], item=item)
        elif one[place] != other[place]:
            yield Difference("changed", rule, place, one[place], other[place], item)


_FACTS: Final = {
    "reflected": "reflected", "redirected": "redirected", "scheme": "scheme", "uri": "uri", "path": "path",
    "rawQuery": "raw",
}  # fmt: skip
_SORTS: Final = {"params": "param", "headers": "header", "cookies": "cookie"}


def places(finding: Any) -> dict[Place, Any]:
    """Take a finding apart."""
    if finding is None:
        return {}
    evidence, context = finding["evidence"], finding["httpContext"]
    shown = {key for key in ("params", "headers", "cookies") if key in context}
    rest = {key: value for key, value in finding.items() if key not in ("description", "evidence", "httpContext")}
    found: dict[Place, Any] = {
        ("finding",): rest | {"httpContext": {key: value for key, value in context.items() if key not in shown}}
    }
    found.update({(key,): evidence[name] for name, key in _FACTS.items() if name in evidence})
    if "snippet" in evidence:
        found["body", evidence["location"]] = (_pattern(finding), evidence["snippet"])
    found.update({("resource", i): url for i, url in enumerate(evidence.get("insecureResources", ()))})
    found.update({("missing", name): name for name in evidence.get("missing", ())})
    for key, sort in _SORTS.items():
        found.update({(sort, *_place(hit)): hit for hit in evidence.get(key, ())})
    found.update({("iri", *_place(hit)): iri for hit, iri in _iris(context)})
    return found


def _pattern(finding: Any) -> str:
    return finding["evidence"]["pattern"] if finding["ruleId"] == "leak-stacktrace" else ""


def _iris(context: Any) -> Iterator[tuple[Any, str]]:
    for key, name in (("params", "iri"), ("headers", "iri"), ("cookies", "headerIri")):
        yield from ((hit, hit[name]) for hit in context.get(key, ()))


def _place(hit: Any) -> Place:
    return (hit["headerIndex"], hit["cookieIndex"]) if "headerIndex" in hit else (hit["index"],)


_LINE: Final = re.compile(r"(<[^>]*>) <[^>]*[#](\w+)> (.*) <[^>]*> \.")
_FREE: Final = ("label", "findingDescription", "pattern")


def _quads(case: Case, theirs: Outcome, ours: Outcome) -> Iterator[Difference]:
    """Compare what is stored of findings that are the same in both values; what others store follows from them."""
    given = items(member(case.data, "list"))
    one, other = by_item(given, theirs.value), by_item(given, ours.value)
    stored, mine = _by_finding(theirs.quads), _by_finding(ours.quads)
    for place, finding in one.items():
        same = places(finding) == places(other.get(place))
        iri = _iri(finding)
        if same and stored[iri] != mine[iri]:
            item = given[place[0]] if place[0] is not None else None
            yield Difference("quads", place[1], (iri,), stored[iri] - mine[iri], mine[iri] - stored[iri], item)
    swallowed = bool(case.faults) and not theirs.quads  # the store said 200 and stored nothing
    if (ours.quads or not swallowed) and _said_of_requests(ours.quads) != _expected_of_requests(other.values()):
        yield Difference("quads", "", ("of requests",))


def _iri(finding: Any) -> str:
    target = text(finding["requestId"] if finding["requestId"] is not None else finding.get("url"))
    key = f"http:{finding['ruleId']}:{target}"
    return f"<urn:finding:{encoded(key)}>"


def _by_finding(quads: frozenset[str]) -> Mapping[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in quads:
        match = _LINE.fullmatch(line)
        if match and match[1].startswith("<urn:finding:") and match[2] not in _FREE:
            found[match[1]].add((match[2], match[3]))
    return found


def _said_of_requests(quads: frozenset[str]) -> set[tuple[str, ...]]:
    """Return the triples about requests, without the names and paths themselves: those are literals, and escaped."""
    lines = [match for line in quads if (match := _LINE.fullmatch(line))]
    said = {match.groups() for match in lines if match[2] == "hasHttpFinding"}
    return said | {(match[1], match[2]) for match in lines if match[2] in ("nameParameter", "path")}


def _expected_of_requests(findings: Any) -> set[tuple[str, ...]]:
    """Return what the findings of a value say of their requests."""
    expected: set[tuple[str, ...]] = set()
    for finding in findings:
        context = finding["httpContext"]
        if "requestIri" not in context:
            continue
        expected.add((f"<{context['requestIri']}>", "hasHttpFinding", _iri(finding)))
        expected.update((f"<{hit['iri']}>", "nameParameter") for hit in context.get("params", ()) if hit["name"])
        if finding["evidence"].get("path"):
            expected.add((f"<{context['uriIri']}>", "path"))
    return expected
