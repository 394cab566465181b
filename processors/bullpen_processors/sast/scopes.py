"""Names, and what is known of the values behind them."""

from __future__ import annotations

from dataclasses import dataclass, field

import tree_sitter

from bullpen_processors.sast.graph import Graph, Node


class Variable:
    """A variable of one scope.

    `every` is fed by each value that it ever has: closures and loops read that. `now` is the value at this point of its
    own function, where the order of statements is known; an unconditional assignment replaces it.
    """

    __slots__ = ("at_top", "depth", "every", "foreign", "guard", "is_parameter", "name", "now", "owner", "values")

    def __init__(self, name: str, owner: Function, graph: Graph, depth: int = 0) -> None:
        self.name = name
        self.owner = owner
        self.depth = depth
        """Of conditions and loops around its declaration."""
        self.every: Node = graph.node()
        self.now: Node = self.every
        self.values: list[Node] = []
        self.is_parameter = False
        self.foreign: Node = 0
        """What other functions assign to it: they may run at any time; 0: none does."""
        self.at_top = False
        """An undeclared name that the program itself assigns first: before that, it is nothing."""
        self.guard: Node = 0
        """Its value behind a check, as long as that holds; 0: none."""


class Scope:
    """A block or a function with its names."""

    __slots__ = ("function", "is_top", "names", "outer")

    def __init__(self, outer: Scope | None, function: Function, *, is_top: bool = False) -> None:
        self.outer = outer
        self.is_top = is_top
        """Whether `var` declares here: of a function or a script."""
        self.function = function
        self.names: dict[str, Variable] = {}

    def find(self, name: str) -> Variable | None:
        """Return the nearest variable of this name."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None


@dataclass(eq=False, slots=True)
class Function:
    """A function of the page, or the body of a script."""

    node: Node
    """Its own value."""
    this: Node
    result: Node
    unit: int
    name: str = ""
    parameters: list[Node] = field(default_factory=list)
    rest: int = -1
    """Index of the parameter that takes all further arguments; -1: none."""
    arguments: Node = 0
    is_arrow: bool = False
    is_outer: bool = False
    """Runs when its script does: the script itself, and what wraps it."""
    owner: Class | None = None
    returns: list[Node] = field(default_factory=list)
    syntax: tree_sitter.Node | None = None


@dataclass(eq=False, slots=True)
class Class:
    """A class: its instances share one node."""

    node: Node
    this: Node
    name: str = ""
    base: Node = 0
    methods: dict[str, Function] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Call:
    """A call or `new`, kept until all functions are known."""

    syntax: tree_sitter.Node
    unit: int
    function: Function
    callee: Node
    receiver: Node
    name: str
    """The method's or function's last name; "" if computed."""
    path: str
    arguments: list[Node]
    texts: list[str | None]
    """Of arguments that are string literals."""
    result: Node
    is_new: bool = False
    spread: int = -1
    in_loop: bool = False
    tagged: bool = False


@dataclass(eq=False, slots=True)
class Assignment:
    """An assignment to a member, or an attribute in JSX."""

    syntax: tree_sitter.Node
    target: tree_sitter.Node
    unit: int
    function: Function
    receiver: Node
    name: str
    path: str
    value: Node
    plain: bool = True
    """`=`; not `+=` and the like."""
    is_jsx: bool = False
    tag: str = ""
