"""A finding of `sast-analyze`: as the job's value has it, and as triples. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyoxigraph as ox

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.findings import Finding
from bullpen_processors.ontoweb.javascript import encode_component, items, member, number_text, text, truthy
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import TYPE, XSD_INT, Ontology
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability
from bullpen_processors.sast.catalogue import Entry

RESOLVER: Final = "AnalyzerResolverInstance"
_SNIPPETS: Final = (("main", "snippet"), ("source", "sourceSnippet"), ("sink", "sinkSnippet"))


@dataclass(slots=True)
class SastFinding:
    """What a rule found in a page."""

    entry: Entry
    key: str
    """Names the finding: `<rule>:<file>:<place>@<page>`."""
    file: str
    location: Json
    line: int
    column: int
    page_url: str
    severity: str
    confidence: str
    kind: str
    cwe: int
    context: dict[str, Json]
    html_ref: dict[str, Json] | None
    vulnerability: Vulnerability = Vulnerability.UNKNOWN
    extra: dict[str, Any] = field(default_factory=dict)
    """`type`, `source`, `sink`, `path`, snippets and the like."""

    def finding(self) -> Finding:
        """Return it as findings of all analysers are."""
        return Finding(
            key=self.key,
            kinds=("AnalyzerFinding",),
            resolver=RESOLVER,
            rule_id=self.entry.id,
            severity=self.severity,
            description=self.entry.description,
            category=self.entry.category,
            owasp=self.entry.owasp,
            remediation=self.entry.remediation,
            vulnerability=self.vulnerability,
        )

    def as_json(self) -> Json:
        """Return it as clients of the job's value read it."""
        entry = self.entry
        return {
            "ruleId": entry.id,
            "description": entry.description,
            "severity": self.severity,
            "category": entry.category,
            "owasp": entry.owasp,
            "remediation": entry.remediation,
            "file": self.file,
            "location": self.location,
            "pageUrl": self.page_url,
            "contextVector": self.context,
            "htmlRef": self.html_ref,
            "findingId": self.key,
            "kind": self.kind,
            "confidence": self.confidence,
            "cwe": f"CWE-{self.cwe}",
            "line": self.line,
            "col": self.column,
            **self.extra,
        }

    def triples(self, ex: Ontology) -> Iterator[Triple]:
        """Yield the triples of the finding and of the markup that it is about."""
        finding = self.finding()
        node = ox.NamedNode(finding.iri)
        yield from finding.triples(ex)
        source = self.context.get("src")
        source = source if truthy(source) else self.page_url
        for name, value in self._literals(source):
            if truthy(value):
                yield node, ex[name], literal(text(value))
        index = self.context.get("index")
        if isinstance(index, int):
            yield node, ex["contextIndex"], literal(number_text(index), XSD_INT)
        if self.html_ref is not None:
            yield from _markup(
                node, self.html_ref, f"{text(source)}#{self.context['type']}#{0 if index is None else index}", ex
            )

    def _literals(self, source: Json) -> Iterator[tuple[str, Json]]:
        context, extra = self.context, self.extra
        yield "mainDomain", self.page_url
        yield "contextType", context["type"]
        yield "contextOrigin", context["origin"]
        yield "contextSrc", source
        yield "formAction", context.get("action")
        yield "formMethod", context.get("method")
        blocks = [f"{name}:\n{extra[key]}" for name, key in _SNIPPETS if extra.get(key)]
        yield "codeSnippet", "\n\n".join(blocks)
        yield "sourceName", extra.get("sourceName")
        yield "sinkName", extra.get("sinkName")
        yield "sourceFile", extra.get("sourceFile")


def _markup(node: ox.NamedNode, ref: Mapping[str, Json], place: str, ex: Ontology) -> Iterator[Triple]:
    key = f"{place}#{ref['tag']}"
    tag = ox.NamedNode(f"urn:html:tag:{encode_component(key)}")
    yield node, ex["relatedToHTML"], tag
    yield from _tag(tag, key, ref, ex)
    for index, given in enumerate(items(ref.get("fields"))):
        inner = f"{key}:child:{index}"
        child = ox.NamedNode(f"urn:html:tag:{encode_component(inner)}")
        yield tag, ex["tagHasChildTag"], child
        yield from _tag(child, inner, given, ex)


def _tag(tag: ox.NamedNode, key: str, ref: Mapping[str, Json], ex: Ontology) -> Iterator[Triple]:
    yield tag, TYPE, ex["Tag"]
    yield tag, TYPE, ex["HTML"]
    attributes = [(text(member(given, "name")), text(member(given, "value"))) for given in items(ref.get("attributes"))]
    shown = "".join(f' {name}="{value}"' for name, value in attributes)
    yield tag, ex["sourceLocation"], literal(f"<{ref['tag']}{shown}>")
    for index, (name, value) in enumerate(attributes):
        field_node = ox.NamedNode(f"urn:html:field:{encode_component(f'{key}:attr:{index}')}")
        yield tag, ex["tagHasProperties"], field_node
        yield field_node, TYPE, ex["Field"]
        yield field_node, TYPE, ex["HTML"]
        written = f'{name}="{value}"' if name and value else name or value
        yield field_node, ex["sourceLocation"], literal(written)
