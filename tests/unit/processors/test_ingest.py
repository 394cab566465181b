"""http-ingest: recorded exchanges become exactly these triples, and bad ones exactly these sentences."""

from __future__ import annotations

import time
from typing import Any

import pyoxigraph as ox
import pytest

from bullpen_processors.api import SettingsError, UnusableInputError
from bullpen_processors.http.ingest import HttpIngest
from fakes.processing import Processed, process

EX = "http://localhost/onto/ontowebpt#"
GRAPH = "http://localhost/graphs/http-requests"


def ingest(*items: Any, **settings: Any) -> Processed:
    return process(HttpIngest(), {"payload": list(items)}, settings)


def item(identifier: Any = "r", **more: Any) -> dict[str, Any]:
    return {"id": identifier, "method": "GET", "uri": {"full": "http://x.test/"}} | more


def with_uri(**parts: Any) -> dict[str, Any]:
    return item(uri={"full": "http://x.test/"} | parts)


def with_response(**parts: Any) -> dict[str, Any]:
    return item(response=parts)


def objects(processed: Processed, subject: str, predicate: str) -> set[str]:
    """Return the values of one property, e.g. of `uri` the `path`; "" is the request itself."""
    node = ox.NamedNode("urn:req:r" + (f":{subject}" if subject else ""))
    name = ox.NamedNode(EX + predicate if ":" not in predicate else predicate)
    return {q.object.value for q in processed.quads if (q.subject, q.predicate) == (node, name)}  # type: ignore[union-attr]


WORKED = {
    "id": "req-1700000000000-0",
    "method": "get",
    "uri": {
        "full": "http://shop.example/a?token=abc&q=a%22b#top",
        "scheme": "http",
        "authority": "shop.example",
        "path": "/a",
        "fragment": "top",
        "queryRaw": "token=abc&q=a%22b",
        "params": [{"name": "token", "value": "abc"}, {"name": "q", "value": 'a"b'}],
    },
    "httpVersion": "HTTP/1.1",
    "bodyBase64": "aGk=",
    "requestHeaders": [
        {"name": "accept", "value": "*/*"},
        {"name": "cookie", "value": "k=v"},
        {"name": "content-type", "value": "text/plain"},
        {"name": "user-agent", "value": "UA"},
    ],
    "response": {
        "status": 200,
        "reason": "OK",
        "httpVersion": "HTTP/1.1",
        "bodyBase64": "b2s=",
        "headers": [
            {"name": "set-cookie", "value": "sid=1; Domain=.shop.example; Path=/; Secure\r\n\n lang=it "},
            {"name": "server", "value": "nginx/1.24"},
            {"name": "content-type", "value": "text/html"},
            {"name": "etag", "value": '"x"'},
        ],
    },
    "connection": {"authority": "shop.example"},
}

WORKED_TRIG = """
@prefix ex: <http://localhost/onto/ontowebpt#> .
@prefix content: <http://www.w3.org/2008/content#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix r: <urn:req:req-1700000000000-0> .
@prefix n: <urn:req:req-1700000000000-0:> .

<http://localhost/graphs/http-requests> {
  r: a ex:Request ; ex:id "req-1700000000000-0" ; ex:mthd ex:GET ; ex:httpVersion "HTTP/1.1" ;
     ex:body "aGk="^^content:ContentAsBase64 ; ex:uriRequest n:uri ; ex:resp n:res ; rdfs:seeAlso n:conn ;
     ex:repHeader <urn:req:req-1700000000000-0:hdr:0> ; ex:payHeader <urn:req:req-1700000000000-0:hdr:2> ;
     ex:reqHeader <urn:req:req-1700000000000-0:hdr:1>, <urn:req:req-1700000000000-0:hdr:3> .
  n:conn a ex:Connection ; ex:connectionAuthority "shop.example" .
  n:uri a ex:URI ; ex:uri "http://shop.example/a?token=abc&q=a%22b#top" ; ex:scheme "http" ;
     ex:authority "shop.example" ; ex:path "/a" ; ex:fragment "top" ;
     ex:query "<query>token=abc&amp;q=a%22b</query>"^^rdf:XMLLiteral ;
     ex:param <urn:req:req-1700000000000-0:param:0>, <urn:req:req-1700000000000-0:param:1> .
  <urn:req:req-1700000000000-0:param:0> a ex:Parameter ; ex:nameParameter "token" ; ex:valueParameter "abc" .
  <urn:req:req-1700000000000-0:param:1> a ex:Parameter ; ex:nameParameter "q" ; ex:valueParameter "a\\"b" .
  <urn:req:req-1700000000000-0:hdr:0> a ex:RepresentationHeaders ; ex:fieldName "accept" ; ex:fieldValue "*/*" .
  <urn:req:req-1700000000000-0:hdr:1> a ex:Cookie ; ex:fieldName "cookie" ; ex:fieldValue "k=v" .
  <urn:req:req-1700000000000-0:hdr:2> a ex:PayloadHeaders ; ex:fieldName "content-type" ; ex:fieldValue "text/plain" .
  <urn:req:req-1700000000000-0:hdr:3> a ex:RequestHeader ; ex:fieldName "user-agent" ; ex:fieldValue "UA" .
  n:res a ex:Response ; ex:httpVersion "HTTP/1.1" ; ex:body "b2s="^^content:ContentAsBase64 ; ex:sc n:sc ;
     ex:resHeader <urn:req:req-1700000000000-0:resh:0>, <urn:req:req-1700000000000-0:resh:1>,
                  <urn:req:req-1700000000000-0:resh:2> ;
     ex:payHeader <urn:req:req-1700000000000-0:resh:3> ; ex:repHeader <urn:req:req-1700000000000-0:resh:4> .
  n:sc a ex:StatusCodes ; ex:statusCodeNumber "200"^^xsd:int ; ex:reasonPhrase "OK" .
  <urn:req:req-1700000000000-0:resh:0> a ex:Set-Cookie ; ex:fieldName "set-cookie" ;
     ex:fieldValue "sid=1; Domain=.shop.example; Path=/; Secure" ; ex:cookieName "sid" ;
     ex:cookieDomain ".shop.example" .
  <urn:req:req-1700000000000-0:resh:1> a ex:Set-Cookie ; ex:fieldName "set-cookie" ; ex:fieldValue "lang=it" ;
     ex:cookieName "lang" .
  <urn:req:req-1700000000000-0:resh:2> a ex:ResponseHeader ; ex:fieldName "server" ; ex:fieldValue "nginx/1.24" .
  <urn:req:req-1700000000000-0:resh:3> a ex:PayloadHeaders ; ex:fieldName "content-type" ; ex:fieldValue "text/html" .
  <urn:req:req-1700000000000-0:resh:4> a ex:RepresentationHeaders ; ex:fieldName "etag" ; ex:fieldValue "\\"x\\"" .
}
"""


def test_a_whole_exchange_becomes_exactly_these_triples() -> None:
    expected = set(ox.parse(WORKED_TRIG, ox.RdfFormat.TRIG))
    assert len(expected) == 71
    processed = ingest(WORKED)
    assert processed.quads == expected
    assert processed.value() == {"status": 204, "count": 1, "payload": [WORKED]}
    assert processed.replaced == [(GRAPH, "urn:req:req-1700000000000-0")]


def test_the_least_exchange_becomes_six_triples() -> None:
    assert ingest(item()).stored() == [
        f'<urn:req:r:uri> <{EX}uri> "http://x.test/" <{GRAPH}> .',
        f"<urn:req:r:uri> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{EX}URI> <{GRAPH}> .",
        f'<urn:req:r> <{EX}id> "r" <{GRAPH}> .',
        f"<urn:req:r> <{EX}mthd> <{EX}GET> <{GRAPH}> .",
        f"<urn:req:r> <{EX}uriRequest> <urn:req:r:uri> <{GRAPH}> .",
        f"<urn:req:r> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{EX}Request> <{GRAPH}> .",
    ]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(None, "Missing payload", id="data-null"),
        pytest.param("text", "Missing payload", id="data-text"),
        pytest.param([], "Missing payload", id="data-list"),
        pytest.param(7, "Missing payload", id="data-number"),
        pytest.param({}, "Missing payload", id="data-empty"),
        pytest.param({"payload": ""}, "Missing payload", id="empty-text"),
        pytest.param({"payload": 0}, "Missing payload", id="zero"),
        pytest.param({"payload": 5}, "Invalid payload: expected object, array, or { items: [...] }", id="number"),
        pytest.param({"payload": "GET /"}, "Invalid payload: expected object, array, or { items: [...] }", id="text"),
        pytest.param({"payload": True}, "Invalid payload: expected object, array, or { items: [...] }", id="true"),
        pytest.param({"payload": []}, "Expected a non-empty array of requests", id="empty-list"),
        pytest.param({"payload": {"items": []}}, "Expected a non-empty array of requests", id="no-items"),
        pytest.param({"payload": {}}, "Missing id/method/uri.full", id="empty-object"),
        pytest.param({"payload": {"items": None}}, "Missing id/method/uri.full", id="items-null-is-an-item"),
        pytest.param({"payload": ["x"]}, "Missing id/method/uri.full", id="item-is-text"),
        pytest.param({"payload": [item(0)]}, "Missing id/method/uri.full", id="id-zero"),
        pytest.param({"payload": [item(method="")]}, "Missing id/method/uri.full", id="no-method"),
        pytest.param({"payload": [item(uri=None)]}, "Missing id/method/uri.full", id="no-uri"),
        pytest.param({"payload": [item(uri="http://x")]}, "Missing id/method/uri.full", id="uri-is-text"),
        pytest.param({"payload": [item(), {"id": "2"}]}, "Missing id/method/uri.full", id="second-is-bad"),
        pytest.param(
            {"payload": [item(), None]}, "Cannot read properties of null (reading 'graph')", id="null-among-items"
        ),
        pytest.param(
            {"payload": [with_uri(params=[None])]}, "Cannot read properties of null (reading 'name')", id="null-param"
        ),
        pytest.param(
            {"payload": [item(), item(graph="g")]},
            "Invalid graph: that of item 1 is not an absolute IRI",
            id="relative-graph",
        ),
    ],
)
def test_an_unusable_payload_is_refused_whole_in_one_sentence(data: Any, sentence: str) -> None:
    with pytest.raises(UnusableInputError) as refusal:
        process(HttpIngest(), data)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param([item()], id="list"),
        pytest.param({"items": [item()]}, id="items"),
        pytest.param({"items": "x"} | item(), id="object-whose-items-are-no-list"),
        pytest.param(item(), id="object"),
    ],
)
def test_three_shapes_of_payload_are_accepted_and_echoed(payload: Any) -> None:
    processed = process(HttpIngest(), {"payload": payload})
    assert len(processed.quads) == 6
    assert processed.value(200) == {"status": 200, "count": 1, "payload": payload}


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        pytest.param('http://x> { <urn:evil> <urn:p> "1" } GRAPH <http://y', "breaks-out", id="breaks-out"),
        pytest.param("http://x y", "blank", id="blank"),
        pytest.param("http://x\n", "line-feed", id="line-feed"),
        pytest.param("undefined", "relative", id="relative"),
        pytest.param(5, "number", id="number"),
        pytest.param({}, "object", id="object"),
        pytest.param("urn:\ud800", "surrogate", id="half-a-surrogate-pair"),
    ],
)
def test_a_graph_that_is_no_iri_is_refused(graph: Any, name: str) -> None:
    with pytest.raises(UnusableInputError, match=r"^Invalid graph: that of item 0 is not an absolute IRI$"):
        ingest(item(graph=graph))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        pytest.param("post", "POST", id="upper-cased"),
        pytest.param("M-SEARCH", "M-SEARCH", id="any-token"),
        pytest.param("ß", "SS", id="as-node-upper-cases"),
        pytest.param("é", "É", id="not-ascii"),
        pytest.param("GET /x", "GET%20%2FX", id="blank"),
        pytest.param('> . <urn:evil> <urn:p> "1" . <', "%3E%20.%20%3CURN%3AEVIL%3E%20%3CURN%3AP%3E%20%221%22%20.%20%3C",
                     id="breaks-out"),
        pytest.param("\ud800", "%EF%BF%BD", id="half-a-surrogate-pair"),
        pytest.param("%", "%25", id="percent"),
        pytest.param("GET#", "GET%23", id="second-fragment"),
        pytest.param(5, "5", id="number"),
        pytest.param(["get"], "GET", id="list"),
    ],
)  # fmt: skip
def test_a_method_is_one_iri_whatever_it_holds(method: Any, name: str) -> None:
    processed = ingest(item(method=method))
    assert objects(processed, "", "mthd") == {EX + name}
    assert len(processed.quads) == 6


@pytest.mark.parametrize(
    ("identifier", "iri", "stored"),
    [
        pytest.param("a b/c?d#e%f'(g)!*~", "urn:req:a%20b%2Fc%3Fd%23e%25f'(g)!*~", "a b/c?d#e%f'(g)!*~", id="reserved"),
        pytest.param('<>"{}|\\^`', "urn:req:%3C%3E%22%7B%7D%7C%5C%5E%60", '<>"{}|\\^`', id="hostile"),
        pytest.param("a:res", "urn:req:a%3Ares", "a:res", id="colon"),
        pytest.param("x\ud800", "urn:req:x%EF%BF%BD", "x\ufffd", id="half-a-surrogate-pair"),
        pytest.param({"a": 1}, "urn:req:%5Bobject%20Object%5D", "[object Object]", id="object"),
        pytest.param(True, "urn:req:true", "true", id="true"),
        pytest.param(1.0, "urn:req:1", "1", id="number"),
    ],
)
def test_an_id_becomes_part_of_an_iri_only_encoded(identifier: Any, iri: str, stored: str) -> None:
    processed = ingest(item(identifier))
    assert processed.replaced == [(GRAPH, iri)]
    request = ox.NamedNode(iri)
    [quad] = [q for q in processed.quads if (q.subject, q.predicate) == (request, ox.NamedNode(EX + "id"))]
    assert quad.object == ox.Literal(stored)


@pytest.mark.parametrize(
    ("parts", "query"),
    [
        pytest.param({"queryXml": "<q/>", "queryRaw": "a"}, "<q/>", id="xml-first-and-verbatim"),
        pytest.param({"queryXml": " \n", "queryRaw": "a=1&b=<'\">"}, "<query>a=1&amp;b=&lt;&apos;&quot;&gt;</query>",
                     id="raw-when-xml-is-blank"),
        pytest.param({"queryRaw": 404}, "<query>404</query>", id="raw-number"),
        pytest.param({"queryRaw": False, "params": [{"name": "a", "value": "<"}, {"name": 0, "value": None}]},
                     '<query>\n  <param name="a">&lt;</param>\n  <param name="0"></param>\n</query>', id="params-last"),
    ],
)  # fmt: skip
def test_the_query_is_the_first_that_is_not_blank(parts: dict[str, Any], query: str) -> None:
    assert objects(ingest(with_uri(**parts)), "uri", "query") == {query}


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"queryRaw": "", "params": []}, id="empty"),
        pytest.param({"queryRaw": " ", "params": None}, id="blank"),
        pytest.param({"params": "a=b"}, id="params-are-text"),
    ],
)
def test_no_query_is_stored_when_there_is_none(parts: dict[str, Any]) -> None:
    assert len(ingest(with_uri(**parts)).quads) == 6


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param("", {""}, id="empty-is-a-value"),
        pytest.param(None, set(), id="null-is-none"),
        pytest.param(0, {"0"}, id="zero"),
        pytest.param(False, {"false"}, id="false"),
        pytest.param(1e21, {"1e+21"}, id="number-as-node-writes-it"),
        pytest.param(["../", "x"], {"../,x"}, id="list"),
        pytest.param("v\ud83d.", {"v\ufffd."}, id="half-a-surrogate-pair"),
        pytest.param('\x00\x1c"\\\r\n\t\u2028é😀', {'\x00\x1c"\\\r\n\t\u2028é😀'}, id="hostile"),
    ],
)
def test_values_of_parameters_and_headers_are_kept_as_text(value: Any, stored: set[str]) -> None:
    named = [{"name": "n", "value": value}]
    processed = ingest(item(uri={"full": "x", "params": named}, requestHeaders=named, response={"headers": named}))
    assert objects(processed, "param:0", "valueParameter") == stored
    assert objects(processed, "hdr:0", "fieldValue") == stored
    assert objects(processed, "resh:0", "fieldValue") == stored


def test_request_headers_are_numbered_as_given_even_where_they_are_nothing() -> None:
    processed = ingest(item(requestHeaders=[None, {"name": "a", "value": "b"}, 5, {"name": "COOKIE"}]))
    assert objects(processed, "", "reqHeader") == {f"urn:req:r:hdr:{index}" for index in range(4)}
    assert objects(processed, "hdr:0", "fieldName") == {""}
    assert objects(processed, "hdr:3", "fieldName") == {"COOKIE"}
    assert objects(processed, "hdr:3", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type") == {EX + "Cookie"}


def test_response_headers_are_numbered_after_cookies_were_split_and_the_nameless_dropped() -> None:
    cookies = {"name": "Set-Cookie", "value": " a=1\r\n\r\nb=2; domain= .x.test ;Domain=y\n=c\nd; Domain="}
    processed = ingest(
        with_response(headers=[None, {"value": "v"}, {"name": 7}, cookies, {"name": "Via", "value": "x"}])
    )
    assert objects(processed, "res", "resHeader") == {f"urn:req:r:resh:{index}" for index in range(5)}
    assert [objects(processed, f"resh:{index}", "cookieName") for index in range(5)] == [
        {"a"}, {"b"}, set(), set(), set(),
    ]  # fmt: skip
    assert [objects(processed, f"resh:{index}", "cookieDomain") for index in range(5)] == [
        set(), {".x.test"}, set(), set(), set(),
    ]  # fmt: skip
    assert objects(processed, "resh:4", "fieldName") == {"Via"}


@pytest.mark.parametrize(
    ("response", "numbers", "reasons"),
    [
        pytest.param({"status": 0}, {"0"}, set(), id="zero-counts"),
        pytest.param({"status": 200.5}, {"200.5"}, set(), id="fraction-as-given"),
        pytest.param({"status": "404", "reason": "x"}, set(), {"x"}, id="text-is-no-number"),
        pytest.param({"status": True, "reason": 5}, set(), {"5"}, id="true-is-no-number"),
        pytest.param({}, set(), set(), id="empty"),
        pytest.param({"status": [200], "reason": ""}, set(), set(), id="list"),
    ],
)
def test_a_status_is_stored_when_it_is_a_number_or_has_a_reason(
    response: dict[str, Any], numbers: set[str], reasons: set[str]
) -> None:
    processed = ingest(with_response(**response))
    assert objects(processed, "", "resp") == {"urn:req:r:res"}
    assert objects(processed, "sc", "statusCodeNumber") == numbers
    assert objects(processed, "sc", "reasonPhrase") == reasons
    assert bool(objects(processed, "res", "sc")) == bool(numbers | reasons)


@pytest.mark.parametrize("response", [5, "x", True, [], ["x"]])
def test_a_response_that_is_no_object_is_still_a_response(response: Any) -> None:
    assert len(ingest(item(response=response)).quads) == 8


@pytest.mark.parametrize("response", [None, 0, "", False])
def test_no_response_is_stored_when_there_is_none(response: Any) -> None:
    assert len(ingest(item(response=response)).quads) == 6


@pytest.mark.parametrize(
    ("authority", "stored"),
    [
        pytest.param("a.test", {"a.test"}, id="text"),
        pytest.param(False, {"false"}, id="false-counts"),
        pytest.param([], {""}, id="list"),
        pytest.param("", set(), id="empty-is-none"),
        pytest.param(None, set(), id="null-is-none"),
    ],
)
def test_a_connection_is_stored_with_its_authority(authority: Any, stored: set[str]) -> None:
    assert objects(ingest(item(connection={"authority": authority})), "conn", "connectionAuthority") == stored


def test_exchanges_go_to_the_graph_that_they_ask_for() -> None:
    processed = ingest(item("a", graph="http://g/1"), item("b"), item("c", graph=["http://g/1"]))
    assert processed.replaced == [("http://g/1", "urn:req:a"), (GRAPH, "urn:req:b"), ("http://g/1", "urn:req:c")]
    assert {q.graph_name for q in processed.quads} == {ox.NamedNode("http://g/1"), ox.NamedNode(GRAPH)}


def test_of_an_id_that_comes_twice_the_last_counts_as_if_they_had_been_two_jobs() -> None:
    first = with_uri(path="/1", scheme="http")
    second = item(1.0) | {"id": "r", "uri": {"full": "http://x.test/2", "path": "/2"}}
    processed = ingest(first, item("other"), second)
    assert processed.quads == ingest(second, item("other")).quads
    assert processed.replaced == [(GRAPH, "urn:req:r"), (GRAPH, "urn:req:other")]
    assert processed.value()["count"] == 3
    assert processed.report.lines == ["1 of 3 items came again later: the last of each id counts"]


def test_an_id_in_two_graphs_is_two_resources() -> None:
    processed = ingest(item(), item(graph="http://g/1"))
    assert len(processed.quads) == 12
    assert processed.report.lines == []


def test_settings_name_the_ontology_and_the_graph() -> None:
    processed = ingest(
        item(bodyBase64="eA=="),
        ontEx="http://example.org/onto",
        ontContent="http://example.org/content",
        httpRequestsNameGraph="http://example.org/g",
    )
    assert {q.graph_name.value for q in processed.quads} == {"http://example.org/g"}  # type: ignore[union-attr]
    assert {q.predicate.value.partition("#")[0] for q in processed.quads} == {
        "http://example.org/onto",
        "http://www.w3.org/1999/02/22-rdf-syntax-ns",
    }
    [body] = [q.object for q in processed.quads if q.predicate.value.endswith("#body")]
    assert isinstance(body, ox.Literal)
    assert body.datatype.value == "http://example.org/content#ContentAsBase64"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("ontEx", "onto", id="relative"),
        pytest.param("ontContent", "http://x#y", id="has-a-fragment"),
        pytest.param("httpRequestsNameGraph", 5, id="number"),
        pytest.param("findingsNameGraph", "http://x y", id="blank"),
        pytest.param("ontEx", "urn:\ud800", id="half-a-surrogate-pair"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^setting {setting}: expected an absolute IRI such as http"):
        ingest(item(), **{setting: value})


def test_a_large_body_takes_linear_time() -> None:
    megabytes = {size: "QUJD" * (size * 262_144) for size in (2, 20)}
    seconds = {}
    for size, body in megabytes.items():
        start = time.process_time()
        quads = ingest(with_response(bodyBase64=body)).quads
        seconds[size] = time.process_time() - start
        assert max(len(q.object.value) for q in quads if isinstance(q.object, ox.Literal)) == len(body)
    assert seconds[20] < 20 * seconds[2] + 1


def test_a_thousand_exchanges_take_seconds_at_most() -> None:
    items = [WORKED | {"id": f"req-{index}"} for index in range(1_000)]
    start = time.process_time()
    processed = ingest(*items)
    took = time.process_time() - start
    assert len(processed.quads) == 71_000
    assert took < 5
