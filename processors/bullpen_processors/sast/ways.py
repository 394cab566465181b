"""How people are shown where something is in a script, and the way that a value takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bullpen_processors.api import Json
from bullpen_processors.sast.flows import Flow
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.scopes import Assignment, Call
from bullpen_processors.sast.units import Unit

STEPS: Final = 12
"""Steps of a path that a finding shows."""
SNIPPET: Final = 1_000
"""UTF-16 units of a snippet at most: a minified bundle is one line."""


class Ways:
    """The ways of the flows of a page."""

    def __init__(self, units: Sequence[Unit], page: Page, *, snippets: bool) -> None:
        self.units = units
        self.page = page
        self.snippets = snippets

    def shown(self, flow: Flow, location: Json) -> dict[str, Any]:
        """Return what a finding says of a flow that ends at *location*: its ends, and the steps between."""
        unit = self.units[flow.use.at.unit]
        steps = list(self._steps(flow))
        source = steps[0] if steps else {"file": unit.file, "line": None, "col": None, "text": ""}
        source_text = str(source["text"])
        use = flow.use
        start = self.page.graph.where[flow.start]
        origin = self.units[start >> 32] if start >= 0 else unit
        source_location = location if start < 0 else _place_of(origin, start & 0xFFFFFFFF, len(source_text))
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
            extra["snippet"] = snippet_of(unit, location)
            extra["sourceSnippet"] = snippet_of(origin, source_location)
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


def location_of(unit: Unit, start: int, end: int) -> dict[str, dict[str, int]]:
    """Return lines (from 1) and columns (from 0, in UTF-16 units) of a range of bytes."""
    first, last = unit.tree.point(start), unit.tree.point(end)
    return {"start": {"line": first[0], "column": first[1]}, "end": {"line": last[0], "column": last[1]}}


def _place_of(unit: Unit, start: int, length: int) -> dict[str, dict[str, int]]:
    return location_of(unit, start, min(start + length, len(unit.tree.source)))


def snippet_of(unit: Unit, location: Json) -> str:
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
