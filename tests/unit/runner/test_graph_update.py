"""Serialising a write: pure, ASCII, and nothing that a repeat would add again."""

from __future__ import annotations

import pyoxigraph as ox
import pytest

from bullpen_processors.api import Quads, Resource, UpdateText
from bullpen_runner.graph_update import (
    BLOCK_DELETES,
    CHUNK_TRIPLES,
    PreparedWrite,
    UnwritableError,
    delete_resource,
    prepare,
)

G = ox.NamedNode("urn:g")
A, P = ox.NamedNode("urn:a"), ox.NamedNode("urn:p")


def test_a_write_is_one_update_of_deletes_and_inserts() -> None:
    quads = [ox.Quad(A, P, ox.Literal("1"), G), ox.Quad(A, P, A, ox.DefaultGraph()), ox.Quad(A, P, A, G)]
    resource = Resource("urn:g", "urn:a")
    expected = (
        f"{delete_resource(resource)} ;\n"
        'INSERT DATA {\nGRAPH <urn:g> {\n<urn:a> <urn:p> "1" .\n<urn:a> <urn:p> <urn:a> .\n}\n'
        "<urn:a> <urn:p> <urn:a> .\n\n}"
    )
    assert prepare(Quads(quads, [resource, resource])).one_body().decode() == expected
    assert prepare(Quads(quads, findings=[resource])).one_body().decode() == expected


def test_the_delete_walks_from_the_resource_and_never_over_the_graph() -> None:
    assert delete_resource(Resource("urn:g", "urn:a")) == (
        "DELETE { GRAPH <urn:g> { ?s ?p ?o } } WHERE { GRAPH <urn:g> { { <urn:a> ?p ?o . BIND(<urn:a> AS ?s) }"
        ' UNION { <urn:a> ?p1 ?s FILTER(STRSTARTS(STR(?s), "urn:a:")) ?s ?p ?o }'
        ' UNION { <urn:a> ?p1 ?n1 FILTER(STRSTARTS(STR(?n1), "urn:a:"))'
        ' ?n1 ?p2 ?s FILTER(STRSTARTS(STR(?s), "urn:a:")) ?s ?p ?o }'
        ' UNION { <urn:a> ?p1 ?n1 FILTER(STRSTARTS(STR(?n1), "urn:a:"))'
        ' ?n1 ?p2 ?n2 FILTER(STRSTARTS(STR(?n2), "urn:a:"))'
        ' ?n2 ?p3 ?s FILTER(STRSTARTS(STR(?s), "urn:a:")) ?s ?p ?o } } }'
    )


def test_what_is_built_is_ascii_and_names_the_same_terms() -> None:
    quad = ox.Quad(ox.NamedNode("urn:é"), P, ox.Literal('é 😀 "\\u0022\x00'), ox.NamedNode("urn:gé"))
    prepared = prepare(Quads([quad], [Resource("urn:gé", "urn:é")]))
    body = prepared.one_body()
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
    prepared = prepare(Quads([], [Resource("urn:g", f"urn:a:{number}") for number in range(1_001)]))
    assert [update.count(b"DELETE") for update in prepared.updates] == [BLOCK_DELETES, 1]
    assert prepared.one_body().count(b" ;\nDELETE") == 1_000


def test_update_text_keeps_every_byte() -> None:
    text = "  # é\r\nINSERT DATA { <urn:a> <urn:p> '😀' }  "
    assert prepare(UpdateText(text)).one_body() == text.encode()


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
    for write in (Quads(quads, [Resource("urn:g", "urn:a")]), UpdateText("é\n"), Quads([])):
        prepared = prepare(write)
        assert PreparedWrite.from_bytes(prepared.to_bytes()) == prepared


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"x\n",
        b"[1]\n",
        b"[[1], []]\n",
        b"[[-1], []]\n",
        b'[[], [["", 2]]]\nx',
        b"[[], 1]\n",
        b'{"a": 1}\n',
        b"[[null], []]\n",
    ],
)
def test_what_is_no_packed_write_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        PreparedWrite.from_bytes(packed)
