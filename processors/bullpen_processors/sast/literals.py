"""Literals that no page should hold: keys of services, and patterns that take exponential time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bullpen_processors.sast.spots import Look, Spot

_SECRET: Final = re.compile(
    rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[0-9A-Za-z]{36,80}\b|\bglpat-[0-9A-Za-z_-]{20,40}\b"
    rb"|\b[sr]k_live_[0-9A-Za-z]{16,120}\b|\bxox[abprs]-[0-9A-Za-z-]{10,120}\b|\bSG\.[\w-]{16,40}\.[\w-]{30,60}\b"
    rb"|\bnpm_[0-9A-Za-z]{36}\b|-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH|ENCRYPTED) )?PRIVATE KEY-----"
)
"""Formats of secret keys, as AWS, GitHub, GitLab, Stripe, Slack, SendGrid and npm document them; PEM (RFC 7468)."""
_TEXTS: Final = ("string", "string_fragment", "template_string")
_NESTED: Final = re.compile(
    r"\((?:\?:)?(?:\\[wdsWDS.]|\[(?:[^\]\\]|\\.){1,80}\]|[\w.])[+*]\)(?:[+*]|\{\d{1,4},\})(?!\?)"
)
"""A repetition of nothing but a repetition: `(a+)+` (CWE-1333)."""


class Literals(Look):
    """Looks at texts and patterns."""

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for number, unit in enumerate(self.units):
            if not unit.is_library and not unit.is_dead:
                yield from self._secrets(number)
        for value, pattern in self.page.regexes.items():
            place = self.page.graph.where[value]
            if place >= 0 and _NESTED.search(pattern):
                at = place & 0xFFFFFFFF
                yield Spot("redos", place >> 32, at, at + len(pattern.encode()), "Literal", at, confidence="medium")

    def _secrets(self, number: int) -> Iterator[Spot]:
        tree = self.units[number].tree
        for match in _SECRET.finditer(tree.source):
            node = tree.at(match.start(), match.end())
            if node is not None and node.type in _TEXTS:
                start, end = node.start_byte, node.end_byte
                yield Spot("hardcoded-secret", number, start, end, "Literal", match.start(), confidence="high")
