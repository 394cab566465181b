"""What a page loads: a scanner of HTML that passes over the text once, whatever the text is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(r"<(?:(!--)|([a-zA-Z][a-zA-Z0-9:-]{0,40}))")
# Only the last of each kind of quote can be unclosed, so trying them costs at most two more passes
_ATTRIBUTE: Final = re.compile(
    r"""[\s/]*+([^\s=>"'/<]++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>]*+))?+""",
)
_BLANK: Final = re.compile(r"[\s/\"'=]*+")
_RAW_TEXT: Final = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in ("script", "style", "textarea", "title")}


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag with its attributes, names in lower case; `text` is what a script or style element holds."""

    name: str
    attributes: Mapping[str, str]
    text: str = ""


def tags(html: str) -> Iterator[Tag]:
    """Yield the start tags in order. Comments, and what looks like tags inside scripts, are none."""
    position = 0
    while (start := _TAG.search(html, position)) is not None:
        if start[1]:
            end = html.find("-->", start.end())
            if end < 0:
                return
            position = end + 3
            continue
        name = start[2].lower()
        attributes, position = _attributes(html, start.end())
        text = ""
        if name in _RAW_TEXT:
            closing = _RAW_TEXT[name].search(html, position)
            end = closing.start() if closing else len(html)
            text, position = html[position:end], end
        yield Tag(name, attributes, text)


def _attributes(html: str, position: int) -> tuple[dict[str, str], int]:
    """Read attributes from *position* to the end of the tag; of one that comes twice the first counts."""
    attributes: dict[str, str] = {}
    while True:
        found = _ATTRIBUTE.match(html, position)
        if found is None:
            blank = _BLANK.match(html, position)
            after = blank.end() if blank else position
            if after == position or html[after : after + 1] in ("", "<", ">"):
                return attributes, after + (html[after : after + 1] == ">")
            position = after
            continue
        value = found[2] or ""
        if value[:1] in ('"', "'"):
            value = value.strip(value[0])
        attributes.setdefault(found[1].lower(), value)
        position = found.end()
        if html[position : position + 1] == ">":
            return attributes, position + 1
