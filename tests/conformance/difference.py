"""One piece in which two outcomes differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

What = Literal["state", "attempts", "reason", "value", "quads", "insertStatus", "gone", "new", "changed"]
Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One piece. `gone`, `new` and `changed` are of a place of a finding: theirs only, ours only, or in both."""

    what: What
    rule: str = ""
    place: Place = ()
    """("param", 0), ("raw",), ("body", ...), ("resource", 0), ("header", 2), ("cookie", 0, 1), ("iri", ...), ..."""
    theirs: Any = None
    ours: Any = None
    item: Any = None
    """The item of the job's list that the finding is about."""
    beside: frozenset[str] = frozenset()
    """Sorts of places that our finding shows."""

    def __str__(self) -> str:
        """Say it in one line, for a test that fails."""
        return f"{self.what} {self.rule} {self.place}: {self.theirs!r:.200} -> {self.ours!r:.200}"
