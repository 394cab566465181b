"""Scripts as syntax trees: tree-sitter recovers from errors, so that one mistake does not hide the rest."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import count
from typing import Final

import tree_sitter

from bullpen_processors.ontoweb.javascript import well_formed
from bullpen_processors.sast.trial import readable

_WIDE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_PIECE: Final = 1 << 20
_PARSE_S: Final = 1.0
"""CPU that a script may take to parse, and more for each byte; bundles take a third of a second for a megabyte."""
_PARSE_S_PER_BYTE: Final = 2e-6
_NODES: Final = 20_000
"""Nodes that are looked at for odd names."""
_TYPESCRIPT: Final = re.compile(r"\.(?:m|c)?tsx?(?:[?#]|$)", re.IGNORECASE)


@cache
def language(name: str) -> tree_sitter.Language:
    """Load a grammar: `javascript`, `typescript` or `tsx`."""
    if name == "javascript":
        import tree_sitter_javascript  # noqa: PLC0415 - each grammar is loaded when a script needs it

        return tree_sitter.Language(tree_sitter_javascript.language())
    import tree_sitter_typescript  # noqa: PLC0415

    make = tree_sitter_typescript.language_tsx if name == "tsx" else tree_sitter_typescript.language_typescript
    return tree_sitter.Language(make())


class Tree:
    """The tree of one script."""

    def __init__(self, code: str, name: str) -> None:
        self.name = name
        code = well_formed(code).replace("\0", "\1")  # a NUL in a comment or a string ends the parser's input
        self.source = code.encode()
        self._tree, self._cut = _parsed(name, self.source)
        self._ascii = len(self.source) == len(code)

    @property
    def root(self) -> tree_sitter.Node:
        """A root node of its own each time: a node keeps all nodes alive that were reached through it."""
        return self._tree.root_node

    def at(self, start: int, end: int) -> tree_sitter.Node | None:
        """Return the smallest node around a place."""
        return self.root.descendant_for_byte_range(start, end)

    def field_id(self, name: str) -> int:
        """Return the number of a field in this grammar; 0 if it has none of that name."""
        return language(self.name).field_id_for_name(name) or 0

    def text(self, node: tree_sitter.Node) -> str:
        """Return the source text of *node*."""
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def point(self, byte: int) -> tuple[int, int]:
        """Return line (from 1) and column (from 0, in UTF-16 units) of a place, as JavaScript's parsers count."""
        row = bisect_right(self._lines, byte) - 1
        start = self._lines[row]
        column = byte - start
        if not self._ascii:
            places, saved = self._wide
            column -= saved[bisect_right(places, byte - 1)] - saved[bisect_right(places, start - 1)]
        return row + 1, column

    @cached_property
    def _wide(self) -> tuple[list[int], list[int]]:
        """Return where characters of several bytes stand, and how many bytes more than UTF-16 units stand before each.

        A place in one line of megabytes must not cost a walk through it.
        """
        places, saved, total = list[int](), [0], 0
        for match in _WIDE.finditer(self.source):
            size = match.end() - match.start()
            total += size - (2 if size == 4 else 1)
            places.append(match.start())
            saved.append(total)
        return places, saved

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(rb"\r\n|\n|\r|\xe2\x80[\xa8\xa9]", self.source))]

    def lines_around(self, first: int, last: int) -> str:
        """Return lines *first* to *last*, from 1, as far as there are any, joined by LF."""
        starts = self._lines
        begin = starts[max(first, 1) - 1]
        end = starts[last] if last < len(starts) else len(self.source)
        text = self.source[begin:end].decode("utf-8", "replace")
        return text.rstrip("\r\n").replace("\r\n", "\n")

    @property
    def is_broken(self) -> bool:
        """Whether the script has an error anywhere, or was not read to its end."""
        return self.root.has_error or self._cut is not None

    @property
    def has_odd_names(self) -> bool:
        """Whether a name has a character that JavaScript does not allow in one, which the grammar lets pass."""
        if self._ascii:
            return False
        waiting, budget = [self.root], _NODES
        while waiting and budget:
            node = waiting.pop()
            budget -= 1
            if node.kind_id == self._identifier and not self.text(node).replace("$", "_").isidentifier():
                return True
            waiting += node.named_children
        return False

    @cached_property
    def _identifier(self) -> int:
        return language(self.name).id_for_node_kind("identifier", True) or -1

    @property
    def error_at(self) -> int | None:
        """The byte where the script stops making sense; None if it does to its end."""
        first = next(self._errors(), None)
        return self._cut if first is None else first.start_byte

    def _errors(self) -> Iterator[tree_sitter.Node]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if node.is_error or node.is_missing:
                yield node
            elif node.has_error:
                waiting += reversed(node.children)


def _parsed(name: str, source: bytes) -> tuple[tree_sitter.Tree, int | None]:
    """Parse, and return where it was cut if it took too long: half as much is read, until that goes.

    Recovery from errors may take time and memory that grow with the square of their number.
    """
    parser = tree_sitter.Parser(language(name))
    end = readable(source, lambda: parser.parse(source))
    while True:
        try:
            tree = parser.parse(_reader(source, end), encoding="utf8", progress_callback=_patience(end))
        except ValueError:  # it was stopped
            end //= 2
            parser.reset()
        else:
            return tree, None if end == len(source) else end


def _reader(source: bytes, end: int) -> Callable[[int, object], bytes]:
    return lambda offset, _point: source[offset : min(offset + _PIECE, end)]


def _patience(size: int) -> Callable[[int, bool], bool]:
    """Make what tells a parser to stop; it asks every hundred steps."""
    until = time.process_time() + _PARSE_S + _PARSE_S_PER_BYTE * size
    asked = count()
    return lambda _offset, _has_error: next(asked) % 16 == 0 and time.process_time() > until


def parse(code: str, src: str | None = None, kind: str | None = None) -> Tree:
    """Parse *code*; a script that only TypeScript explains is read as TypeScript."""
    if src and _TYPESCRIPT.search(src):
        return Tree(code, "tsx" if ".tsx" in src.lower() else "typescript")
    if kind and ("typescript" in kind or kind.endswith("tsx")):
        return Tree(code, "tsx")
    return Tree(code, "javascript")
