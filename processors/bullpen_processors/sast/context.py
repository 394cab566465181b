"""Where in the page a finding stands, as OntoWeb-PT's API shows it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import items, member, text, truthy
from bullpen_processors.sast.markup import Element

_SCRIPT: Final = ("src", "type", "async", "defer")
_IFRAME: Final = ("src", "title", "sandbox", "allow")
_FIELD: Final = ("name", "type", "id", "value", "tag")


@dataclass(frozen=True, slots=True)
class Given:
    """The lists of a payload."""

    scripts: Sequence[Json]
    forms: Sequence[Json]
    iframes: Sequence[Json]

    def script(self, index: int) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """Return context and element of a script."""
        given = self.scripts[index] if 0 <= index < len(self.scripts) else None
        src = member(given, "src")
        origin = "external" if truthy(src) else "inline"
        context = _context("script", index if index >= 0 else None, origin, src=src if truthy(src) else None)
        return context, _ref("script", "script", context["index"], _attributes(given, _SCRIPT)) if index >= 0 else None

    def markup(self, kind: str, index: int | None) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """Return context and element of an inline handler or of the document."""
        return _context(kind, index, "markup"), _ref(kind, "html", index, [])

    def iframe(self, element: Element | None) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """Return context and element of a frame: the one that has the same source, else the one in the same place."""
        index = self._iframe(element)
        given = self.iframes[index] if index is not None else None
        context = _context("iframe", index, "markup", src=member(given, "src"), title=member(given, "title"))
        return context, None if index is None else _ref("iframe", "iframe", index, _attributes(given, _IFRAME))

    def _iframe(self, element: Element | None) -> int | None:
        source = element.attributes.get("src") if element is not None else None
        for index, given in enumerate(self.iframes):
            if source and text(member(given, "src") or "").endswith(source.strip().lstrip("./")):
                return index
        if element is not None and not source and element.number < len(self.iframes):
            return element.number
        return next((i for i, given in enumerate(self.iframes) if truthy(member(given, "src"))), None)

    def form(self, element: Element | None, where: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """Return context and element of a form: the one with the same action, else the one in the same place."""
        index = self._form(element, where)
        if index is None:
            return _context("form", None, "markup"), None
        given = self.forms[index]
        inputs = items(member(given, "inputs"))
        context = _context("form", index, "markup", action=member(given, "action"), method=member(given, "method"))
        context["inputs"] = [_input_name(item) for item in inputs]
        ref = _ref("form", "form", index, _attributes(given, ("action", "method")))
        ref["fields"] = [_field(item) for item in inputs]
        return context, ref

    def _form(self, element: Element | None, where: str) -> int | None:
        action = (element.attributes.get("action") or "").strip() if element is not None else ""
        for index, given in enumerate(self.forms):
            theirs = text(member(given, "action") or "")
            if action and theirs and (theirs == action or theirs.endswith(action.lstrip("./"))):
                return index
        if element is not None and element.tag == "form" and not action and element.number < len(self.forms):
            return element.number
        return next(
            (
                i
                for i, given in enumerate(self.forms)
                if truthy(member(given, "action")) and text(member(given, "action")) in where
            ),
            None,
        )


def _context(
    kind: str,
    index: int | None,
    origin: str,
    *,
    src: Json = None,
    title: Json = None,
    action: Json = None,
    method: Json = None,
) -> dict[str, Json]:
    return {
        "type": kind, "index": index, "origin": origin, "src": src, "title": title, "action": action, "method": method,
        "inputs": [],
    }  # fmt: skip


def _ref(kind: str, tag: str, index: int | None, attributes: list[Json]) -> dict[str, Json]:
    return {"type": kind, "tag": tag, "index": index, "attributes": attributes, "fields": []}


def _attributes(given: Json, names: Sequence[str]) -> list[Json]:
    return [{"name": name, "value": text(member(given, name))} for name in names if truthy(member(given, name))]


def _input_name(item: Json) -> str:
    if isinstance(item, str):
        return item
    return text(member(item, "name") or member(item, "tag") or "")


def _field(item: Json) -> dict[str, Json]:
    if isinstance(item, str):
        return {"tag": "input", "name": None, "type": None, "attributes": [{"name": "raw", "value": item}]}
    name, kind = member(item, "name"), member(item, "type")
    return {
        "tag": text(member(item, "tag") or "input"),
        "name": name,
        "type": kind,
        "attributes": _attributes(item, _FIELD),
    }
