"""Where values come into a page that somebody else writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.graph import Node, Op
from bullpen_processors.sast.linking import Links
from bullpen_processors.sast.lower.names import store
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.models import Callback, Models, Source
from bullpen_processors.sast.scopes import Assignment, Call, Function

ORIGINS: Final = ("url", "name", "referrer", "message", "network", "storage", "cookie", "dom")
"""In the order of what an attacker controls most."""


class Origins:
    """The sources of a page."""

    def __init__(self, page: Page, models: Models, links: Links) -> None:
        self.page = page
        self.graph = page.graph
        self.models = models
        self.links = links
        self.handed: list[tuple[tuple[Function, Call | Assignment], Callback]] = []
        """Functions that are handed what somebody else writes."""

    def starts(self) -> dict[str, dict[Node, Source | Callback]]:
        """Return the nodes that hold what somebody else writes, by who that is."""
        self.handed = []
        starts: dict[str, dict[Node, Source | Callback]] = {}
        sources = self.models.sources
        reads, globals_ = self.page.reads, self.page.globals.names
        for value, path in self.page.path.items():
            if value in reads and path not in globals_:
                continue  # what its variable was given is the source
            if sources.may_know(path):
                for source in sources.find(path):
                    starts.setdefault(source.origin, {})[value] = source
        for node, callback in self._callbacks():
            starts.setdefault(callback.origin, {})[node] = callback
        return starts

    def _callbacks(self) -> Iterator[tuple[Node, Callback]]:
        for call in self.page.calls:
            for rule in self.models.callbacks.find(call.path):
                if rule.argument < len(call.arguments) and (
                    not rule.first or (call.texts and call.texts[0] in rule.first)
                ):
                    yield from self._handed(call, call.arguments[rule.argument], rule)
        for assignment in self.page.assignments:
            for rule in self.models.handlers.find(assignment.path):
                yield from self._handed(assignment, assignment.value, rule)

    def _handed(self, at: Call | Assignment, handler: Node, rule: Callback) -> Iterator[tuple[Node, Callback]]:
        for function in self.links.functions(handler):
            if isinstance(function, Function) and rule.parameter < len(function.parameters):
                self.handed.append(((function, at), rule))
                node = self.graph.node()
                self.graph.where[node] = self.graph.where[function.parameters[rule.parameter]]
                self.graph.edge(node, function.parameters[rule.parameter], store(rule.field) if rule.field else Op())
                yield node, rule
