"""The scripts of a page: listed ones, inline handlers, `javascript:` addresses. Numbers are the original's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import items, member, trim
from bullpen_processors.sast.strictness import is_taken
from bullpen_processors.sast.syntax import Tree, parse

if TYPE_CHECKING:
    from bullpen_processors.sast.markup import Element, Markup

HANDLERS: Final = (
    "onclick", "onload", "onerror", "onsubmit", "onmouseover", "onfocus", "onchange", "onkeydown", "onkeyup", "oninput",
)  # fmt: skip
"""Attributes that the original reads, in its order: that decides numbers."""
_HANDLER: Final = {
    name: re.compile(
        rf"(?<![A-Za-z0-9_]){name}\s?\s?\s?=\s{{0,20}}(?:\"([^\"\r\n\u2028\u2029]*)\"|'([^'\r\n\u2028\u2029]*)')",
        re.IGNORECASE,
    )
    for name in HANDLERS
}
_BANNER: Final = re.compile(
    r"@license|@preserve|\bCopyright\b|\(c\)|/\*!|\bMIT Licen[sc]e|typeof define\s*===?\s*.function", re.IGNORECASE
)
_SMALLEST_LIBRARY: Final = 6_000
"""Characters: a page's own script of this size is seldom minified and bears no banner."""
_MINIFIED: Final = 400
"""Characters to a line."""
_TYPES: Final = re.compile(
    r":\s*(?:string|number|boolean|any|void|\w+\[\])|\binterface\s+\w|\bas\s+\w|\bprivate\s|\bpublic\s|<\w+>"
)
_TRY_TYPESCRIPT: Final = 500_000
_SCRIPT_TAG: Final = re.compile(r"<script\b[^<>]{0,500}>", re.IGNORECASE)
_SCRIPT_END: Final = re.compile(r"</script", re.IGNORECASE)
_MODULE: Final = re.compile(r"^[ \t]*(?:import[\s{*'\"]|export[\s{*])", re.MULTILINE)


@dataclass(slots=True)
class Unit:
    """One script."""

    file: str
    """As findings name it: `inline-script[#1]` by its place in the payload, `inline-handler[#0]`, or its `src`."""
    key: str
    """As ids name it: the original counts the scripts that parsed."""
    tree: Tree
    kind: str
    """script or html-inline-handler."""
    index: int
    src: str | None = None
    is_module: bool = False
    offset: int = 0
    is_dead: bool = False
    """It stands where no browser runs it: in a comment, or with a type that is no script's."""
    is_library: bool = False
    is_extra: bool = False
    """The original does not know it."""

    @property
    def is_handler(self) -> bool:
        """Whether it is the code of an attribute."""
        return self.kind in ("html-inline-handler", "handler", "address")


def handlers_in(html: str) -> Iterator[tuple[str, int]]:
    """Yield code and offset of each inline handler, in the original's order."""
    lowered = html.lower()
    for name in HANDLERS:
        if name in lowered:
            for match in _HANDLER[name].finditer(html):
                group = 1 if match[1] is not None else 2
                code = trim(match[group])
                if code:
                    yield code, match.start(group)


def units_of(html: str, scripts: Json, fetched: Mapping[int, str], is_live: Callable[[int], bool]) -> Iterator[Unit]:
    """Yield the scripts that the original knows, parsed; numbers in keys follow those that its parser takes."""
    parsed = 0
    for index, (code, offset) in enumerate(handlers_in(html)):
        tree = parse(code)
        name = f"inline-handler[#{index}]"
        unit = Unit(name, name, tree, "html-inline-handler", index, offset=offset, is_dead=not is_live(offset))
        parsed += is_taken(tree, module=False)
        yield unit
    for index, script in enumerate(items(scripts)):
        src, code = member(script, "src"), member(script, "code")
        src = src if isinstance(src, str) and src else None
        kind = member(script, "type")
        if not isinstance(code, str) or not code:
            code = fetched.get(index, "")
        tree = _parsed(code, src, kind if isinstance(kind, str) else None)
        module = kind == "module" or _MODULE.search(code) is not None
        key = src or f"inline-script[#{parsed}]"
        unit = Unit(src or f"inline-script[#{index}]", key, tree, "script", index, src, module)
        unit.is_dead = not is_script(kind)
        unit.is_library = not unit.is_dead and is_library(code, is_own=src is None)
        taken = is_taken(tree, module=True)
        parsed += taken
        yield unit
        inner = "" if taken or unit.is_dead else scripts_within(code, tree)
        if inner:
            yield replace(unit, tree=parse(inner))


def scripts_within(code: str, tree: Tree) -> str:
    """Return the scripts of markup that was delivered as a script, each where it stands, and blanks for the rest."""
    kept, at = list[str](), 0
    for begin in _SCRIPT_TAG.finditer(code):
        if begin.start() < at:
            continue
        if not kept and _is_text(tree, len(code[: begin.start()].encode("utf-8", "replace"))):
            return ""
        end = _SCRIPT_END.search(code, begin.end())
        until = len(code) if end is None else end.start()
        kept += (_blank(code[at : begin.end()]), code[begin.end() : until])
        at = until
    return "".join(kept)


def _is_text(tree: Tree, place: int) -> bool:
    """Tell whether a place lies in a text or a comment, which may well speak of markup."""
    node = tree.at(place, place + 1)
    return node is not None and node.type in (
        "string",
        "string_fragment",
        "template_string",
        "comment",
        "regex_pattern",
    )


def _blank(text: str) -> str:
    """Lines stay lines, and columns count UTF-16 units."""
    return re.sub("[^\r\n\u2028\u2029]", lambda char: "  " if char[0] > "\uffff" else " ", text)


def extra_unit(name: str, code: str, kind: str = "script") -> Unit:
    """Make a unit of code that the original does not read."""
    return Unit(name, name, _parsed(code, None, None), kind, -1, is_extra=True)


def _parsed(code: str, src: str | None, kind: str | None) -> Tree:
    """Parse; what only TypeScript explains is read as that."""
    tree = parse(code, src, kind)
    if tree.is_broken and tree.name == "javascript" and len(code) < _TRY_TYPESCRIPT and _TYPES.search(code):
        typed = parse(code, kind="tsx")
        if not typed.is_broken:
            return typed
    return tree


def is_library(code: str, *, is_own: bool) -> bool:
    """Tell whether a script is somebody's library or a bundle: it says so at its top, or it was minified.

    What stands in the page itself (*is_own*) is the page's, however long its lines are.
    """
    if len(code) < _SMALLEST_LIBRARY:
        return False
    is_minified = not is_own and len(code) > _MINIFIED * (code.count("\n") + 1)
    return is_minified or _BANNER.search(code[:3000]) is not None


def is_script(kind: Json) -> bool:
    """Tell whether a browser runs a script of this type: not JSON, templates, import maps."""
    if not isinstance(kind, str) or not kind.strip():
        return True
    lowered = kind.strip().lower()
    return (
        lowered in ("module", "text/babel", "text/jsx", "jsx")
        or "javascript" in lowered
        or "ecmascript" in lowered
        or "typescript" in lowered
    )


def extra_units(markup: Markup, scripts: Json) -> Iterator[Unit]:
    """Yield code of the page that the payload does not list: scripts and handlers in markup, frames' own, addresses."""
    listed = {_squeezed(code) for script in items(scripts) if isinstance(code := member(script, "code"), str)}
    known = {offset for _, offset in handlers_in(markup.html)}
    waiting, number = [markup], 0
    while waiting:
        page = waiting.pop(0)
        for element in page.elements:
            for code, kind in _codes(element, known if page is markup else set()):
                if kind == "script" and _squeezed(code) in listed:
                    continue
                yield extra_unit(f"html-{kind}[#{number}]", code, kind)
                number += 1
            inner = element.attributes.get("srcdoc")
            if element.tag == "iframe" and inner and page is markup and len(inner) < _LARGEST_FRAME:
                waiting.append(type(markup)(inner, markup.url))


def _codes(element: Element, known: set[int]) -> Iterator[tuple[str, str]]:
    inline = element.tag == "script" and not element.attributes.get("src") and bool(element.text.strip())
    if inline and is_script(element.attributes.get("type")):
        yield element.text, "script"
    for name, value in element.attributes.items():
        if (
            name.startswith("on")
            and value
            and not any(start <= at < end for at in known for start, end in (element.spans[name],))
        ):
            yield value, "handler"
        elif name in ("href", "src", "action", "formaction") and value.lstrip().lower().startswith("javascript:"):
            yield value.lstrip()[len("javascript:") :], "address"


def _squeezed(code: str) -> str:
    return re.sub(r"\s+", "", code)


_LARGEST_FRAME: Final = 200_000
