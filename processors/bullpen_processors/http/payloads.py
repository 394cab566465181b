"""Where a payload may be: in a parameter, else in the query as it was sent, else in the request's body. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.inputs import Field
from bullpen_processors.http.rule import Signature
from bullpen_processors.http.view import View

LONGEST: Final = 2**20
"""Characters of one field that are looked at; OntoWeb-PT's API lets 2,000 through, bodies apart."""
SHOWN: Final = 160
"""Characters of a body's field that a finding shows."""

Match = Callable[[Field], str | None]
"""Return the name of what a field holds; None when it is harmless."""


def by_signature(signatures: Sequence[Signature], prepare: Callable[[str], str] = str) -> Match:
    """Return a match that tries every signature on every reading of a field."""

    def match(field: Field) -> str | None:
        texts = [prepare(text[:LONGEST]) for text in field.texts if text]
        return next((s.name for s in signatures for text in texts if s.pattern.search(text)), None)

    return match


def find(view: View, match: Match) -> Evidence | None:
    """Look for a payload; the parameters that hold one are all shown."""
    found = [(hit, name) for hit, field in view.params if (name := match(field))]
    if found:
        return Evidence("param", {"pattern": found[0][1]}, params=[hit for hit, _ in found])
    name = _first(match, view.query)[0]
    if name:
        return Evidence("param", {"rawQuery": view.raw_query, "pattern": name})
    name, shown = _first(match, view.form)
    return Evidence("body", {"location": "requestBody", "pattern": name, "snippet": shown}) if name else None


def carriers(view: View, match: Match) -> Iterable[Field]:
    """Yield the fields that hold a payload, wherever they are."""
    fields = (*(field for _, field in view.params), *view.query, *view.form)
    return (field for field in fields if match(field))


def _first(match: Match, fields: Sequence[Field]) -> tuple[str | None, str]:
    for field in fields:
        if name := match(field):
            shown = f"{field.name}={field.value}" if field.name else field.value
            return name, shown[:SHOWN]
    return None, ""
