"""A write as bytes, and the order in which its pieces go to a store: results first, what says so about them last. Pure.

Whole      all or nothing: one SPARQL update, or one transaction
chunks     for a large write where there are no transactions: until the last one, nothing names what was found
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bullpen_protocol.provenance import AttemptRecord
from bullpen_runner.graph_deletes import forget

ONE_BODY_BYTES: Final = 8_000_000
"""Above this a write goes in parts: a body costs a store 5 to 10 times its size."""

BLOCK_OPERATIONS: Final = 1_000
"""Operations of one update: RDF4J reads `a ; b ; c` by recursion and runs out of stack between 4,000 and 6,000."""

RESULTS: Final = "results"
"""In the place of a graph: the job's own graph of results, `<job>:results`, whose IRI only the supervisor knows."""

FINDING_BYTES: Final = 500
"""About what the links of one finding take."""


@dataclass(frozen=True, slots=True)
class Part:
    """Triples for one graph: N-Triples lines in ASCII, which are valid inside SPARQL's INSERT DATA as well."""

    graph: str
    """`<iri>` in ASCII, or RESULTS; empty for the default graph."""
    triples: bytes

    def n_quads(self) -> bytes:
        """Return the triples with their graph on every line."""
        # a line break inside a literal is written \\n, so this can only be the end of a triple
        return self.triples.replace(b" .\n", b" %b .\n" % self.graph.encode()) if self.graph else self.triples


@dataclass(frozen=True, slots=True)
class Whole:
    """SPARQL to run first, then parts to add, then SPARQL to run last; all in one transaction."""

    first: tuple[bytes, ...] = ()
    parts: tuple[Part, ...] = ()
    last: tuple[bytes, ...] = ()

    def one_body(self) -> bytes:
        """Return it as one SPARQL update, which every store runs all or nothing."""
        return b" ;\n".join(filter(None, (*self.first, _insert_data(self.parts), *self.last)))


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """What a processor wants written. `deletes` are operations that run before every part is added."""

    deletes: tuple[bytes, ...] = ()
    parts: tuple[Part, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    """Graph and finding, each as `<iri>` in ASCII."""
    results: bool = False
    """RESULTS is replaced whole."""
    text: bytes | None = None
    """Update text that is sent as it is; then there is nothing else."""

    @property
    def size(self) -> int:
        """Bytes that a store will be sent, but for a few per part."""
        return sum(map(len, self._pieces())) + FINDING_BYTES * len(self.findings)

    @property
    def is_large(self) -> bool:
        """Whether one body may be too much; update text that came as one stays one."""
        return self.text is None and (self.size > ONE_BODY_BYTES or len(self.deletes) > BLOCK_OPERATIONS)

    def whole(self, about: AttemptRecord | None = None) -> Whole:
        """Return it with what is said *about* the attempt; update text stays alone."""
        if self.text is not None:
            return Whole((self.text,))
        if about is None:
            return Whole(_blocks(self.deletes), self.parts)
        job = f"<{about.job}>"
        first = [*map(str.encode, forget(job)), f"CLEAR SILENT GRAPH {job}".encode(), *self._cleared(about)]
        links = Part(job, self._links(about))
        return Whole(
            _blocks([*first, *self.deletes]), (*self._placed(about), links), (about.insert_once().encode("ascii"),)
        )

    def chunks(self, about: AttemptRecord | None = None) -> Iterator[bytes]:
        """Yield updates to be sent one after the other; what is said *about* the attempt is in the last one."""
        yield from _blocks([*self._cleared(about), *self.deletes])
        for part in self._placed(about):
            yield _insert_data([part])
        if about is not None:
            yield self._said_last(about)

    def to_bytes(self) -> bytes:
        """Pack for a pipe: a line of JSON with the lengths, then the bytes. Safer to read than a pickle."""
        header = {
            "deletes": [len(delete) for delete in self.deletes],
            "parts": [[part.graph, len(part.triples)] for part in self.parts],
            "findings": self.findings,
            "results": self.results,
            "text": self.text is not None,
        }
        return b"".join([json.dumps(header).encode(), b"\n", *self._pieces()])

    @classmethod
    def from_bytes(cls, packed: bytes) -> PreparedWrite:
        """Unpack what `to_bytes` packed; raises ValueError for anything else."""
        head, _, rest = packed.partition(b"\n")
        try:
            header = json.loads(head)
            if header["text"] is True:
                return cls(text=rest)
            graphs = [str(graph) for graph, _ in header["parts"]]
            findings = tuple((str(graph), str(finding)) for graph, finding in header["findings"])
            lengths = [int(length) for length in (*header["deletes"], *(length for _, length in header["parts"]))]
            results = bool(header["results"])
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError("not a packed write") from error
        if min(lengths, default=0) < 0 or sum(lengths) != len(rest):
            raise ValueError("not a packed write: the lengths do not add up")
        pieces = _split(rest, lengths)
        deletes = tuple(islice(pieces, len(lengths) - len(graphs)))
        return cls(deletes, tuple(map(Part, graphs, pieces)), findings, results)

    def _pieces(self) -> Iterator[bytes]:
        if self.text is not None:
            yield self.text
        yield from self.deletes
        yield from (part.triples for part in self.parts)

    def _links(self, about: AttemptRecord) -> bytes:
        links = (about.finding_links(finding, graph) for graph, finding in self.findings)
        return "".join([about.link(), *links]).encode("ascii")

    def _cleared(self, about: AttemptRecord | None) -> list[bytes]:
        return [f"CLEAR SILENT GRAPH {_results_of(about)}".encode()] if about and self.results else []

    def _placed(self, about: AttemptRecord | None) -> tuple[Part, ...]:
        """Put the real graph in the place of RESULTS."""
        if about is None or not self.results:
            return self.parts
        own = _results_of(about)
        return tuple(Part(own, part.triples) if part.graph == RESULTS else part for part in self.parts)

    def _said_last(self, about: AttemptRecord) -> bytes:
        """Return the update that makes the results known: the new links replace the old ones, and their findings."""
        job, new = f"<{about.job}>", f"<{about.job}:new>"
        links = _insert_data([Part(new, self._links(about))])
        moved = [*map(str.encode, forget(job, kept=new)), f"MOVE SILENT GRAPH {new} TO {job}".encode()]
        return b" ;\n".join([links, *moved, about.insert_once().encode("ascii")])


def _results_of(about: AttemptRecord) -> str:
    return f"<{about.job}:results>"


def _blocks(operations: Sequence[bytes]) -> tuple[bytes, ...]:
    starts = range(0, len(operations), BLOCK_OPERATIONS)
    return tuple(b" ;\n".join(operations[start : start + BLOCK_OPERATIONS]) for start in starts)


def _insert_data(parts: Sequence[Part]) -> bytes:
    if not parts:
        return b""
    blocks = [
        b"GRAPH %s {\n%s}" % (part.graph.encode(), part.triples) if part.graph else part.triples for part in parts
    ]
    return b"INSERT DATA {\n" + b"\n".join(blocks) + b"\n}"


def _split(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length
