"""IRIs of OntoWeb-PT's resources. Text from outside becomes part of an IRI only percent-encoded."""

from __future__ import annotations

import pyoxigraph as ox

from bullpen_processors.ontoweb.javascript import encode_component
from bullpen_processors.ontoweb.vocabulary import Ontology


def request_iri(request_id: str) -> str:
    """Return `urn:req:<id>`; the resources of the request are named below it, after a colon (no id holds one)."""
    return f"urn:req:{encode_component(request_id)}"


def named_graph(name: str) -> ox.NamedNode | None:
    """Return the graph that an exchange asks for, or None when the name is no absolute IRI (I18)."""
    try:
        return ox.NamedNode(name)
    except ValueError:
        return None


def method_term(ontology: Ontology, method: str) -> ox.NamedNode:
    """Return the individual of an HTTP method. One that makes no IRI is percent-encoded: it can't break out (I18)."""
    name = method.upper()
    try:
        return ox.NamedNode(ontology.namespace + name)
    except ValueError:
        return ox.NamedNode(ontology.namespace + encode_component(name))
