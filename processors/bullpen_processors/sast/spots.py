"""Places in scripts that deserve a look, or that look as if they did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from bullpen_processors.sast.flows import Flows
from bullpen_processors.sast.scopes import Assignment, Call
from bullpen_processors.sast.units import Unit

CONSTANT: Final = "constant argument"
HARMLESS: Final = "harmless value"
LIBRARY: Final = "library code"
DEAD: Final = "comment or dead text"
SAME_SITE: Final = "same site"
NO_FLOW: Final = "no flow"
REASONS: Final = (CONSTANT, HARMLESS, LIBRARY, DEAD, SAME_SITE, NO_FLOW)
"""Why something that looks like a finding is none."""


@dataclass(slots=True)
class Spot:
    """A place in a script, with a rule's id; with a *reason* it is none."""

    rule: str
    unit: int
    start: int
    end: int
    type: str
    at: int
    """Byte of what people should look at: the value, rather than the whole call."""
    reason: str = ""
    confidence: str = "low"
    extra: dict[str, Any] = field(default_factory=dict)


class Look:
    """What looks at a page after its flows were laid."""

    def __init__(self, flows: Flows, units: list[Unit]) -> None:
        self.flows = flows
        self.page = flows.page
        self.units = units

    def spot(self, rule: str, at: Call | Assignment, value: int = 0, reason: str = "", confidence: str = "low") -> Spot:
        """Make a spot of a call or an assignment."""
        syntax = at.syntax
        place = self.page.byte_of(value, syntax.start_byte)
        kind = (
            "AssignmentExpression" if isinstance(at, Assignment) else "NewExpression" if at.is_new else "CallExpression"
        )
        return Spot(rule, at.unit, syntax.start_byte, syntax.end_byte, kind, place, reason, confidence)

    def receiver_text(self, call: Call) -> str:
        """Return how what is called is written, or the beginning of it."""
        callee = call.syntax.named_children[0]
        source = self.units[call.unit].tree.source
        return source[callee.start_byte : min(callee.end_byte, callee.start_byte + 80)].decode("utf-8", "replace")
