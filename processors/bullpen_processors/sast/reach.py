"""Breadth-first reachability: which sources reach which sinks, on the shortest way. Pure, linear by its caps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from bullpen_processors.sast.graph import ANY, ELEMENT, LATER, PREFIX, SCHEME, SUFFIX, TAIL, Graph, Node, Op

HOPS: Final = 40
"""Edges of a way at most; longer ones through libraries are hardly ever real."""
FAR: Final = 5
"""Calls and returns on a way at most."""
DEPTH: Final = 4
"""Fields within fields that are told apart."""
STATES: Final = 400_000
"""States of one search: bounds its time whatever the page is."""

State: TypeAlias = tuple[Node, int, tuple[str, ...], bool]
"""Node, bits, the fields that the taint lies below, and whether a check was passed."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A way that ends at a sink."""

    nodes: tuple[Node, ...]
    bits: int
    guarded: bool


class Search:
    """One search from sources of one class."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._came: dict[State, State | None] = {}
        self.cut = False
        """Whether the search was ended by its cap."""

    @property
    def reached(self) -> set[Node]:
        """Every node that a value came to."""
        return {state[0] for state in self._came}

    def run(self, starts: Iterable[tuple[Node, int]], wanted: Callable[[Node], bool]) -> Iterator[Arrival]:
        """Yield each arrival at a wanted node, nearest first."""
        level: list[tuple[State, int]] = []
        for node, bits in starts:
            state: State = (node, bits, (), False)
            if state not in self._came:
                self._came[state] = None
                level.append((state, 0))
        for _ in range(HOPS):
            following: list[tuple[State, int]] = []
            for state, far in level:
                if wanted(state[0]) and not state[2]:
                    yield self._arrival(state)
                following += self._step(state, far)
            if len(self._came) > STATES:
                self.cut = True
                return
            level = following
            if not level:
                return

    def _step(self, state: State, far: int) -> Iterator[tuple[State, int]]:
        came, (node, bits, fields, guarded) = self._came, state
        edges = self._graph.edges[node] or ()
        for index in range(0, len(edges), 2):
            end, op = edges[index], edges[index + 1]
            if op.far and far == FAR:
                continue
            left = bits & op.keep
            if left & (SUFFIX | TAIL) and (op.cut or (op.trim and left & SUFFIX)):
                left |= PREFIX | SCHEME
            below = _below(fields, op)
            if not left or below is None:
                continue
            reached: State = (end, left, below, guarded or op.guarded)
            if reached not in came:
                came[reached] = state
                yield reached, far + op.far

    def _arrival(self, state: State) -> Arrival:
        nodes, at = [], state
        while True:
            nodes.append(at[0])
            before = self._came[at]
            if before is None:
                return Arrival(tuple(reversed(nodes)), state[1], state[3])
            at = before


def _below(fields: tuple[str, ...], op: Op) -> tuple[str, ...] | None:
    """Return the fields that the taint lies below after the edge; None when it does not go on."""
    if op.store:
        if op.whole and fields:
            return None
        return (op.store, *fields) if len(fields) < DEPTH else None
    if op.load:
        if not fields:
            return None if op.inner else fields
        return fields[1:] if _matches(op.load, fields[0]) else None
    if op.whole and fields:
        return None
    return () if op.flat else fields


def _matches(wanted: str, stored: str) -> bool:
    return (
        wanted in (ANY, stored)
        or (wanted == ELEMENT and stored.isdigit())
        or (stored == ELEMENT and wanted.isdigit())
        or (stored == LATER and (wanted == ELEMENT or (wanted.isdigit() and wanted != "0")))
    )
