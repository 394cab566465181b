"""How two outcomes of `sast-analyze` differ, finding by finding: descriptions are free. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import member, text
from conformance.cases import Case, Outcome
from conformance.difference import Difference
from conformance.triples import encoded

SAST: Final = "sast-analyze"
_FREE: Final = frozenset({"description", "findingId"})
_FREE_TRIPLES: Final = frozenset({"label", "findingDescription", "remediation"})
_LINE: Final = re.compile(r"<([^>]*)> <[^>]*[#](\w+)> (.*) <[^>]*> \.")


def in_values_of(case: Case, theirs: Any, ours: Any) -> Iterator[Difference]:
    """Yield the findings that one of both has, and the members that both show otherwise."""
    if theirs["insertStatus"] != ours["insertStatus"]:
        yield Difference("insertStatus", theirs=theirs["insertStatus"], ours=ours["insertStatus"])
    if theirs["result"]["ok"] is not ours["result"]["ok"]:
        yield Difference("value", "ok", theirs=theirs["result"], ours=ours["result"]["ok"])
    elif not set(theirs["result"]) <= set(ours["result"]) or not adds_up(ours["result"]):
        yield Difference("value")
    one, other, why = by_id(case, theirs), by_id(case, ours), explained(ours)
    for key in dict.fromkeys((*one, *other)):
        if key not in other:
            yield Difference("gone", one[key]["ruleId"], (key,), theirs=one[key], ours=why.get(key))
        elif key not in one:
            yield Difference("new", other[key]["ruleId"], (key,), ours=other[key])
        else:
            yield from _changed(key, one[key], other[key])


def explained(value: Any) -> Mapping[str, str]:
    """Return what `--explain` says of places that look like findings, by their id."""
    return {seen["findingId"]: seen["reason"] for seen in value["result"].get("explained", ())}


def by_id(case: Case, value: Any) -> dict[str, Any]:
    """Name each finding by its id; the original gives none to those of a page without scripts."""
    found = {}
    for finding in value["result"].get("findings", ()):
        place, url = finding["location"], text(member(case.data, "url") or "")
        raw = f"{finding['ruleId']}:{finding['file']}:off-{place.get('start')}-{place.get('end')}"
        found[finding.get("findingId") or raw + (f"@{url}" if url else "")] = finding
    return found


def _changed(key: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    for name, value in theirs.items():
        if name not in _FREE and ours.get(name) != value:
            yield Difference("changed", theirs["ruleId"], (key, name), value, ours.get(name), item=(theirs, ours))


def adds_up(result: Any) -> bool:
    """Tell whether all counts of a result are those of its findings."""
    severities = Counter(finding["severity"] for finding in result["findings"])
    types = Counter(finding["contextVector"]["type"].split("-")[0] for finding in result["findings"])
    return bool(
        result["totalFindings"] == len(result["findings"])
        and result["stats"] == {level: severities[level] for level in ("high", "medium", "low")}
        and result["summary"]
        == {"scripts": types["script"], "forms": types["form"], "iframes": types["iframe"], "html": types["html"]}
    )


def in_quads_of(case: Case, theirs: Outcome, ours: Outcome) -> Iterator[Difference]:
    """Yield what is stored of a finding that both have, piece by piece; and what ours stores and does not show."""
    one, other = _by_subject(theirs.quads), _by_subject(ours.quads)
    mine = by_id(case, ours.value)
    named = {key for key, finding in by_id(case, theirs.value).items() if "findingId" in finding}
    for key in sorted(named & set(mine)) if theirs.quads else ():
        node = _node(key)
        for name, value in sorted(one[node] ^ other[node]):
            yield Difference(
                "quads", name, (key,), value in _of(one[node], name), value in _of(other[node], name), value
            )
    stored = {subject for subject in other if subject.startswith("urn:finding:")}
    if stored != set(map(_node, mine)):
        yield Difference("quads", "", ("findings",))
    shown = {_node(key): str(finding["severity"]).upper() for key, finding in mine.items()}
    if any(("severity", f'"{level}"') not in other[node] for node, level in shown.items()):
        yield Difference("quads", "", ("severities",))


def _node(key: str) -> str:
    return f"urn:finding:{encoded(key)}"


def _of(pieces: set[tuple[str, str]], name: str) -> set[str]:
    return {value for of, value in pieces if of == name}


def _by_subject(quads: frozenset[str]) -> Mapping[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in quads:
        match = _LINE.fullmatch(line)
        if match and match[2] not in _FREE_TRIPLES:
            found[match[1]].add((match[2], match[3]))
    return found
