"""Turn a processor's write into bytes for a graph store. Pure: no network, no credentials, same write, same bytes.

All text that is built here is ASCII: Tomcat, which carries GraphDB and RDF4J, reads bodies as ISO-8859-1 unless it is
told better, and stores `Ã©` for `é` with status 204.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any, Final, TypeVar

import pyoxigraph as ox

from bullpen_processors.api import Quads, RdfGraph, Resource, UnusableInputError, UpdateText
from bullpen_runner.graph_deletes import delete_resources
from bullpen_runner.graph_write import RESULTS, Part, PreparedWrite

CHUNK_TRIPLES: Final = 20_000
"""Triples of one part. Below 1,000 the commit dominates, above 20,000 only memory grows (measured)."""

_Item = TypeVar("_Item")


class UnwritableError(UnusableInputError):
    """The results hold a term that no store may be sent; one sentence, and no repeat can help."""


def prepare(write: Quads | UpdateText | RdfGraph) -> PreparedWrite:
    """Serialise *write*; update text stays exactly as it is.

    Raises:
        UnwritableError: a blank node (each repeat would add it again), a lone surrogate, a wrong IRI.
        TypeError: it is none of these.
    """
    if isinstance(write, UpdateText):
        return PreparedWrite(text=_utf8(write.text))
    if isinstance(write, Quads):
        findings = dict.fromkeys(map(_named, write.findings))
        replaces = {named: None for named in map(_named, write.replaces) if named not in findings}
        kept = [to_ascii(_node(iri)).decode() for iri in write.adds]
        deletes = [*_deletes(replaces, linked=False), *_deletes(findings, linked=True, kept=kept)]
        return PreparedWrite(tuple(deletes), tuple(_parts(write.quads)), tuple(findings))
    return PreparedWrite(parts=tuple(_parts(rdflib_quads(write), default=RESULTS)), results=True)


def rdflib_quads(graph: object) -> list[ox.Quad]:
    """Return the quads of an rdflib Graph or Dataset; what has no IRI for a graph is in the default graph.

    Raises UnwritableError, or TypeError for what is no such thing. rdflib is not imported here: who has one of its
    graphs, has it.
    """
    rdflib: Any = sys.modules.get("rdflib")
    if rdflib is None or not isinstance(graph, rdflib.Graph):
        raise TypeError(f"the processor's write is a {type(graph).__name__}, not Quads, UpdateText or an rdflib Graph")
    from bullpen_runner.graph_rdflib import quads_of  # noqa: PLC0415 - most processors don't use rdflib

    try:
        return list(quads_of(graph))
    except ValueError as error:
        raise UnwritableError(f"the results hold a term that is no RDF: {error}"[:300]) from error


def to_ascii(text: str) -> bytes:
    """Write what is not ASCII as `\\u00E9` or `\\U0001F600`, which SPARQL and N-Triples read anywhere."""
    return text.encode("ascii", errors="bullpen-codepoint")


def _deletes(named: Iterable[tuple[str, str]], *, linked: bool, kept: Sequence[str] = ()) -> Iterator[bytes]:
    by_graph: dict[str, list[str]] = {}
    for graph, root in named:
        by_graph.setdefault(graph, []).append(root)
    for graph, roots in by_graph.items():
        yield from map(str.encode, delete_resources(graph, roots, linked=linked, kept=kept))


def _parts(quads: Sequence[ox.Quad], default: str = "") -> Iterator[Part]:
    """Serialise by graph; *default* stands for the default graph."""
    graphs: dict[ox.NamedNode | ox.BlankNode | ox.DefaultGraph, list[ox.Triple]] = {}
    for quad in quads:
        _refuse_blank_nodes(quad)
        graphs.setdefault(quad.graph_name, []).append(quad.triple)
    for graph, triples in graphs.items():
        name = default if isinstance(graph, ox.DefaultGraph) else to_ascii(str(graph)).decode()
        for chunk in _chunks(triples, CHUNK_TRIPLES):
            yield Part(name, _n_triples(chunk))


def _n_triples(triples: list[ox.Triple]) -> bytes:
    output = BytesIO()
    ox.serialize(triples, output, ox.RdfFormat.N_TRIPLES)
    return to_ascii(output.getvalue().decode())


def _refuse_blank_nodes(quad: ox.Quad) -> None:
    for term in quad:
        if isinstance(term, ox.BlankNode | ox.Triple):
            kind = "a blank node" if isinstance(term, ox.BlankNode) else "a triple as a term"
            raise UnwritableError(
                f"the results hold {kind} (beside {str(quad.subject)[:120]}), which a repeated write would add again;"
                " name every node by an IRI"
            )


def _named(resource: Resource) -> tuple[str, str]:
    """Render graph and IRI in ASCII."""
    graph, root = (to_ascii(_node(iri)).decode() for iri in (resource.graph, resource.iri))
    return graph, root


def _node(iri: str) -> str:
    try:
        return str(ox.NamedNode(iri))
    except ValueError as error:
        raise UnwritableError(f"the results replace a resource whose IRI is wrong ({error})"[:300]) from error


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnwritableError("the update text holds a lone surrogate, which no encoding carries") from error


def _codepoint(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    codes = (ord(character) for character in error.object[error.start : error.end])
    return "".join(f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}" for code in codes), error.end


codecs.register_error("bullpen-codepoint", _codepoint)
