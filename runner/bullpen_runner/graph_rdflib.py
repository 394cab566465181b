"""Quads of what a processor built with rdflib. Imported only where rdflib is imported already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyoxigraph as ox
import rdflib
from rdflib.graph import DATASET_DEFAULT_GRAPH_ID, ConjunctiveGraph, Graph
from rdflib.term import BNode, Literal, URIRef


def quads_of(graph: Graph) -> Iterator[ox.Quad]:
    """Yield every quad, terms checked by pyoxigraph; raises ValueError for a term that is none."""
    if not isinstance(graph, ConjunctiveGraph):
        yield from _triples(graph, _graph_name(graph))
        return
    for context in graph.contexts():
        own = context.identifier == graph.default_context.identifier
        yield from _triples(context, ox.DefaultGraph() if own else _graph_name(context, named=True))


def _triples(graph: Graph, name: Any) -> Iterator[ox.Quad]:
    for subject, predicate, value in graph:
        yield ox.Quad(_term(subject), _term(predicate), _term(value), name)


def _graph_name(graph: Graph, *, named: bool = False) -> ox.NamedNode | ox.BlankNode | ox.DefaultGraph:
    """Return where the triples of *graph* go: a graph of its own has a blank node for a name unless it is given one."""
    identifier = graph.identifier
    if identifier == DATASET_DEFAULT_GRAPH_ID or (isinstance(identifier, BNode) and not named):
        return ox.DefaultGraph()
    return _term(identifier)  # type: ignore[no-any-return] # an IRI, or a blank node that is refused later


def _term(term: rdflib.term.Node) -> Any:
    if isinstance(term, URIRef):
        return ox.NamedNode(str(term))
    if isinstance(term, BNode):
        return ox.BlankNode()
    if isinstance(term, Literal):
        return _literal(term)
    raise ValueError(f"a {type(term).__name__}")


def _literal(literal: Literal) -> ox.Literal:
    if literal.language:
        return ox.Literal(str(literal), language=literal.language)
    return ox.Literal(str(literal), datatype=ox.NamedNode(str(literal.datatype)) if literal.datatype else None)
