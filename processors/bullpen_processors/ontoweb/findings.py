"""A finding as triples: what findings of every analyser have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import pyoxigraph as ox

from bullpen_processors.ontoweb.javascript import encode_component
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import LABEL, TYPE, Ontology
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

Resolver: TypeAlias = Literal["HttpResolverInstance", "AnalyzerResolverInstance", "TechstackResolverInstance"]

SEVERITIES: Final = frozenset({"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a person is told; the analyser adds triples about where it was found."""

    key: str
    """`<source>:<rule>:<target>`: the same place analysed again is the same finding."""
    kinds: tuple[str, ...]
    """Classes besides Finding, by local name: lists of the API match those that are written only."""
    resolver: Resolver
    rule_id: str
    severity: str
    description: str
    category: str
    owasp: str | None = None
    remediation: str | None = None
    vulnerability: Vulnerability | None = Vulnerability.UNKNOWN
    """None: the analyser itself says what it is about."""

    @property
    def iri(self) -> str:
        """`urn:finding:` and the key as one encoded segment: the API decodes it and encodes it again."""
        return f"urn:finding:{encode_component(self.key)}"

    def triples(self, ex: Ontology) -> Iterator[Triple]:
        """Yield the triples that every finding has."""
        node = ox.NamedNode(self.iri)
        for kind in ("Finding", *self.kinds):
            yield node, TYPE, ex[kind]
        yield node, LABEL, literal(self.description)
        for name, value in self._literals():
            if value:
                yield node, ex[name], literal(value)
        yield node, ex["detectedByResolver"], ex[self.resolver]
        if self.vulnerability is None:
            return
        vulnerability = ex[self.vulnerability.value]
        yield node, ex["aboutVulnerabilityType"], vulnerability
        if self.vulnerability is Vulnerability.UNKNOWN:
            yield vulnerability, TYPE, ex["Vulnerabilities"]

    def _literals(self) -> Iterator[tuple[str, str | None]]:
        severity = self.severity.upper()
        yield "findingDescription", self.description
        yield "findingCategory", self.category
        yield "owaspCategory", self.owasp
        yield "findingRuleId", self.rule_id
        yield "severity", severity if severity in SEVERITIES else "UNKNOWN"
        yield "remediation", self.remediation
