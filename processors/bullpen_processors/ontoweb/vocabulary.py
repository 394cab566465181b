"""Names of OntoWeb-PT's ontology and graphs, as the settings of a job type give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Json, SettingsError

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

TYPE: Final = ox.NamedNode(RDF + "type")
LABEL: Final = ox.NamedNode(RDFS + "label")
SEE_ALSO: Final = ox.NamedNode(RDFS + "seeAlso")
XML_LITERAL: Final = ox.NamedNode(RDF + "XMLLiteral")
XSD_INT: Final = ox.NamedNode(XSD + "int")

DEFAULTS: Final[Mapping[str, str]] = {
    "ontEx": "http://localhost/onto/ontowebpt",
    "ontContent": "http://www.w3.org/2008/content",
    "httpRequestsNameGraph": "http://localhost/graphs/http-requests",
    "findingsNameGraph": "http://localhost/graphs/findings",
}
"""Setting -> default. They are ONT_EX, ONT_CONTENT, HTTP_REQUESTS_NAME_GRAPH, FINDINGS_NAME_GRAPH of the original."""


class Ontology:
    """A namespace: `ontology["Request"]` is its term of that name, made once."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._terms: dict[str, ox.NamedNode] = {}

    def __getitem__(self, name: str) -> ox.NamedNode:
        """Return the term; raises ValueError for a name that makes no IRI."""
        term = self._terms.get(name)
        if term is None:
            term = self._terms[name] = ox.NamedNode(self.namespace + name)
        return term


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The namespaces and the two graphs; they must be the ones that OntoWeb-PT's API server was given."""

    ex: Ontology
    content: Ontology
    http_graph: ox.NamedNode
    findings_graph: ox.NamedNode

    @classmethod
    def from_settings(cls, settings: Mapping[str, Json]) -> Vocabulary:
        """Read the settings, an empty or missing one being its default; raises SettingsError."""
        return cls(
            ex=Ontology(_iri(settings, "ontEx", "#").value),
            content=Ontology(_iri(settings, "ontContent", "#").value),
            http_graph=_iri(settings, "httpRequestsNameGraph"),
            findings_graph=_iri(settings, "findingsNameGraph"),
        )


def _iri(settings: Mapping[str, Json], name: str, end: str = "") -> ox.NamedNode:
    value = settings.get(name) or DEFAULTS[name]
    try:
        return ox.NamedNode(value + end)
    except (TypeError, ValueError):
        raise SettingsError(f"setting {name}: expected an absolute IRI such as {DEFAULTS[name]}") from None
