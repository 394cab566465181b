"""What `bullpen process` says would be stored."""

from __future__ import annotations

import time

import pyoxigraph as ox
import pytest

from bullpen_cli.written import NetworkUpdateError, RefusedWriteError, n_quads
from bullpen_processors.api import Quads, Resource, UpdateText

A, P = ox.NamedNode("urn:a"), ox.NamedNode("urn:p")


def test_quads_come_sorted_and_once() -> None:
    quads = [ox.Quad(A, P, ox.Literal(text), graph) for text in ("b", "a", "b") for graph in (ox.DefaultGraph(), A)]
    assert n_quads(Quads(quads)) == [
        '<urn:a> <urn:p> "a" .',
        '<urn:a> <urn:p> "a" <urn:a> .',
        '<urn:a> <urn:p> "b" .',
        '<urn:a> <urn:p> "b" <urn:a> .',
    ]


def test_a_line_stays_one_line_whatever_a_literal_holds() -> None:
    [line] = n_quads(Quads([ox.Quad(A, P, ox.Literal("\n\r\x0b\x0c\x1c\x85\u2028é😀"))]))
    assert line == '<urn:a> <urn:p> "\\n\\r\\u000B\\f\\u001C\x85\u2028é😀" .'


def test_nothing_written_is_no_lines() -> None:
    assert n_quads(None) == []
    assert n_quads(Quads([])) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("INSERT DATA { <urn:a> <urn:p> 1 }", 1, id="insert"),
        pytest.param("INSERT DATA { <urn:a> <urn:p> 1 } ; DELETE WHERE { ?s ?p ?o }", 0, id="delete"),
        pytest.param("CLEAR ALL", 0, id="clear"),
        pytest.param("", 0, id="empty"),
        pytest.param(
            'PREFIX load: <urn:service#> INSERT DATA { <urn:load> load:service "LOAD", """x" SERVICE""" # LOAD\n }',
            2,
            id="words-that-are-no-keywords",
        ),
        pytest.param("INSERT { ?load <urn:p> 1 } WHERE { VALUES ?load { <urn:a> } }", 1, id="variable"),
    ],
)
def test_an_update_is_applied_to_an_empty_store(text: str, lines: int) -> None:
    assert len(n_quads(UpdateText(text))) == lines


def test_blank_nodes_of_an_update_are_canonical() -> None:
    text = "INSERT DATA { <urn:a> <urn:p> _:%s . _:%s <urn:q> 1 }"
    assert n_quads(UpdateText(text % ("x", "x"))) == n_quads(UpdateText(text % ("y", "y")))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("LOAD <http://127.0.0.1:1/>", id="load"),
        pytest.param("load silent <http://127.0.0.1:1/>", id="lower-case"),
        pytest.param("CLEAR ALL;LOAD<http://127.0.0.1:1/>", id="no-blanks"),
        pytest.param("INSERT { ?s ?p 1 } WHERE { ?s ?p 1SERVICE <http://127.0.0.1:1/> {} }", id="after-a-number"),
        pytest.param("INSERT { ?s ?p 1 } WHERE { ?s ?p ?o.SERVICE <http://127.0.0.1:1/> {} }", id="after-a-point"),
        pytest.param("""INSERT DATA { <urn:a> <urn:p> "\\"" } ; LOAD <http://127.0.0.1:1/>""", id="after-a-literal"),
        pytest.param(
            """INSERT DATA { <urn:a> <urn:p> '''''' } ; LOAD <http://127.0.0.1:1/>""", id="after-an-empty-one"
        ),
        pytest.param("INSERT DATA { <urn:a#b> <urn:p> 1 } ; LOAD <http://127.0.0.1:1/>", id="after-an-iri-with-a-hash"),
    ],
)
def test_an_update_that_reads_from_the_network_is_not_run(text: str) -> None:
    with pytest.raises(NetworkUpdateError):
        n_quads(UpdateText(text))


@pytest.mark.parametrize("text", ["SELECT * { ?s ?p ?o }", "INSERT DATA { <undefined> <urn:p> 1 }", "x" * 9])
def test_what_is_no_update_is_refused_as_a_store_would(text: str) -> None:
    with pytest.raises(RefusedWriteError, match=r"^not a SPARQL update: error at 1:"):
        n_quads(UpdateText(text))


def test_what_no_store_may_be_sent_is_refused() -> None:
    with pytest.raises(RefusedWriteError, match="a blank node"):
        n_quads(Quads([ox.Quad(A, P, ox.BlankNode())]))
    with pytest.raises(RefusedWriteError, match="whose IRI is wrong"):
        n_quads(Quads([], [Resource("urn:g", "no iri")]))


@pytest.mark.parametrize("piece", ['"', "'", '"""', "'''", "<", "<a", "#", "\\", '"\\', "load", "?load "])
def test_hostile_text_is_looked_through_in_linear_time(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    start = time.process_time()
    with pytest.raises((RefusedWriteError, NetworkUpdateError)):
        n_quads(UpdateText(text + "\n."))
    assert time.process_time() - start < 5
