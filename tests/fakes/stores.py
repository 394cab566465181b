"""A graph store in memory, as far as the operator needs one."""

from __future__ import annotations

import re
from typing import Final

from bullpen_operator.ports import StoreRefusedError, StoreUnavailableError

_GRAPH: Final = re.compile(r"GRAPH <([^>]+)>")
GONE: Final = "the graph store gave no answer: it can't be connected to"


class FakeStore:
    """The Store port. `away`: it does not answer; `refused`: names of graphs that it never takes."""

    def __init__(self) -> None:
        self.away = False
        self.refused: set[str] = set()
        self.graphs: dict[str, str] = {}
        """First update of each graph that one was written to."""
        self.asked: list[str] = []
        """`probe` or `update`, in order."""

    async def probe(self) -> None:
        self._ask("probe")

    async def update(self, text: str) -> None:
        self._ask("update")
        graph = _GRAPH.search(text)
        if graph is None or graph[1] in self.refused:
            raise StoreRefusedError("the graph store answered 400 Bad Request")
        self.graphs.setdefault(graph[1], text)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise StoreUnavailableError(GONE)
