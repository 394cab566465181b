"""What lowering a script keeps in hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import tree_sitter

from bullpen_processors.sast.graph import NOTHING, Graph, Node
from bullpen_processors.sast.scopes import Assignment, Call, Class, Function, Scope, Variable
from bullpen_processors.sast.syntax import Tree

if TYPE_CHECKING:
    from bullpen_processors.sast.relevance import Spots

Step: TypeAlias = Any
"""A syntax node, which leaves one value, or a tuple of a function and its arguments after the lowering."""

LONGEST_PATH: Final = 160
SHORTEST_BODY: Final = 40
"""Bytes of a function that is worth putting off."""


class Page:
    """All scripts of a page: one graph, one set of globals."""

    def __init__(self, words: frozenset[str] = frozenset()) -> None:
        self.graph = Graph()
        self.words = words
        """Names that rules speak of: of a value from nowhere known, only those are remembered."""
        self.program = Function(self.graph.node(), self.graph.node(), self.graph.node(), -1, is_outer=True)
        self.globals = Scope(None, self.program, is_top=True)
        self.path: dict[Node, str] = {}
        """Values that are read from a known place: `location.hash`, `import:lodash.map`, `?.state.name`."""
        self.held: dict[Node, str] = {}
        """Where what a variable holds at some point was read from."""
        self.functions: dict[Node, Function] = {}
        self.classes: dict[Node, Class] = {}
        self.reads: dict[Node, Variable] = {}
        """Values that are what a variable holds."""
        self.joins: dict[Node, list[Node]] = {}
        """Values that are one of several."""
        self.derived: dict[Node, tuple[Node, str]] = {}
        """Values that were read from a field of another."""
        self.members: dict[str, list[Node]] = defaultdict(list)
        """Functions and classes stored under a name of some object."""
        self.calls: list[Call] = []
        self.results: dict[Node, Call] = {}
        self.assignments: list[Assignment] = []
        self.exports: dict[str, dict[str, Node]] = {}
        """Basename of a script -> name -> value."""
        self.imports: list[tuple[str, str, Node, int]] = []
        self.literals: dict[Node, dict[str, Node]] = {}
        """Object literals by key."""
        self.strings: list[tuple[int, tree_sitter.Node, str]] = []
        """String literals that look like URLs."""
        self.regexes: dict[Node, str] = {}
        self.constants: set[Node] = set()
        """Values that hold nothing but literals."""
        self.aliases: dict[Node, Node] = {}
        """Reads of `this` -> its node."""
        self.sums: dict[Node, tuple[int, list[tuple[tree_sitter.Node, Node]]]] = {}
        """Texts that are put together around markup: unit, operands and their values."""
        self.scheme_texts: list[tuple[int, tree_sitter.Node, str, Function]] = []
        """Comparisons with the name of a scheme that runs scripts."""
        self.lists: dict[Node, list[str]] = {}
        """Lists of literals."""
        self.elements: dict[Node, list[Node]] = {}
        self.places: dict[str, Node] = {}
        """What scripts write to known places and may read again: `location.hash`, `App.state`."""
        self.names: dict[Node, str] = {}
        """Parameters by the names they have."""
        self.unresolved: list[tuple[Scope, str, Node, bool]] = []
        self.jsx: list[tuple[Node, str, Node, int]] = []
        self.postponed: list[Postponed] = []

    def byte_of(self, value: Node, otherwise: int) -> int:
        """Return where a value stands in its script."""
        place = self.graph.where[value] if value else -1
        return place & 0xFFFFFFFF if place >= 0 else otherwise


@dataclass(eq=False, slots=True)
class Postponed:
    """A function whose body nobody asked for so far: it speaks of nothing that rules are about."""

    lowering: Lowering
    function: Function
    scope: Scope
    steps: list[Step]
    start: int
    end: int

    def lower(self) -> None:
        """Lower the body."""
        self.lowering.resume(self.function, self.scope, self.steps)

    @property
    def text(self) -> bytes:
        """The source text of the body."""
        return self.lowering.tree.source[self.start : self.end]


class Lowering:
    """One script on its way into the graph."""

    def __init__(
        self,
        page: Page,
        tree: Tree,
        unit: int,
        scope: Scope,
        handlers: list[Callable[..., None] | None],
        spots: Spots | None = None,
    ) -> None:
        self.page = page
        self.graph = page.graph
        self.tree = tree
        self.unit = unit
        self.place = unit << 32
        self.scope = scope
        self.function = scope.function
        self.stack: list[Step] = []
        self.values: list[Node] = []
        self.loops = 0
        """Loops around this point within the function."""
        self.depth = 0
        """Conditions and loops around this point within the function."""
        self.class_: Class | None = None
        self.exports: dict[str, Node] = {}
        self.handlers = handlers
        self.spots = spots
        """What decides which functions may wait; None: none may."""
        self.is_var = False
        self.guards: list[list[tuple[Variable, Node]]] = []
        self.fields: dict[str, int] = {}

    def run(self, root: tree_sitter.Node) -> None:
        """Lower everything below *root*."""
        self.stack.append(root)
        self._work()

    def resume(self, function: Function, scope: Scope, steps: list[Step]) -> None:
        """Lower the body of a function that was put off."""
        self.scope, self.function, self.loops, self.depth = scope, function, 0, 0
        self.plan(*steps)
        self._work()

    def may_wait(self, body: tree_sitter.Node) -> bool:
        """Tell whether a body speaks of nothing that rules are about."""
        if self.spots is None:
            return False
        start, end = body.start_byte, body.end_byte
        return end - start >= SHORTEST_BODY and not self.spots.any_within(start, end)

    def _work(self) -> None:
        stack, handlers = self.stack, self.handlers
        pop = stack.pop
        last = len(handlers) - 1  # errors have the highest number of all
        while stack:
            step = pop()
            if type(step) is tuple:
                step[0](self, *step[1:])
                continue
            kind = step.kind_id
            handler = handlers[min(last, kind)]
            if handler is None:
                self.values.append(NOTHING)
            else:
                handler(self, step)

    def plan(self, *steps: Step) -> None:
        """Do *steps*, in this order, before all that is planned already."""
        self.stack.extend(reversed(steps))

    def take(self, count: int) -> list[Node]:
        """Take the last *count* values."""
        if not count:
            return []
        values = self.values
        taken = values[-count:]
        del values[-count:]
        return taken

    def field(self, node: tree_sitter.Node, name: str) -> tree_sitter.Node | None:
        """Return a child by its field."""
        number = self.fields.get(name)
        if number is None:
            number = self.fields[name] = self.tree.field_id(name)
        return node.child_by_field_id(number) if number else None

    def text(self, node: tree_sitter.Node) -> str:
        """Return source text."""
        return self.tree.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def mark(self, value: Node, node: tree_sitter.Node) -> None:
        """Remember where a value stands."""
        self.graph.where[value] = self.place | node.start_byte

    def new(self, node: tree_sitter.Node) -> Node:
        """Make a value that stands at *node*."""
        value = self.graph.node()
        self.graph.where[value] = self.place | node.start_byte
        return value
