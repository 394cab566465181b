"""From units to flows."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bullpen_processors.sast.demand import wanted_by
from bullpen_processors.sast.flows import Flow, Flows
from bullpen_processors.sast.linking import basename
from bullpen_processors.sast.lower.state import Lowering, Page
from bullpen_processors.sast.lower.table import handlers
from bullpen_processors.sast.models import Models
from bullpen_processors.sast.scopes import Function, Scope
from bullpen_processors.sast.units import Unit

if TYPE_CHECKING:
    from bullpen_processors.sast.relevance import Spots

SMALLEST: Final = 50_000
"""Bytes of a script below which everything is looked at."""
ROUNDS: Final = 8
"""Of lowering what values reached and searching again."""


@contextmanager
def without_collector() -> Iterator[None]:
    """Spare the garbage collector: a page's graph lives as long as its job, and a quarter of the time went into it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def lower(page: Page, units: Sequence[Unit], models: Models, *, explain: bool = False) -> None:
    """Put every unit into the graph of the page; of large ones, only functions that speak of what rules are about."""
    for number, unit in enumerate(units):
        if unit.is_dead:
            continue
        scope = page.globals
        if unit.is_module or unit.is_handler:
            graph = page.graph
            own = page.program
            if unit.is_handler:
                own = Function(graph.node(), graph.node(), graph.node(), number, is_outer=True)
            scope = Scope(page.globals, own, is_top=True)
        spots = _spots(unit, models, places=explain or not unit.is_library)
        work = Lowering(page, unit.tree, number, scope, handlers(unit.tree.name), spots)
        work.run(unit.tree.root)
        if work.exports:
            page.exports.setdefault(basename(unit.src or unit.file), {}).update(work.exports)


def _spots(unit: Unit, models: Models, *, places: bool) -> Spots | None:
    source = unit.tree.source
    if len(source) < SMALLEST:
        return None
    from bullpen_processors.sast.relevance import Vocabulary  # noqa: PLC0415 - small pages do without

    return Vocabulary(models, places=places).spots(source)


def flows_of(page: Page, models: Models) -> tuple[Flows, list[Flow]]:
    """Lay the rules over the graph and return what they find; functions that a value reaches are lowered for it."""
    flows = Flows(page, models)
    for _ in range(ROUNDS):
        flows.lay()
        found = list(flows.find())
        wanted = wanted_by(flows)
        if not wanted:
            return flows, found
        page.postponed = [waiting for waiting in page.postponed if waiting not in wanted]
        for function in wanted:
            function.lower()
    flows.lay()
    flows.cut = True
    return flows, list(flows.find())
