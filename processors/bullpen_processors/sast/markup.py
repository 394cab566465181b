"""The page as a browser sees it: its elements, and where they stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import turbohtml

from bullpen_processors.ontoweb.javascript import well_formed

_SCRIPT_END: Final = re.compile(r"</script[\s/>]", re.IGNORECASE)


@dataclass(slots=True)
class Element:
    """An element as it stands in the page."""

    tag: str
    attributes: Mapping[str, str]
    spans: Mapping[str, tuple[int, int]]
    start: int
    end: int
    number: int
    """Among elements of its tag."""
    text: str = ""


class Markup:
    """The elements of a page."""

    def __init__(self, html: str, url: str) -> None:
        self.html = well_formed(html)
        self.url = url
        self.host = host_of(url)

    @cached_property
    def elements(self) -> list[Element]:
        """Every element that stands in the page's text, once."""
        found: dict[int, Element] = {}
        counts: dict[str, int] = {}
        read = 0
        if not self.html:
            return []
        document = turbohtml.parse(self.html, source_locations=True)
        for node in document.iter_elements():
            at = node.source_location
            if at is None or at.start_tag.start_offset in found:
                continue
            spans = {name: (span.start_offset, span.end_offset) for name, span in at.attrs.items()}
            attributes = {name: _text(value) for name, value in node.attrs.items()}
            number = counts.get(node.tag, 0)
            counts[node.tag] = number + 1
            start, end = at.start_tag.start_offset, at.start_tag.end_offset
            element = Element(node.tag, attributes, spans, start, end, number)
            if node.tag == "script" and end >= read:  # each character is in one script at most, whatever the nesting
                read = self._end_of_script(end)
                element.text = self.html[end:read]
            found[start] = element
        return list(found.values())

    def _end_of_script(self, start: int) -> int:
        """Return where a script's text ends; in deep trees, the parser does not say."""
        match = _SCRIPT_END.search(self.html, start)
        return len(self.html) if match is None else match.start()

    @property
    def bases(self) -> list[str]:
        """What `<base href>` say, in order: the first counts."""
        return [
            element.attributes["href"]
            for element in self.elements
            if element.tag == "base" and "href" in element.attributes
        ]

    @cached_property
    def attributes(self) -> list[tuple[int, int]]:
        """Where attributes begin and end, in order."""
        return sorted(span for element in self.elements for span in element.spans.values())

    def in_attribute(self, offset: int) -> bool:
        """Tell whether a place lies in an attribute: not in a comment, a script or text."""
        index = bisect_right(self.attributes, (offset, 1 << 60)) - 1
        return index >= 0 and self.attributes[index][0] <= offset < self.attributes[index][1]

    def utf16(self, offset: int) -> int:
        """Return an offset in UTF-16 units."""
        return offset + bisect_right(self._astral, offset - 1) if self._astral else offset

    @cached_property
    def _astral(self) -> list[int]:
        return [] if self.html.isascii() else [index for index, char in enumerate(self.html) if char > "\uffff"]

    def point(self, offset: int) -> tuple[int, int]:
        """Return line (from 1) and column (from 0) of a place."""
        row = bisect_right(self._lines, offset) - 1
        return row + 1, offset - self._lines[row]

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\n", self.html))]


def host_of(url: str) -> str:
    """Return the host of an absolute URL; "" if it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(value) if isinstance(value, list | tuple) else ""
