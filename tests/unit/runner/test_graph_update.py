"""Serialising a write: pure, ASCII, and nothing that a repeat would add again."""

from __future__ import annotations

import json

import pyoxigraph as ox
import pytest

from bullpen_processors.api import Quads, Resource, UpdateText
from bullpen_protocol.provenance import AttemptOutcome, AttemptRecord
from bullpen_runner.graph_deletes import BLOCK_RESOURCES, delete_resources, forget
from bullpen_runner.graph_update import CHUNK_TRIPLES, UnwritableError, prepare
from bullpen_runner.graph_write import BLOCK_OPERATIONS, PreparedWrite

G = ox.NamedNode("urn:g")
A, P = ox.NamedNode("urn:a"), ox.NamedNode("urn:p")
RECORD = AttemptRecord("bull", "q", "1", "any", 1, "bullpen/test/uuid", AttemptOutcome.COMPLETED)


def test_a_write_is_one_update_of_deletes_and_inserts() -> None:
    quads = [ox.Quad(A, P, ox.Literal("1"), G), ox.Quad(A, P, A, ox.DefaultGraph()), ox.Quad(A, P, A, G)]
    resource = Resource("urn:g", "urn:a")
    data = (
        'INSERT DATA {\nGRAPH <urn:g> {\n<urn:a> <urn:p> "1" .\n<urn:a> <urn:p> <urn:a> .\n}\n'
        "<urn:a> <urn:p> <urn:a> .\n\n}"
    )
    for write, linked in (
        (Quads(quads, [resource, resource]), False),
        (Quads(quads, findings=[resource]), True),
        (Quads(quads, [resource], [resource]), True),
    ):
        operations = [*delete_resources("<urn:g>", ["<urn:a>"], linked=linked), data]
        assert prepare(write).whole().one_body().decode() == " ;\n".join(operations)


def test_every_delete_is_one_chain_from_constants_and_the_deepest_goes_first() -> None:
    below = 'FILTER(STRSTARTS(STR({}), CONCAT(STR(?root), ":")))'
    s, n1, n2 = (below.format(name) for name in ("?s", "?n1", "?n2"))
    head, both = "DELETE { GRAPH <urn:g> { ?s ?p ?o } } WHERE { VALUES", "{ <urn:a> <urn:b> }"
    assert list(delete_resources("<urn:g>", ["<urn:a>", "<urn:b>"], linked=True)) == [
        f"{head} ?root {both} GRAPH <urn:g> {{ ?root ?p1 ?n1 {n1} ?n1 ?p2 ?n2 {n2} ?n2 ?p3 ?s {s} ?s ?p ?o }} }}",
        f"{head} ?root {both} GRAPH <urn:g> {{ ?root ?p1 ?n1 {n1} ?n1 ?p2 ?s {s} ?s ?p ?o }} }}",
        f"{head} ?root {both} GRAPH <urn:g> {{ ?root ?p1 ?s {s} ?s ?p ?o }} }}",
        f"{head} ?s {both} GRAPH <urn:g> {{ ?s ?p ?o }} }}",
        f"{head} ?o {both} GRAPH <urn:g> {{ ?s ?p ?o }} }}",
    ]
    for operation in (*delete_resources("<urn:g>", ["<urn:a>"]), *forget("<urn:job>", kept="<urn:new>")):
        assert "UNION" not in operation  # RDF4J would search the graph for either of them
        assert "SELECT" not in operation


def test_what_is_built_is_ascii_and_names_the_same_terms() -> None:
    quad = ox.Quad(ox.NamedNode("urn:é"), P, ox.Literal('é 😀 "\\u0022\x00'), ox.NamedNode("urn:gé"))
    prepared = prepare(Quads([quad], [Resource("urn:gé", "urn:é")]))
    body = prepared.whole().one_body()
    store = ox.Store()
    store.update(body.decode("ascii"))
    assert list(store) == [quad]
    assert list(ox.parse(prepared.parts[0].n_quads(), format=ox.RdfFormat.N_QUADS)) == [quad]


def test_parts_hold_20_000_triples_of_one_graph_each() -> None:
    quads = [ox.Quad(A, P, ox.Literal(number), graph) for graph in (G, ox.DefaultGraph()) for number in range(20_001)]
    parts = prepare(Quads(quads)).parts
    assert [(part.graph, part.triples.count(b"\n")) for part in parts] == [
        ("<urn:g>", CHUNK_TRIPLES),
        ("<urn:g>", 1),
        ("", CHUNK_TRIPLES),
        ("", 1),
    ]


def test_deletes_come_in_blocks_that_a_store_can_read() -> None:
    resources = [Resource(f"urn:g:{number}", f"urn:a:{n}") for number in range(251) for n in range(2)]
    whole = prepare(Quads([], resources)).whole()
    assert [update.count(b"DELETE") for update in whole.first] == [BLOCK_OPERATIONS, 4]
    assert whole.one_body().count(b" ;\nDELETE") == BLOCK_OPERATIONS + 3


def test_a_delete_names_so_many_resources_and_no_more() -> None:
    deletes = list(delete_resources("<urn:g>", ["<urn:a>"] * (BLOCK_RESOURCES + 1)))
    assert [delete.count("<urn:a>") for delete in deletes] == [BLOCK_RESOURCES] * 4 + [1] * 4


def test_update_text_keeps_every_byte_and_stays_alone() -> None:
    text = "  # é\r\nINSERT DATA { <urn:a> <urn:p> '😀' }  "
    prepared = prepare(UpdateText(text))
    assert prepared.whole(RECORD).one_body() == prepared.whole().one_body() == text.encode()
    assert not PreparedWrite(text=b"#" * 9_000_000).is_large


def test_in_chunks_the_last_update_alone_names_the_attempt() -> None:
    quads = [ox.Quad(A, P, ox.Literal(number), G) for number in range(CHUNK_TRIPLES + 1)]
    chunks = list(prepare(Quads(quads, findings=[Resource("urn:g", "urn:a")])).chunks(RECORD))
    assert [RECORD.attempt.encode() in chunk for chunk in chunks] == [False, False, False, True]


@pytest.mark.parametrize(
    ("write", "said"),
    [
        pytest.param(Quads([ox.Quad(ox.BlankNode("b"), P, A, G)]), "blank node", id="blank-subject"),
        pytest.param(Quads([ox.Quad(A, P, ox.BlankNode("b"), G)]), "blank node .beside <urn:a>", id="blank-object"),
        pytest.param(Quads([ox.Quad(A, P, A, ox.BlankNode("b"))]), "blank node", id="blank-graph"),
        pytest.param(Quads([ox.Quad(A, P, ox.Triple(A, P, A), G)]), "a triple as a term", id="triple-term"),
        pytest.param(Quads([], [Resource("urn:g", "urn:a> <urn:b")]), "IRI is wrong", id="injected-iri"),
        pytest.param(Quads([], [Resource("relative", "urn:a")]), "IRI is wrong", id="relative-graph"),
        pytest.param(Quads([], [Resource("urn:g", "urn:\ud800")]), "IRI is wrong", id="surrogate-in-an-iri"),
        pytest.param(UpdateText("# \ud800"), "lone surrogate", id="surrogate-in-an-update"),
    ],
)
def test_what_no_store_may_be_sent_is_refused_in_one_sentence(write: Quads | UpdateText, said: str) -> None:
    with pytest.raises(UnwritableError, match=said):
        prepare(write)


def test_a_packed_write_unpacks_to_the_same() -> None:
    quads = [ox.Quad(A, P, ox.Literal("a\nb\n"), graph) for graph in (G, ox.NamedNode("urn:é"), ox.DefaultGraph())]
    resource = Resource("urn:g", "urn:a")
    for write in (Quads(quads, [resource], [Resource("urn:é", "urn:é"), resource]), UpdateText("é\n"), Quads([])):
        prepared = prepare(write)
        assert PreparedWrite.from_bytes(prepared.to_bytes()) == prepared


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"x\n",
        b"[1]\n",
        b"{}\n",
        *(
            json.dumps({"deletes": [], "parts": [], "findings": [], "results": False, "text": False} | change).encode()
            + b"\nx"
            for change in (
                {},
                {"deletes": [-1]},
                {"deletes": [2]},
                {"parts": [["", 2]]},
                {"parts": 1},
                {"deletes": [None]},
                {"findings": [["a"]], "deletes": [1]},
            )
        ),
    ],
)
def test_what_is_no_packed_write_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        PreparedWrite.from_bytes(packed)
