"""RDF4J's paths over a store in memory; the sockets and the process are in tests/integration/graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

import pyoxigraph as ox
import pytest

from bullpen_operator.local.rdf4j import Rdf4j
from bullpen_operator.local.rdf_http import FORM, Request

G, H = "urn:g", "urn:h"
DATA = b"""
<urn:a> <urn:p> "1" <urn:g> .
<urn:a> <urn:q> "2" <urn:g> .
<urn:b> <urn:p> <urn:a> <urn:h> .
<urn:c> <urn:p> "0" .
"""


@pytest.fixture
def endpoint() -> Rdf4j:
    store = ox.Store()
    store.load(DATA, format=ox.RdfFormat.N_QUADS)
    return Rdf4j(store, "bullpen")


def call(
    endpoint: Rdf4j,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]] = (),
    body: bytes | str = b"",
    **headers: str,
) -> tuple[int, str]:
    """Status and body; headers as keywords, `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = body.encode() if isinstance(body, str) else body
    target = f"/repositories/bullpen/{path}" if not path.startswith("/") else path
    reply = endpoint.answer(Request(method, target, urlencode(list(query)), named, sent))
    with reply.body as answer:
        answer.seek(0)
        return reply.status, answer.read().decode()


def lines(text: str) -> set[str]:
    return set(text.strip().splitlines())


def test_the_server_says_what_it_speaks_and_what_it_holds(endpoint: Rdf4j) -> None:
    assert call(endpoint, "GET", "/protocol") == (200, "12")
    status, body = call(endpoint, "GET", "/repositories", accept="text/csv", host="127.0.0.1:1")
    assert (status, body.splitlines()[1]) == (
        200,
        "bullpen,true,the embedded triplestore,http://127.0.0.1:1/repositories/bullpen,true",
    )


@pytest.mark.parametrize(
    ("query", "size"),
    [
        pytest.param([], "4", id="all"),
        pytest.param([("context", "<urn:g>")], "2", id="one-graph"),
        pytest.param([("context", "<urn:g>"), ("context", "null")], "3", id="a-graph-and-the-default-graph"),
        pytest.param([("context", "<urn:none>")], "0", id="absent-graph"),
    ],
)
def test_size_counts_the_named_contexts(endpoint: Rdf4j, query: list[tuple[str, str]], size: str) -> None:
    assert call(endpoint, "GET", "size", query) == (200, size)


def test_contexts_are_the_graphs_that_hold_something(endpoint: Rdf4j) -> None:
    call(endpoint, "POST", "statements", body="CREATE GRAPH <urn:empty>", content_type="application/sparql-update")
    status, body = call(endpoint, "GET", "contexts", accept="text/csv")
    assert (status, lines(body)) == (200, {"contextID", G, H})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param([("subj", "<urn:a>"), ("pred", "<urn:p>")], {'<urn:a> <urn:p> "1" <urn:g> .'}, id="subject"),
        pytest.param([("obj", '"2"')], {'<urn:a> <urn:q> "2" <urn:g> .'}, id="object"),
        pytest.param([("context", "null")], {'<urn:c> <urn:p> "0" .'}, id="default-graph"),
        pytest.param([("context", "<urn:h>")], {"<urn:b> <urn:p> <urn:a> <urn:h> ."}, id="graph"),
    ],
)
def test_statements_are_read_by_pattern(endpoint: Rdf4j, query: list[tuple[str, str]], expected: set[str]) -> None:
    status, body = call(endpoint, "GET", "statements", query, accept="application/n-quads")
    assert (status, lines(body)) == (200, expected)


def test_statements_are_added_to_the_contexts_named(endpoint: Rdf4j) -> None:
    turtle = "<x> <urn:p> 'é' ."
    query = [("context", "<urn:new>"), ("baseURI", "<http://base/>")]
    assert call(endpoint, "POST", "statements", query, turtle, content_type="text/turtle")[0] == 204
    status, body = call(endpoint, "GET", "rdf-graphs/service", [("graph", "urn:new")], accept="application/n-triples")
    assert (status, body) == (200, '<http://base/x> <urn:p> "é" .\n')


def test_put_replaces_the_graph_and_nothing_else(endpoint: Rdf4j) -> None:
    query = [("graph", G)]
    assert (
        call(endpoint, "PUT", "rdf-graphs/service", query, "<urn:x> <urn:p> _:b .", content_type="text/turtle")[0]
        == 204
    )
    assert [call(endpoint, "GET", "size", [("context", c)])[1] for c in ("<urn:g>", "<urn:h>", "null")] == [
        "1",
        "1",
        "1",
    ]


def test_put_without_a_context_replaces_everything(endpoint: Rdf4j) -> None:
    assert call(endpoint, "PUT", "statements", (), "<urn:x> <urn:p> 1 .", content_type="text/turtle")[0] == 204
    assert call(endpoint, "GET", "size") == (200, "1")


@pytest.mark.parametrize(
    ("path", "query", "left"),
    [
        pytest.param("statements", [("subj", "<urn:a>"), ("context", "<urn:g>")], "2", id="pattern-in-a-graph"),
        pytest.param("statements", [("pred", "<urn:p>")], "1", id="pattern-in-all-graphs"),
        pytest.param("statements", [], "0", id="all"),
        pytest.param("rdf-graphs/service", [("graph", H)], "3", id="graph"),
        pytest.param("rdf-graphs/service", [("default", "")], "3", id="default-graph"),
    ],
)
def test_statements_are_deleted_by_pattern(endpoint: Rdf4j, path: str, query: list[tuple[str, str]], left: str) -> None:
    assert call(endpoint, "DELETE", path, query)[0] == 204
    assert call(endpoint, "GET", "size") == (200, left)


def test_blank_nodes_of_two_uploads_are_never_the_same(endpoint: Rdf4j) -> None:
    for _ in range(2):
        call(endpoint, "POST", "statements", (), "_:b <urn:p> 1 .", content_type="text/turtle")
    assert call(endpoint, "GET", "size") == (200, "6")


def test_a_body_with_a_broken_last_line_leaves_nothing(endpoint: Rdf4j) -> None:
    body = "<urn:x> <urn:p> 1 .\n" * 1000 + "<urn:broken"
    assert call(endpoint, "POST", "statements", (), body, content_type="text/turtle")[0] == 400
    assert call(endpoint, "GET", "size") == (200, "4")


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_text_is_read_in_the_charset_it_names(endpoint: Rdf4j, encoding: str) -> None:
    update = "INSERT DATA { GRAPH <urn:e> { <urn:x> <urn:p> 'é' } }".encode(encoding)
    call(endpoint, "POST", "statements", (), update, content_type=f"application/sparql-update; charset={encoding}")
    rows = call(endpoint, "GET", "", [("query", "SELECT ?o { GRAPH <urn:e> { ?s ?p ?o } }")], accept="text/csv")
    assert rows == (200, "o\r\né\r\n")


def test_a_form_without_a_charset_is_utf_8(endpoint: Rdf4j) -> None:
    form = urlencode({"update": "INSERT DATA { GRAPH <urn:e> { <urn:x> <urn:p> 'é 😀' } }"})
    assert call(endpoint, "POST", "statements", (), form, content_type=FORM)[0] == 204
    ask = urlencode({"query": "ASK { ?s ?p 'é 😀' }"})
    assert json.loads(call(endpoint, "POST", "", (), ask, content_type=FORM)[1])["boolean"] is True


@pytest.mark.parametrize("operation", ["CLEAR GRAPH <urn:none>", "DROP GRAPH <urn:none>"])
def test_a_graph_that_is_not_there_can_be_cleared_as_on_rdf4j(endpoint: Rdf4j, operation: str) -> None:
    update = f"INSERT DATA {{ <urn:x> <urn:p> 1 }} ; {operation} ; INSERT DATA {{ <urn:x> <urn:p> 2 }}"
    assert call(endpoint, "POST", "statements", (), update, content_type="application/sparql-update") == (204, "")
    assert call(endpoint, "GET", "size") == (200, "6")


@pytest.mark.parametrize(
    ("query", "parameters", "count"),
    [
        pytest.param("SELECT * { ?s ?p ?o }", [], 4, id="union-of-all-graphs"),
        pytest.param("SELECT * FROM <urn:g> { ?s ?p ?o }", [], 2, id="from"),
        pytest.param("SELECT * { ?s ?p ?o FILTER(?o != ' FROM ') } # FROM", [], 4, id="from-in-a-string"),
        pytest.param("SELECT * { ?s ?p ?o }", [("default-graph-uri", H)], 1, id="default-graph-uri"),
        pytest.param("SELECT * { GRAPH ?g { ?s ?p ?o } }", [("named-graph-uri", H)], 1, id="named-graph-uri"),
        pytest.param("SELECT * { ?s ?p ?o }", [("$s", "<urn:a>")], 2, id="a-bound-variable"),
    ],
)
def test_a_query_sees_the_dataset_it_names(
    endpoint: Rdf4j, query: str, parameters: list[tuple[str, str]], count: int
) -> None:
    status, body = call(endpoint, "GET", "", [("query", query), *parameters])
    assert (status, len(json.loads(body)["results"]["bindings"])) == (200, count)


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        pytest.param("SELECT * {}", "*/*", "application/sparql-results+json", id="anything"),
        pytest.param("SELECT * {}", "text/csv;q=0.1, text/*", "text/csv; charset=utf-8", id="any-text"),
        pytest.param("ASK {}", "application/sparql-results+xml, */*;q=0.1", "application/sparql-results+xml", id="ask"),
        pytest.param(
            "ASK {}", "text/html;q=x, application/xml;q=0.9", "application/sparql-results+xml", id="plain-xml"
        ),
        pytest.param("CONSTRUCT WHERE { ?s ?p ?o }", "*/*", "text/turtle; charset=utf-8", id="construct"),
        pytest.param(
            "CONSTRUCT WHERE { ?s ?p ?o }", "application/ld+json", "application/ld+json; charset=utf-8", id="json-ld"
        ),
    ],
)
def test_the_format_is_what_the_client_likes_best(endpoint: Rdf4j, query: str, accept: str, media_type: str) -> None:
    request = Request("GET", "/repositories/bullpen", urlencode({"query": query}), {"accept": accept})
    reply = endpoint.answer(request)
    reply.body.close()
    assert (reply.status, reply.media_type) == (200, media_type)


UPDATE = "application/sparql-update"


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "content_type", "status"),
    [
        pytest.param("GET", "/nowhere", [], "", "", 404, id="no-such-path"),
        pytest.param("GET", "/repositories/other/size", [], "", "", 404, id="no-such-repository"),
        pytest.param("POST", "transactions", [], "", "", 404, id="transactions"),
        pytest.param("DELETE", "", [], "", "", 405, id="method"),
        pytest.param("GET", "", [], "", "", 400, id="no-query"),
        pytest.param("POST", "statements", [], "", UPDATE, 400, id="no-update"),
        pytest.param("GET", "", [("query", "garbage")], "", "", 400, id="wrong-query"),
        pytest.param("POST", "statements", [], "garbage", UPDATE, 400, id="wrong-update"),
        pytest.param(
            "POST", "statements", [("using-graph-uri", G)], "CLEAR ALL", UPDATE, 400, id="dataset-of-an-update"
        ),
        pytest.param("POST", "statements", [], "x", "image/png", 415, id="content-type"),
        pytest.param("POST", "statements", [], b"\xff", UPDATE, 400, id="not-utf-8"),
        pytest.param("POST", "statements", [], "x", f"{UPDATE};charset=nonsense", 400, id="unknown-charset"),
        pytest.param("GET", "statements", [("subj", "urn:a")], "", "", 400, id="not-a-term"),
        pytest.param("DELETE", "statements", [("subj", "_:b")], "", "", 400, id="a-blank-node-from-outside"),
        pytest.param("GET", "size", [("context", '"x"')], "", "", 400, id="not-a-context"),
        pytest.param("GET", "rdf-graphs/service", [], "", "", 400, id="no-graph-named"),
        pytest.param("POST", "statements", [], "CREATE GRAPH <urn:g>", UPDATE, 500, id="an-update-that-fails"),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_and_changes_nothing(
    endpoint: Rdf4j, method: str, path: str, query: list[tuple[str, str]], body: str, content_type: str, status: int
) -> None:
    answered, said = call(endpoint, method, path, query, body, content_type=content_type)
    assert (answered, bool(said)) == (status, True)
    assert call(endpoint, "GET", "size") == (200, "4")


def test_what_nobody_can_take_is_not_acceptable(endpoint: Rdf4j) -> None:
    assert call(endpoint, "GET", "", [("query", "ASK {}")], accept="image/png")[0] == 406


def test_every_write_is_made_durable_before_it_is_answered() -> None:
    commits: list[int] = []
    store = ox.Store()
    endpoint = Rdf4j(store, "bullpen", lambda: commits.append(len(store)))
    call(endpoint, "POST", "statements", (), "<urn:x> <urn:p> 1 .", content_type="text/turtle")
    call(endpoint, "POST", "statements", (), "INSERT DATA { <urn:x> <urn:p> 2 }", content_type=UPDATE)
    call(endpoint, "DELETE", "statements")
    call(endpoint, "GET", "size")
    assert commits == [1, 2, 0]
