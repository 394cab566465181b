"""What a rule shows for its finding: where in the exchange, and what stands there. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bullpen_processors.api import Json

Kind = Literal["transport", "header", "cookie", "param", "body"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One place of an exchange."""

    shown: Mapping[str, Json]
    """What the finding says of it; OntoWeb-PT's clients read the keys."""
    node: str
    """Name of its node below the request's IRI: `resh:2`, `param:0`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of one finding; hits are None where the kind of evidence has none of that sort."""

    kind: Kind
    facts: Mapping[str, Json] = field(default_factory=dict)
    """What else there is to say, by the keys that findings have: pattern, snippet, rawQuery, path, ..."""
    params: Sequence[Hit] | None = None
    headers: Sequence[Hit] | None = None
    cookies: Sequence[Hit] | None = None
    note: str = ""
    """A sentence that the rule's description is followed by."""

    def hits(self) -> Mapping[str, Sequence[Hit]]:
        """Return the sorts of hits that there are."""
        sorts = {"params": self.params, "headers": self.headers, "cookies": self.cookies}
        return {name: hits for name, hits in sorts.items() if hits is not None}
