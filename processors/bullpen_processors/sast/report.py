"""From spots, flows and marks to findings; what was seen and is none, with the reason; and the caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability
from bullpen_processors.sast.audit import LIBRARY, Spot
from bullpen_processors.sast.catalogue import CATALOGUE, CWE_OF_KIND, Entry
from bullpen_processors.sast.context import Given
from bullpen_processors.sast.findings import SastFinding
from bullpen_processors.sast.flows import Flow
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.markup import Mark, Markup
from bullpen_processors.sast.scopes import Assignment, Call
from bullpen_processors.sast.units import Unit

STEPS: Final = 12
"""Steps of a path that a finding shows."""
SNIPPET: Final = 1_000
"""UTF-16 units of a snippet at most: a minified bundle is one line."""
PER_RULE: Final = 500
"""Findings of one rule in a page."""
_REMOTE: Final = ("url", "name", "referrer", "message")
_GRAVE: Final = ("dom-xss", "code-injection")
_DOCUMENT: Final = "HTML Document"


@dataclass(slots=True)
class Seen:
    """Something that looked like a finding and is none."""

    key: str
    rule: str
    file: str
    line: int
    reason: str

    def as_json(self) -> Json:
        """Return it as `--explain` shows it."""
        return {"findingId": self.key, "ruleId": self.rule, "file": self.file, "line": self.line, "reason": self.reason}


@dataclass(slots=True)
class Report:
    """What a page came to."""

    findings: list[SastFinding] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    cut: Counter[str] = field(default_factory=Counter)


class Reporter:
    """Gives everything its id, its place and its words."""

    def __init__(
        self,
        url: str,
        markup: Markup,
        units: Sequence[Unit],
        page: Page,
        given: Given,
        *,
        snippets: bool,
        explain: bool,
    ) -> None:
        self.url = url
        self.markup = markup
        self.units = units
        self.page = page
        self.given = given
        self.snippets = snippets
        self.explain = explain

    def report(self, marks: Iterable[Mark], spots: Iterable[Spot], flows: Iterable[Flow]) -> Report:
        """Return all findings, HTML's first, each once; a rule that finds too much is cut, the others are not."""
        made, report, count = dict[str, SastFinding](), Report(), Counter[str]()
        for found in (*self._marked(marks), *map(self._flow, flows), *self._spotted(spots)):
            if isinstance(found, Seen):
                report.seen.append(found)
            elif found.key not in made:
                count[found.entry.id] += 1
                if count[found.entry.id] > PER_RULE:
                    report.cut[found.entry.id] += 1
                else:
                    made[found.key] = found
        report.findings = list(made.values())
        reported = made.keys()
        report.seen = [seen for seen in report.seen if seen.key not in reported]
        return report

    def _marked(self, marks: Iterable[Mark]) -> Iterator[SastFinding | Seen]:
        return (self._mark(mark) for mark in marks if self.explain or not mark.reason)

    def _spotted(self, spots: Iterable[Spot]) -> Iterator[SastFinding | Seen]:
        """Leave out what is none, unless people ask: libraries have thousands of such places."""
        for spot in spots:
            none = spot.reason or (self.units[spot.unit].is_library and spot.rule != "parse-error")
            if self.explain or not none:
                yield self._spot(spot)

    def _key(self, rule: str, file: str, place: str) -> str:
        return f"{rule}:{file}:{place}" + (f"@{self.url}" if self.url else "")

    def _mark(self, mark: Mark) -> SastFinding | Seen:
        entry = CATALOGUE[mark.rule]
        key = self._key(mark.rule, _DOCUMENT, f"off-{mark.start}-{mark.end}")
        if mark.reason:
            return Seen(key, mark.rule, _DOCUMENT, mark.line, mark.reason)
        snippet = {"snippet": self._html_snippet(mark)} if self.snippets else {}
        if "iframe" in mark.rule:
            context, ref = self.given.iframe(mark.element)
        elif "form" in mark.rule:
            context, ref = self.given.form(mark.element, self.markup.html)
        else:
            context, ref = self.given.markup("html", None)
        location = {"start": mark.start, "end": mark.end}
        return SastFinding(
            entry, key, _DOCUMENT, location, mark.line, mark.column, self.url, entry.severity, "high", entry.kind,
            entry.cwe,
            context, ref, entry.vulnerability, {**mark.extra, **snippet},
        )  # fmt: skip

    def _html_snippet(self, mark: Mark) -> str:
        units = self.markup.html.encode("utf-16-le", "surrogatepass")
        start, end = max(0, mark.start - 80), min(mark.end, mark.start + SNIPPET) + 80
        return units[2 * start : 2 * end].decode("utf-16-le", "replace")

    def _spot(self, spot: Spot) -> SastFinding | Seen:
        unit, entry = self.units[spot.unit], CATALOGUE[spot.rule]
        location = self._location(unit, spot.start, spot.end)
        key = self._key(spot.rule, unit.key, _place(location))
        line, column = unit.tree.point(spot.at)
        reason = spot.reason or (LIBRARY if unit.is_library and spot.rule != "parse-error" else "")
        if reason:
            return Seen(key, spot.rule, unit.file, line, reason)
        extra: dict[str, Any] = {"type": spot.type, **spot.extra}
        if self.snippets:
            extra["snippet"] = self._snippet(unit, location)
        judged = {"severity": entry.severity, "confidence": spot.confidence, "kind": entry.kind, "cwe": entry.cwe}
        at = (line, column)
        return self._script_finding(entry, key, unit, location, at, extra, vulnerability=entry.vulnerability, **judged)

    def _script_finding(
        self,
        entry: Entry,
        key: str,
        unit: Unit,
        location: Json,
        at: tuple[int, int],
        extra: dict[str, Any],
        **judged: Any,
    ) -> SastFinding:
        if unit.is_handler:
            context, ref = self.given.markup("html-inline-handler", unit.index if unit.index >= 0 else None)
        else:
            context, ref = self.given.script(unit.index)
        return SastFinding(
            entry,
            key,
            unit.file,
            location,
            at[0],
            at[1],
            self.url,
            context=context,
            html_ref=ref,
            extra=extra,
            **judged,
        )

    def _flow(self, flow: Flow) -> SastFinding | Seen:
        use, origin = flow.use, flow.source.origin
        unit, syntax = self.units[use.at.unit], use.at.syntax
        location = self._location(unit, syntax.start_byte, syntax.end_byte)
        key = self._key("taint-flow", unit.key, _place(location))
        at = unit.tree.point(self.page.byte_of(use.value, syntax.start_byte))
        remote, guarded = origin in _REMOTE, flow.arrival.guarded
        kind = "xss-through-dom" if origin == "dom" and use.sink.kind == "dom-xss" else use.sink.kind
        severity = "high" if remote and not guarded and use.sink.kind in _GRAVE else "medium"
        confidence = "low" if guarded else "high" if remote else "medium"
        judged = {"severity": severity, "confidence": confidence, "kind": kind, "cwe": CWE_OF_KIND[use.sink.kind]}
        entry, extra = CATALOGUE["taint-flow"], self._flow_extra(flow, unit, location)
        return self._script_finding(entry, key, unit, location, at, extra, vulnerability=_vulnerability(kind), **judged)

    def _flow_extra(self, flow: Flow, unit: Unit, location: Json) -> dict[str, Any]:
        steps = list(self._steps(flow))
        source = steps[0] if steps else {"file": unit.file, "line": None, "col": None, "text": ""}
        source_text = str(source["text"])
        use = flow.use
        start = self.page.graph.where[flow.start]
        origin = self.units[start >> 32] if start >= 0 else unit
        source_location = self._point(origin, start & 0xFFFFFFFF, len(source_text)) if start >= 0 else location
        extra: dict[str, Any] = {
            "type": "AssignmentExpression" if isinstance(use.at, Assignment) else "CallExpression",
            "sourceName": source_text or flow.source.pattern,
            "sinkName": _sink_text(use.at, unit) or use.sink.pattern,
            "sourceFile": origin.file,
            "sourceLoc": source_location,
            "sinkFile": unit.file,
            "sinkLoc": location,
            "source": {"name": flow.source.pattern, "origin": flow.source.origin, "rule": flow.source.rule, **source},
            "sink": {"name": use.sink.pattern, "rule": use.sink.rule, "file": unit.file, **location["start"]},
            "path": steps,
        }
        if self.snippets:
            extra["snippet"] = self._snippet(unit, location)
            extra["sourceSnippet"] = self._snippet(origin, source_location)
            extra["sinkSnippet"] = extra["snippet"]
        return extra

    def _steps(self, flow: Flow) -> Iterator[dict[str, Any]]:
        """Yield the places that the value passes, at most STEPS: the first ones and the last."""
        places = [place for node in flow.arrival.nodes if (place := self.page.graph.where[node]) >= 0]
        places = list(dict.fromkeys(places))
        if len(places) > STEPS:
            places = [*places[: STEPS - 4], *places[-4:]]
        for place in places:
            unit, start = self.units[place >> 32], place & 0xFFFFFFFF
            line, column = unit.tree.point(start)
            text = unit.tree.source[start : start + 80].decode("utf-8", "replace").partition("\n")[0]
            yield {"file": unit.file, "line": line, "col": column, "text": _token(text)}

    def _location(self, unit: Unit, start: int, end: int) -> dict[str, dict[str, int]]:
        first, last = unit.tree.point(start), unit.tree.point(end)
        return {"start": {"line": first[0], "column": first[1]}, "end": {"line": last[0], "column": last[1]}}

    def _point(self, unit: Unit, start: int, length: int) -> dict[str, dict[str, int]]:
        return self._location(unit, start, min(start + length, len(unit.tree.source)))

    def _snippet(self, unit: Unit, location: Json) -> str:
        """Return the lines from one before to two after, cut to what is near."""
        line, column = location["start"]["line"], location["start"]["column"]
        text = unit.tree.lines_around(line - 1, location["end"]["line"] + 2)
        if len(text) <= SNIPPET:
            return text
        before = text.find("\n") + 1 if line > 1 else 0
        middle = before + column
        return text[max(0, middle - SNIPPET // 2) : middle + SNIPPET // 2]


def _sink_text(at: Call | Assignment, unit: Unit) -> str:
    """Return what is assigned to or called, as it is written."""
    syntax = at.target if isinstance(at, Assignment) else at.syntax.named_children[0]
    return unit.tree.source[syntax.start_byte : min(syntax.end_byte, syntax.start_byte + 200)].decode(
        "utf-8", "replace"
    )


def _token(text: str) -> str:
    """Return the expression that a text begins with, roughly: people see where, the line shows the rest."""
    depth = 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                return text[:index].rstrip()
            depth -= 1
        elif char in ";,\n" and depth == 0:
            return text[:index].rstrip()
    return text.rstrip()


def _place(location: Json) -> str:
    start, end = location["start"], location["end"]
    return f"l{start['line']}c{start['column']}-l{end['line']}c{end['column']}"


def _vulnerability(kind: str) -> Vulnerability:
    if kind in ("dom-xss", "xss-through-dom"):
        return Vulnerability.DOM_XSS
    return Vulnerability.OPEN_REDIRECT if kind == "open-redirect" else Vulnerability.UNKNOWN


def parse_errors(units: Sequence[Unit]) -> Iterator[Spot]:
    """Yield the first error of each script that does not parse."""
    for number, unit in enumerate(units):
        if unit.is_dead or not unit.tree.is_broken:
            continue
        at = unit.tree.error_at
        if at is not None:
            yield Spot("parse-error", number, at, at, "Error", at, confidence="high")
