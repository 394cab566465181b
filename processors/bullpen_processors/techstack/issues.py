"""What is wrong with a header or a cookie: the text of a rule, and how bad it is. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to mend."""

    rule: str
    severity: str
    category: str
    description: str
    remediation: str

    def saying(self, description: str) -> Issue:
        """Return it with words of its own."""
        return replace(self, description=description)
