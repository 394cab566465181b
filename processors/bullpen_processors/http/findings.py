"""A finding of `http-resolver`: as the job's value has it, and as triples. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Json
from bullpen_processors.http.evidence import Evidence, Hit
from bullpen_processors.http.exchange import Exchange
from bullpen_processors.http.rule import Rule
from bullpen_processors.ontoweb.findings import Finding
from bullpen_processors.ontoweb.iris import request_iri
from bullpen_processors.ontoweb.javascript import is_number, member, number_text
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import XSD_INT, Ontology, Vocabulary

RESOLVER: Final = "HttpResolverInstance"
_IRI_NAME: Final[Mapping[str, str]] = {"params": "iri", "headers": "iri", "cookies": "headerIri"}
"""Sort of hit -> how the context of a finding calls the IRI of one."""
_LITERALS: Final = ("pattern", "rawQuery", "snippet")


@dataclass(frozen=True, slots=True)
class HttpFinding:
    """What a rule found in an exchange."""

    rule: Rule
    evidence: Evidence
    exchange: Exchange
    position: int
    """Among all findings of the job: names those of requests without id and URL."""

    @property
    def description(self) -> str:
        """What people read."""
        return f"{self.rule.description} {self.evidence.note}".rstrip()

    @property
    def request(self) -> str | None:
        """IRI of the request; None for an exchange without id, which has no node (I3)."""
        return None if self.exchange.id is None else request_iri(self.exchange.id)

    def finding(self) -> Finding:
        """Return it as findings of all analysers are."""
        target = self.exchange.id if self.exchange.id is not None else self.exchange.uri.full
        return Finding(
            key=f"http:{self.rule.id}:{f'idx-{self.position}' if target is None else target}",
            kinds=("HttpFinding",),
            resolver=RESOLVER,
            rule_id=self.rule.id,
            severity=self.rule.severity,
            description=self.description,
            category=self.rule.category,
            owasp=self.rule.owasp,
            vulnerability=self.rule.vulnerability,
        )

    def as_json(self, default_graph: str) -> Json:
        """Return it as clients of the job's value read it: what the producer gave is repeated as it came."""
        given, rule = self.exchange.given, self.rule
        graph = member(given, "graph") if self.exchange.graph is not None else default_graph
        finding: dict[str, Json] = {
            "ruleId": rule.id,
            "severity": rule.severity,
            "description": self.description,
            "category": rule.category,
            "owasp": rule.owasp,
            **_given(member(given, "uri"), "full", "url"),
            **_given(given, "method", "method"),
            **_given(member(given, "response"), "status", "responseStatus"),
            "requestId": member(given, "id") if self.exchange.id is not None else None,
            "graph": graph,
            "resolver": RESOLVER,
        }
        evidence = self.evidence
        shown = {name: [dict(hit.shown) for hit in hits] for name, hits in evidence.hits().items()}
        context = self._context(finding["requestId"], graph)
        return {**finding, "httpContext": context, "evidence": {"kind": evidence.kind, **shown, **evidence.facts}}

    def _context(self, request_id: Json, graph: Json) -> Json:
        context: dict[str, Json] = {"requestId": request_id, "graph": graph}
        request = self.request
        if request is None:
            return context
        context |= {"requestIri": request, "uriIri": f"{request}:uri"}
        if self.exchange.response is not None:
            context["responseIri"] = f"{request}:res"
        for name, hits in self.evidence.hits().items():
            context[name] = [{**hit.shown, _IRI_NAME[name]: f"{request}:{hit.node}"} for hit in hits]
        return context

    def triples(self, vocabulary: Vocabulary) -> Iterator[Triple]:
        """Yield the triples of the finding and of what it says about the request."""
        finding, ex = self.finding(), vocabulary.ex
        node = ox.NamedNode(finding.iri)
        yield from finding.triples(ex)
        for name, value in self._literals():
            if value is not None:
                yield node, ex[name], literal(value)
        status = member(member(self.exchange.given, "response"), "status")
        if is_number(status):
            yield node, ex["responseStatus"], literal(number_text(status), XSD_INT)
        if self.request is not None:
            yield from self._places(node, ox.NamedNode(self.request), ex)

    def _literals(self) -> Iterator[tuple[str, str | None]]:
        """Yield what is said of the finding itself, as property and text; None: nothing.

        A URL or method that is an empty list is there, and its text is empty.
        """
        facts, method = self.evidence.facts, self.exchange.method
        yield "requestUrl", self.exchange.uri.full
        yield "httpMethod", None if method is None else method.upper()
        yield "evidenceKind", self.evidence.kind
        yield from ((name, facts[name] or None) for name in _LITERALS if name in facts)
        yield from (("insecureResource", resource) for resource in facts.get("insecureResources", ()))
        for hit in self.evidence.cookies or ():
            yield "cookieName", hit.shown["name"] or None
            yield "cookieDomain", hit.shown["attributes"]["domain"] or None

    def _places(self, node: ox.NamedNode, request: ox.NamedNode, ex: Ontology) -> Iterator[Triple]:
        """Link the finding with the nodes of the request that it is about."""
        uri = ox.NamedNode(f"{request.value}:uri")
        yield node, ex["httpFindingOfRequest"], request
        yield request, ex["hasHttpFinding"], node
        yield node, ex["relatedToHTTP"], request
        yield node, ex["relatedToHTTP"], uri
        if self.exchange.response is not None:
            yield node, ex["relatedToHTTP"], ox.NamedNode(f"{request.value}:res")
        for hit in (hit for hits in self.evidence.hits().values() for hit in hits):
            yield node, ex["relatedToHTTP"], ox.NamedNode(f"{request.value}:{hit.node}")
        for hit in self.evidence.params or ():
            if hit.shown["name"]:
                yield _node(request, hit), ex["nameParameter"], literal(hit.shown["name"])
        if path := self.evidence.facts.get("path"):
            yield uri, ex["path"], literal(path)


def _node(request: ox.NamedNode, hit: Hit) -> ox.NamedNode:
    return ox.NamedNode(f"{request.value}:{hit.node}")


def _given(owner: Json, name: str, key: str) -> dict[str, Json]:
    """Repeat a property under another name, where there is one at all."""
    return {key: owner[name]} if isinstance(owner, dict) and name in owner else {}
