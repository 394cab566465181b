"""The value-flow graph of a page: nodes are numbers, edges say what a value becomes on its way. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

HTML: Final = 1
"""May hold markup."""
CODE: Final = 2
"""May hold script text."""
PREFIX: Final = 4
"""May decide where a URL leads: its scheme or host."""
SUFFIX: Final = 8
"""May decide the rest of a URL."""
SCHEME: Final = 16
"""May decide a URL's scheme: `javascript:`."""
TAIL: Final = 32
"""May decide the end of an address whose beginning is the page's own: `location.href`."""
START: Final = 64
"""Stands where an address starts, with the `#` or `?` that keeps it on its page: a weak sign of a redirect."""
ALL: Final = HTML | CODE | PREFIX | SUFFIX | SCHEME | TAIL | START

BITS: Final = {
    "html": HTML,
    "code": CODE,
    "url-prefix": PREFIX,
    "url-suffix": SUFFIX,
    "url-scheme": SCHEME,
    "url-tail": TAIL,
    "url-start": START,
}

Node: TypeAlias = int
NOTHING: Final[Node] = 0
"""The value of literals: it has no edges, so literals cost nothing."""
LATER: Final = "[1:]"
"""The elements of a list but the first."""
ELEMENT: Final = "[]"
"""The field of everything that is stored under an index or a computed name."""
ANY: Final = "*"
"""Loads whatever was stored."""


class Op(NamedTuple):
    """What happens to a value on an edge."""

    keep: int = ALL
    """Bits that survive."""
    store: str = ""
    """The value becomes this field of the target."""
    load: str = ""
    """Only what this field of the value holds goes on; of a value that is tainted as a whole, all does."""
    cut: bool = False
    """A piece is cut out: a piece of a URL's end may become the start of another."""
    trim: bool = False
    """Something is taken away, or replaced: what stood behind `#` or `?` may become the start of a URL."""
    flat: bool = False
    """Whatever an object holds ends up in the text of the target."""
    whole: bool = False
    """Only values that are tainted as a whole go on, not what their fields hold."""
    guarded: bool = False
    """A check was passed that may or may not be enough."""
    inner: bool = False
    """With *load*: only an object's field goes on, nothing of a text."""
    far: bool = False
    """Leads into or out of a function."""


COPY: Final = Op()
TEXT: Final = Op(whole=True)
"""Into a text that is made of it."""
AFTER_TEXT: Final = Op(keep=ALL & ~PREFIX & ~SCHEME & ~START, whole=True)
AFTER_SCHEME: Final = Op(keep=ALL & ~SCHEME, whole=True)
"""Behind the beginning of an address whose host is still open."""
"""Behind other text, which decides where a URL leads."""
TRIMMED: Final = Op(trim=True, whole=True)
PIECE: Final = Op(cut=True, whole=True)
FLAT: Final = Op(flat=True)
INTO: Final = Op(far=True)
GUARD: Final = Op(guarded=True)


class Graph:
    """Edges by their start."""

    def __init__(self) -> None:
        self.where = array("q", [-1])
        """Unit (above 32 bits) and byte of each node that people may be shown; -1: of none."""
        self.edges: list[list[Any] | None] = [None]
        """By start: end, operation, end, operation and so on, which takes a third of the memory of pairs."""

    def node(self) -> Node:
        """Make a node."""
        edges = self.edges
        edges.append(None)
        self.where.append(-1)
        return len(edges) - 1

    def edge(self, start: Node, end: Node, op: Op = COPY) -> None:
        """Let the value of *start* become that of *end*."""
        if not start or not end or start == end:
            return
        known = self.edges[start]
        if known is None:
            self.edges[start] = [end, op]
        else:
            known += (end, op)

    def join(self, starts: Sequence[Node], op: Op = COPY) -> Node:
        """Make a node that is fed by all *starts*; NOTHING if they are all nothing."""
        real = [start for start in starts if start]
        if not real:
            return NOTHING
        if len(real) == 1 and op is COPY:
            return real[0]
        end = self.node()
        for start in real:
            self.edge(start, end, op)
        return end
