"""A finding of `techstack-analyze`: as the job's value has it, and as triples. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.findings import Finding
from bullpen_processors.ontoweb.javascript import text, truthy
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import Ontology
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability
from bullpen_processors.techstack.issues import Issue

ADDS: Final = ("mainDomain", "headerUrl")
"""Ids carry no site (I17): the values of all sites stay, only the rest of a finding is replaced."""

_OTHERS: Final = re.compile(r"[^a-z0-9]+")


def local(name: str) -> str:
    """Return the end of the IRI of a node that findings share."""
    return _OTHERS.sub("_", name.lower()).strip("_") or "unknown"


class TechstackFinding(ABC):
    """What all kinds have in common."""

    kind: str
    classes: tuple[str, ...]

    def __init__(self, key: str, issue: Issue, main_domain: Json) -> None:
        self.key = key
        self.issue = issue
        self.main_domain = main_domain if truthy(main_domain) else None

    @property
    @abstractmethod
    def evidence(self) -> dict[str, Json]:
        """What clients are shown."""

    @abstractmethod
    def places(self, node: ox.NamedNode, ex: Ontology) -> Iterator[Triple]:
        """Yield what is said of the thing that the finding is about."""

    def shared(self, _ex: Ontology, /) -> Iterator[ox.NamedNode]:
        """Yield the nodes that others may link, and whose own triples this finding says anew."""
        return iter(())

    @property
    def vulnerability(self) -> Vulnerability | None:
        """What kind it is: no rule of this analyser knows one."""
        return Vulnerability.UNKNOWN

    @property
    def finding(self) -> Finding:
        """Return it as findings of all analysers are."""
        issue = self.issue
        return Finding(
            key=self.key,
            kinds=("TechstackFinding", *self.classes),
            resolver="TechstackResolverInstance",
            rule_id=issue.rule,
            severity=issue.severity,
            description=issue.description,
            category=issue.category,
            remediation=issue.remediation or None,
            vulnerability=self.vulnerability,
        )

    def as_json(self) -> dict[str, Json]:
        """Return it as clients of the job's value read it."""
        issue = self.issue
        found = {
            "id": self.key, "source": "techstack", "kind": self.kind, "rule": issue.rule, "severity": issue.severity,
            "category": issue.category, "message": issue.description, "evidence": self.evidence,
            "mainDomain": self.main_domain,
        }  # fmt: skip
        return found | ({"remediation": issue.remediation} if issue.remediation else {})

    def triples(self, ex: Ontology) -> Iterator[Triple]:
        """Yield the triples of the finding and of what it is about."""
        finding = self.finding
        node = ox.NamedNode(finding.iri)
        yield from finding.triples(ex)
        if self.main_domain is not None:
            yield node, ex["mainDomain"], literal(text(self.main_domain))
        yield node, ex["evidenceType"], literal(self.evidence["type"])
        yield from self.places(node, ex)
