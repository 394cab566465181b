"""From units to flows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bullpen_processors.sast.flows import Flow, Flows
from bullpen_processors.sast.linking import basename
from bullpen_processors.sast.lower.state import Lowering, Page
from bullpen_processors.sast.lower.table import handlers
from bullpen_processors.sast.models import Models
from bullpen_processors.sast.scopes import Function, Scope
from bullpen_processors.sast.units import Unit


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


def lower(page: Page, units: Sequence[Unit], each: Callable[[int], None] = lambda _: None) -> None:
    """Put every unit into the graph of the page; *each* is told after each unit."""
    for number, unit in enumerate(units):
        if unit.is_dead:
            continue
        scope = page.globals
        if unit.is_module or unit.is_handler:
            graph = page.graph
            own = Function(graph.node(), graph.node(), graph.node(), number) if unit.is_handler else page.program
            scope = Scope(page.globals, own, is_top=True)
        work = Lowering(page, unit.tree, number, scope, handlers(unit.tree.name))
        work.run(unit.tree.root)
        if work.exports:
            page.exports.setdefault(basename(unit.src or unit.file), {}).update(work.exports)
        each(number)


def flows_of(page: Page, models: Models) -> tuple[Flows, list[Flow]]:
    """Lay the rules over the graph and return what they find."""
    flows = Flows(page, models)
    flows.lay()
    return flows, list(flows.find())
