"""Run a processor in a test: a report that remembers, and what would be stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyoxigraph as ox

from bullpen_processors.api import Context, Processor, Quads, Result, StoreAnswer


@dataclass
class Remembering:
    """`Report` that remembers."""

    lines: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def progress(self, value: float | Mapping[str, Any]) -> None:
        """Remember a progress."""
        self.values.append(value)

    def log(self, line: str) -> None:
        """Remember a line."""
        self.lines.append(line)


@dataclass
class Processed:
    """A result, and what was told on the way."""

    result: Result
    report: Remembering

    @property
    def quads(self) -> set[ox.Quad]:
        """What would be stored."""
        assert isinstance(self.result.write, Quads)
        return set(self.result.write.quads)

    @property
    def replaced(self) -> list[tuple[str, str]]:
        """Graph and IRI of each resource whose triples go first."""
        assert isinstance(self.result.write, Quads)
        return [(resource.graph, resource.iri) for resource in self.result.write.replaces]

    def stored(self) -> list[str]:
        """What would be stored, as sorted N-Quads. Not from a store: oxigraph keeps xsd:int as xsd:integer."""
        text = ox.serialize(self.quads, format=ox.RdfFormat.N_QUADS)
        assert text is not None
        return sorted(line for line in text.decode().split("\n") if line)

    def value(self, status: int = 204) -> Any:
        """Return the job's value when the store answers so."""
        return self.result.finish(StoreAnswer(status)) if self.result.finish else self.result.value


def process(processor: Processor, payload: Any, settings: Mapping[str, Any] | None = None) -> Processed:
    """Run *processor* once."""
    report = Remembering()
    return Processed(processor.process(payload, Context("test", report, settings or {})), report)
