"""From spots, flows and marks to findings; what was seen and is none, with the reason; and the caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability
from bullpen_processors.sast.catalogue import CATALOGUE, CWE_OF_KIND, Entry
from bullpen_processors.sast.context import Given
from bullpen_processors.sast.findings import SastFinding
from bullpen_processors.sast.flows import Flow
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.marks import Mark
from bullpen_processors.sast.markup import Markup
from bullpen_processors.sast.spots import LIBRARY, Spot
from bullpen_processors.sast.units import Unit
from bullpen_processors.sast.ways import SNIPPET, Ways, location_of, snippet_of

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
        self.ways = Ways(units, page, snippets=snippets)

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
        location = location_of(unit, spot.start, spot.end)
        key = self._key(spot.rule, unit.key, _place(location))
        line, column = unit.tree.point(spot.at)
        reason = spot.reason or (LIBRARY if unit.is_library and spot.rule != "parse-error" else "")
        if reason:
            return Seen(key, spot.rule, unit.file, line, reason)
        extra: dict[str, Any] = {"type": spot.type, **spot.extra}
        if self.snippets:
            extra["snippet"] = snippet_of(unit, location)
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
        location = location_of(unit, syntax.start_byte, syntax.end_byte)
        key = self._key("taint-flow", unit.key, _place(location))
        at = unit.tree.point(self.page.byte_of(use.value, syntax.start_byte))
        remote, guarded = origin in _REMOTE, flow.arrival.guarded
        kind = "xss-through-dom" if origin == "dom" and use.sink.kind == "dom-xss" else use.sink.kind
        severity = "high" if remote and not guarded and use.sink.kind in _GRAVE else "medium"
        confidence = "low" if guarded else "high" if remote else "medium"
        judged = {"severity": severity, "confidence": confidence, "kind": kind, "cwe": CWE_OF_KIND[use.sink.kind]}
        entry, extra = CATALOGUE["taint-flow"], self.ways.shown(flow, location)
        return self._script_finding(entry, key, unit, location, at, extra, vulnerability=_vulnerability(kind), **judged)


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
