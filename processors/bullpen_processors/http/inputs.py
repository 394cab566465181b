"""What a client sent as input: the pairs of a query, and the fields of a body. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json
from bullpen_processors.http.unescaping import form_decoded, readings
from bullpen_processors.ontoweb.javascript import text

MOST_FIELDS: Final = 10_000
"""Fields of one body or query that are looked at."""

_NO_NAME: Final = (" ", "'", '"')
_BOUNDARY: Final = re.compile(r'boundary="?([^";\s]{1,200})', re.IGNORECASE)
_PART_NAME: Final = re.compile(r'\bname="([^"\r\n]{0,500})"', re.IGNORECASE)
_UPLOAD: Final = re.compile(r"\bfilename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """A named input, in all its readings."""

    name: str
    value: str
    names: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def of(cls, name: str, value: str, *, form: bool = False) -> Field:
        """Read a field; in a *form* + is a blank. Elsewhere it is one where the value has no other."""
        if form:
            name, value = form_decoded(name), form_decoded(value)
        values = readings(value)
        if not form and "+" in value and " " not in value:
            values += readings(form_decoded(value))
        return cls(name, value, readings(name), values)

    @property
    def texts(self) -> Iterator[str]:
        """Yield every reading of the name and of the value."""
        yield from self.names
        yield from self.values


def query_fields(query: str) -> list[Field]:
    """Return the fields of a raw query or of a form's body."""
    fields = []
    for pair in query.split("&", MOST_FIELDS)[:MOST_FIELDS]:
        name, _, value = pair.partition("=")
        if pair:
            field = Field.of(name, value, form=True)
            # no name has blanks or quotes: `=` is part of what was sent
            odd = any(mark in field.names[-1] for mark in _NO_NAME)
            fields.append(Field.of("", pair, form=True) if odd else field)
    return fields


def body_fields(body: str, content_type: str) -> list[Field]:
    """Return the fields of a request's body. Files, and documents that are meant to hold markup, are no input."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _multipart(body, content_type)
    if kind == "application/json" or kind.endswith("+json") or (not kind and body.lstrip()[:1] in ("{", "[")):
        return _json(body)
    if kind in ("", "application/x-www-form-urlencoded"):
        return query_fields(body.strip())
    return [Field.of("", body)] if kind in ("text/plain", "application/graphql") else []


def _multipart(body: str, content_type: str) -> list[Field]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return []
    fields = []
    for part in body.split(f"--{boundary[1]}", MOST_FIELDS)[1:MOST_FIELDS]:
        head, _, value = part.partition("\r\n\r\n")
        name = _PART_NAME.search(head[:2_000])
        if name is not None and not _UPLOAD.search(head[:2_000]):
            fields.append(Field.of(name[1], value.removesuffix("\r\n")))
    return fields


def _json(body: str) -> list[Field]:
    """Return the members of a document, of objects in it too; a text that is no JSON is one field."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [Field.of("", body)]
    fields: list[Field] = []
    waiting: list[tuple[str, Json]] = [("", document)]
    while waiting and len(fields) < MOST_FIELDS:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed(value.items())
        elif isinstance(value, list):
            waiting += ((name, item) for item in reversed(value))
        elif value is not None:
            fields.append(Field.of(name, text(value)))
    return fields
