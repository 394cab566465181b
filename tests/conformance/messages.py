"""Readers of a job's items, apart from those of the processors. Pure."""

from __future__ import annotations

import base64
import gzip
import re
from typing import Any

from bullpen_processors.ontoweb.javascript import items, member, text
from conformance import witness


def worked(item: Any) -> bool:
    """Tell whether what was sent came back: in the page, or as the place to go to."""
    body, location = response_body(item), header(member(item, "response"), "location")
    uri = member(item, "uri")
    values = [text(member(entry, "value")) for entry in items(member(uri, "params"))]
    values += [
        reading
        for _, value in witness.pairs(text(member(uri, "queryRaw") or ""))
        for reading in witness.readings(value)
    ]
    return any(value and (value in body or value == location) for value in values)


def stands_in(item: Any, kind: str, shown: Any) -> bool:
    """Tell whether the item has what a place shows."""
    uri = member(item, "uri")
    if kind == "param":
        given = items(member(uri, "params"))[shown["index"]]
        return shown["value"] in (text(member(given, "value")), "")
    whole = text(member(uri, "queryRaw") or "") + text(member(uri, "path") or "") + text(member(uri, "full") or "")
    return shown in whole


def shown_pairs(place: tuple[Any, ...], shown: Any) -> list[tuple[str, str]]:
    """Return names and values of what a place shows."""
    if place[0] == "param":
        return [(shown["name"], shown["value"])]
    return witness.pairs(shown) if place[0] == "raw" else [("", text(shown))]


def header(message: Any, name: str) -> str:
    """Return the first value of a header that is not empty."""
    values = (
        member(entry, "value")
        for entry in items(member(message, "headers"))
        if text(member(entry, "name")).lower() == name
    )
    return text(next((value for value in values if value), "")).strip()


def response_body(item: Any) -> str:
    """Return what came back as text, gzip undone."""
    given = re.sub(r"[^A-Za-z0-9+/]", "", text(member(member(item, "response"), "bodyBase64") or "").partition("=")[0]
                   .replace("-", "+").replace("_", "/"))  # fmt: skip
    if len(given) % 4 == 1:
        given = given[:-1]
    data = base64.b64decode(given + "=" * (-len(given) % 4))
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8", "replace")


def without(value: Any, key: str) -> Any:
    """Return an object without one of its members."""
    return {name: part for name, part in value.items() if name != key}
