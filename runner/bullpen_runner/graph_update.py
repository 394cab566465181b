"""Turn a processor's write into bytes for a graph store. Pure: no network, no credentials, same write, same bytes.

All text that is built here is ASCII: Tomcat, which carries GraphDB and RDF4J, reads bodies as ISO-8859-1 unless it is
told better, and stores `Ã©` for `é` with status 204.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, pairwise
from typing import Final, TypeVar

import pyoxigraph as ox

from bullpen_processors.api import Quads, Resource, UnusableInputError, UpdateText

CHUNK_TRIPLES: Final = 20_000
"""Triples of one part. Below 1,000 the commit dominates, above 20,000 only memory grows (measured)."""

BLOCK_DELETES: Final = 1_000
"""Operations of one update: RDF4J reads `a ; b ; c` by recursion and runs out of stack between 4,000 and 6,000."""

WALK_DEPTH: Final = 3
"""Links from a Resource to the deepest subject that it owns: request -> response -> header is 2."""


_Item = TypeVar("_Item")


class UnwritableError(UnusableInputError):
    """The results hold a term that no store may be sent; one sentence, and no repeat can help."""


@dataclass(frozen=True, slots=True)
class Part:
    """Triples for one graph: N-Triples lines in ASCII, which are valid inside SPARQL's INSERT DATA as well."""

    graph: str
    """`<iri>` in ASCII; empty for the default graph."""
    triples: bytes

    def n_quads(self) -> bytes:
        """Return the triples with their graph on every line."""
        # a line break inside a literal is written \\n, so this can only be the end of a triple
        return self.triples.replace(b" .\n", b" %b .\n" % self.graph.encode()) if self.graph else self.triples


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """A write as bytes: `updates` are SPARQL to run first, then every part is added, all in one transaction."""

    updates: tuple[bytes, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that a store will be sent, but for a few per part."""
        return sum(map(len, self._pieces()))

    def one_body(self) -> bytes:
        """Return the whole write as one SPARQL update, which every store runs all or nothing."""
        return b" ;\n".join(filter(None, (*self.updates, _insert_data(self.parts))))

    def to_bytes(self) -> bytes:
        """Pack for a pipe: a line of JSON with the lengths, then the bytes. Safer to read than a pickle."""
        header = [[len(update) for update in self.updates], [[part.graph, len(part.triples)] for part in self.parts]]
        return b"".join([json.dumps(header).encode(), b"\n", *self._pieces()])

    @classmethod
    def from_bytes(cls, packed: bytes) -> PreparedWrite:
        """Unpack what `to_bytes` packed; raises ValueError for anything else."""
        header, _, rest = packed.partition(b"\n")
        try:
            updates, parts = json.loads(header)
            graphs = [str(graph) for graph, _ in parts]
            lengths = [int(length) for length in (*updates, *(length for _, length in parts))]
        except (TypeError, RecursionError) as error:
            raise ValueError("not a packed write") from error
        if min(lengths, default=0) < 0 or sum(lengths) != len(rest):
            raise ValueError("not a packed write: the lengths do not add up")
        pieces = _split(rest, lengths)
        return cls(tuple(islice(pieces, len(updates))), tuple(map(Part, graphs, pieces)))

    def _pieces(self) -> Iterator[bytes]:
        yield from self.updates
        yield from (part.triples for part in self.parts)


def prepare(write: Quads | UpdateText) -> PreparedWrite:
    """Serialise *write*; update text stays exactly as it is.

    Raises:
        UnwritableError: a blank node (each repeat would add it again), a lone surrogate, a wrong IRI.
    """
    if isinstance(write, UpdateText):
        return PreparedWrite((_utf8(write.text),))
    deletes = [to_ascii(delete_resource(resource)) for resource in dict.fromkeys((*write.replaces, *write.findings))]
    blocks = (b" ;\n".join(block) for block in _chunks(deletes, BLOCK_DELETES))
    return PreparedWrite(tuple(blocks), tuple(_parts(write.quads)))


def delete_resource(resource: Resource) -> str:
    """Return the update operation that deletes all triples of a resource's own subjects, and nothing else.

    It walks from constants along links, filtered at each step: ~1 ms on RDF4J and oxigraph beside 100,000 other
    triples. VALUES over many resources, or a filter on all subjects, makes RDF4J scan the graph (0.3-0.9 s).
    """
    root, graph = _node(resource.iri), _node(resource.graph)
    own = str(ox.Literal(resource.iri + ":"))
    branches = [f"{{ {root} ?p ?o . BIND({root} AS ?s) }}"]
    branches += [f"{{ {_walk(root, own, depth)} }}" for depth in range(1, WALK_DEPTH + 1)]
    where = " UNION ".join(branches)
    return f"DELETE {{ GRAPH {graph} {{ ?s ?p ?o }} }} WHERE {{ GRAPH {graph} {{ {where} }} }}"


def to_ascii(text: str) -> bytes:
    """Write what is not ASCII as `\\u00E9` or `\\U0001F600`, which SPARQL and N-Triples read anywhere."""
    return text.encode("ascii", errors="bullpen-codepoint")


def _walk(root: str, own: str, depth: int) -> str:
    nodes = [root, *(f"?n{step}" for step in range(1, depth)), "?s"]
    steps = [
        f"{start} ?p{step} {end} FILTER(STRSTARTS(STR({end}), {own}))"
        for step, (start, end) in enumerate(pairwise(nodes), 1)
    ]
    return " ".join([*steps, "?s ?p ?o"])


def _parts(quads: Sequence[ox.Quad]) -> Iterator[Part]:
    graphs: dict[ox.NamedNode | ox.BlankNode | ox.DefaultGraph, list[ox.Triple]] = {}
    for quad in quads:
        _refuse_blank_nodes(quad)
        graphs.setdefault(quad.graph_name, []).append(quad.triple)
    for graph, triples in graphs.items():
        name = "" if isinstance(graph, ox.DefaultGraph) else to_ascii(str(graph)).decode()
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


def _insert_data(parts: Sequence[Part]) -> bytes:
    if not parts:
        return b""
    blocks = [
        b"GRAPH %s {\n%s}" % (part.graph.encode(), part.triples) if part.graph else part.triples for part in parts
    ]
    return b"INSERT DATA {\n" + b"\n".join(blocks) + b"\n}"


def _node(iri: str) -> str:
    try:
        return str(ox.NamedNode(iri))
    except ValueError as error:
        raise UnwritableError(f"the results replace a resource whose IRI is wrong ({error})"[:300]) from error


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _split(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


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
