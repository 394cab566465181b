"""Findings about software: a CVE of a technology or of a firewall. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import number_text
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import LABEL, TYPE, XSD, Ontology
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability
from bullpen_processors.techstack.cpe import Criterion
from bullpen_processors.techstack.findings import TechstackFinding, local
from bullpen_processors.techstack.issues import Issue
from bullpen_processors.techstack.matching import HIGH, Asked, Match

CPES: Final = 20
"""CPEs that a finding shows: those that it is about come first."""
_FLOAT: Final = ox.NamedNode(XSD + "float")
_UNSAFE: Final = re.compile(r"([^a-z0-9_])")


@dataclass(frozen=True, slots=True)
class _Called:
    """How the two kinds of software are called."""

    kind: str
    type: str
    category: str
    prefix: str


_TECHNOLOGY: Final = _Called("TechnologyCVE", "Technology", "TechnologyVulnerability", "tech")
_WAF: Final = _Called("WafCVE", "WAF", "WafVulnerability", "waf")


class SoftwareFinding(TechstackFinding):
    """A CVE of a technology or firewall."""

    classes = ("SoftwareFinding",)

    def __init__(self, asked: Asked, match: Match, main_domain: Json) -> None:
        called = _WAF if asked.is_waf else _TECHNOLOGY
        self.kind, self._type = called.kind, called.type
        self._asked, self._match = asked, match
        scope = asked.name if asked.is_waf else f"{asked.name}:{asked.version}"
        message = _message(called.type, asked, match)
        issue = Issue("nvd_cve_match", match.record.severity, called.category, message, "")
        super().__init__(f"{called.prefix}:{scope}:{match.record.id}", issue, main_domain)

    @property
    def cpes(self) -> list[str]:
        """What is vulnerable, says the record; what only carries it is not among them."""
        return list(dict.fromkeys(one.text for one in self._criteria))[:CPES]

    @property
    def _criteria(self) -> list[Criterion]:
        return [*self._match.criteria, *(one for one in self._match.record.criteria if one.vulnerable)]

    @property
    def evidence(self) -> dict[str, Json]:
        """Name, version and CPEs; what of the record matched, with its range."""
        version = {} if self._asked.is_waf and self._asked.version is None else {"version": self._asked.version}
        matched = [str(one) for one in self._match.criteria[:CPES]]
        return {"type": self._type, "name": self._asked.name, **version, "cpe": self.cpes, "matched": matched}

    def as_json(self) -> dict[str, Json]:
        """Add the score, and how sure it is."""
        return super().as_json() | {"score": self._match.record.score, "confidence": self._match.confidence}

    @property
    def vulnerability(self) -> Vulnerability | None:
        """The CVE itself, where it has an id."""
        return None if self._match.record.cve_id else Vulnerability.UNKNOWN

    def shared(self, ex: Ontology, /) -> Iterator[ox.NamedNode]:
        """Yield the CVE: a score that changed replaces the old one."""
        if self._match.record.cve_id is not None:
            yield _cve(ex, self._match.record.cve_id)

    def places(self, node: ox.NamedNode, ex: Ontology) -> Iterator[Triple]:
        """Yield the software, its CVE and the CPEs that have it."""
        record = self._match.record
        yield node, ex["technologyName"], literal(self._asked.name)
        if self._asked.version is not None:
            yield node, ex["technologyVersion"], literal(self._asked.version)
        yield node, ex["confidence"], literal(self._match.confidence)
        for cpe in self.cpes:
            yield node, ex["cpe"], literal(cpe)
        if record.cve_id is None:
            return
        cve = _cve(ex, record.cve_id)
        yield node, ex["aboutVulnerabilityType"], cve
        yield cve, TYPE, ex["CVE"]
        yield cve, ex["cveId"], literal(record.cve_id)
        if record.score is not None:
            yield cve, ex["cvssScore"], literal(number_text(record.score), _FLOAT)
        if record.severity != "UNKNOWN":
            yield cve, ex["cvssSeverity"], literal(record.severity)
        for cpe in self._having():
            platform = ex[f"CPE_{local(cpe)}"]
            yield platform, TYPE, ex["CPE"]
            yield platform, LABEL, literal(cpe)
            yield platform, ex["platformHasVulnerability"], cve

    def _having(self) -> list[str]:
        """Return the CPEs that have the CVE. Of a range it is the version that was found: not all have it."""
        found = (one.text if one.names_one or not one.bounds else self._concrete(one) for one in self._criteria)
        return list(dict.fromkeys(cpe for cpe in found if cpe is not None))[:CPES]

    def _concrete(self, ranged: Criterion) -> str | None:
        if self._asked.version is None or ranged not in self._match.criteria:
            return None
        version = _UNSAFE.sub(r"\\\1", self._asked.version.lower())
        return ":".join([ranged.head, version, *["*"] * 7])


def _cve(ex: Ontology, cve_id: str) -> ox.NamedNode:
    return ex[f"CVE_{local(cve_id)}"]


def _message(kind: str, asked: Asked, match: Match) -> str:
    record = match.record
    score = "no score" if record.score is None else f"score {number_text(record.score)}"
    called = f"{kind} {asked.name}{f' {asked.version}' if asked.version is not None else ', version not known,'}"
    sure = "has" if match.confidence == HIGH else "may have"
    return f"{called} {sure} the known vulnerability {record.id} ({record.severity}, {score})."
