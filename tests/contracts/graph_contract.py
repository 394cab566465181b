"""What every graph store does with what a runner writes: a test module subclasses GraphContract for each store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, ClassVar

import pyoxigraph as ox
import pytest
import rdflib
from rdflib.plugins.stores.sparqlstore import SPARQLStore
from SPARQLWrapper import GET, JSON, POST, POSTDIRECTLY, TURTLE, SPARQLWrapper

from bullpen_processors.api import Quads, Resource, UpdateText
from bullpen_runner.graph import (
    ALIKE,
    GraphStore,
    StoreAccessError,
    StoreAwayError,
    StoreRefusedError,
)
from bullpen_runner.graph_update import CHUNK_TRIPLES, to_ascii
from bullpen_runner.graph_write import ONE_BODY_BYTES
from fakes.graph_proxy import Drips, Fault, GraphProxy, Lost, Said
from servers.graph import GraphServer

TIMEOUT_S = 60.0
EX = "http://localhost/onto/ontowebpt#"
TEXT = 'é 😀 "'

HOSTILE = {
    "quote": '"',
    "apostrophe": "'",
    "three quotes": 'a """ b',
    "three apostrophes": "a ''' b",
    "backslash": "\\",
    "backslash at the end": "a\\",
    "line feed": "a\nb",
    "carriage return": "a\r\nb\r",
    "tab, backspace, form feed": "\t\b\f",
    "NUL": "a\x00b",
    "escape": "\x1b[31m",
    "delete": "\x7f",
    "next line": "\x85",
    "line separator": "a\u2028b\u2029",
    "noncharacter": "\uffff\ufffe",
    "emoji": "😀👩‍💻",
    "byte order mark": "\ufeffa",
    "injection": 'x" } } ; DROP ALL #',
    "injection after a backslash": '\\" } } ; DROP ALL #',
    "code point escape": "\\u0022 } } ; DROP ALL #",
    "long code point escape": "\\U00000022",
    "end of a triple": "a .\nb .\n<urn:x> <urn:y> <urn:z> .\n",
    "spaces": "  a  ",
}


def node(iri: str) -> ox.NamedNode:
    return ox.NamedNode(iri)


def quad(graph: str, subject: str, predicate: str, value: ox.NamedNode | ox.Literal | str) -> ox.Quad:
    """A quad; a str is a literal."""
    term = ox.Literal(value) if isinstance(value, str) else value
    return ox.Quad(node(subject), node(EX + predicate), term, node(graph))


def request_of(graph: str, number: int, *, header: str = "a") -> Quads:
    """A small picture of what http-ingest writes: request -> URI -> parameter, request -> response -> header."""
    root = f"urn:req:{number}"
    links = [(root, "uriRequest", f"{root}:uri"), (root, "resp", f"{root}:res"), (root, "mthd", f"{EX}GET")]
    links += [(f"{root}:uri", "param", f"{root}:param:0"), (f"{root}:res", "resHeader", f"{root}:res:h:0")]
    quads = [quad(graph, subject, name, node(target)) for subject, name, target in links]
    quads += [quad(graph, root, "id", str(number)), quad(graph, f"{root}:res:h:0", "fieldValue", header)]
    quads += [quad(graph, f"{root}:param:0", "nameParameter", "q")]
    return Quads(quads, [Resource(graph, root)])


class GraphContract:
    transactions: ClassVar[bool]
    """Whether the store has RDF4J's transactions."""
    union: ClassVar[bool]
    """Whether a pattern without GRAPH sees all graphs."""
    keeps_int: ClassVar[bool]
    """Whether xsd:int stays what it is; oxigraph keeps numbers by value, and all whole ones as xsd:integer."""

    @pytest.fixture
    def server(self) -> GraphServer:
        raise NotImplementedError

    @pytest.fixture
    def graph(self, request: pytest.FixtureRequest) -> str:
        """A graph of the test's own."""
        return f"urn:graph:{request.node.name}".replace("[", ":").replace("]", "").replace(" ", "-")

    def put(self, server: GraphServer, write: Quads | UpdateText) -> int:
        store = server.store()
        return store.write(store.prepare(write), TIMEOUT_S)

    # -- text

    def test_text_comes_back_as_it_went(self, server: GraphServer, graph: str) -> None:
        status = self.put(server, Quads([quad(graph, "urn:é", "é😀", TEXT)]))
        assert 200 <= status < 300
        assert server.triples(graph) == {("urn:é", f"{EX}é😀", TEXT)}

    def test_update_text_is_sent_unchanged(self, server: GraphServer, graph: str) -> None:
        update = f"# {TEXT}\nINSERT DATA {{ GRAPH <{graph}> {{ <urn:é> <urn:p> 'é 😀 \"' }} }}"
        self.put(server, UpdateText(update))
        assert server.triples(graph) == {("urn:é", "urn:p", TEXT)}

    def test_hostile_strings_stay_strings(self, server: GraphServer, graph: str) -> None:
        quads = [quad(graph, f"urn:hostile:{number}", "value", text) for number, text in enumerate(HOSTILE.values())]
        self.put(server, Quads(quads, [Resource(graph, "urn:nothing")]))
        stored = {subject: value for subject, _, value in server.triples(graph)}
        assert {name: stored[f"urn:hostile:{number}"] for number, name in enumerate(HOSTILE)} == HOSTILE

    def test_typed_and_tagged_literals_keep_their_kind(self, server: GraphServer, graph: str) -> None:
        values = [
            ox.Literal("200", datatype=node("http://www.w3.org/2001/XMLSchema#int")),
            ox.Literal("é", language="fr"),
        ]
        self.put(server, Quads([quad(graph, "urn:a", f"p{n}", value) for n, value in enumerate(values)]))
        rows = server.rows(f"SELECT (STR(DATATYPE(?v)) AS ?t) (LANG(?v) AS ?l) {{ GRAPH <{graph}> {{ ?s ?p ?v }} }}")
        number = "int" if self.keeps_int else "integer"
        assert {(row["t"].rpartition("#")[2], row["l"]) for row in rows} == {("langString", "fr"), (number, "")}

    # -- size

    def test_a_result_of_3_mb_is_stored_whole(self, server: GraphServer, graph: str) -> None:
        body = "é" * 1_000_000
        quads = [quad(graph, "urn:body", "body", body)]
        quads += [quad(graph, f"urn:n:{number}", "value", "x" * 100) for number in range(8_000)]
        self.put(server, Quads(quads))
        rows = server.rows(f"SELECT ?v {{ GRAPH <{graph}> {{ <urn:body> ?p ?v }} }}")
        assert (server.count(graph), rows) == (8_001, [{"v": body}])

    def test_a_write_over_8_mb_is_stored_whole_and_replaces(self, server: GraphServer, graph: str) -> None:
        self.put(server, Quads([quad(graph, "urn:big", "stale", "1")]))
        prepared = server.store().prepare(self.big(graph))
        server.store().write(prepared, TIMEOUT_S)
        assert prepared.size > ONE_BODY_BYTES
        assert server.count(graph) == CHUNK_TRIPLES + 2
        assert server.rows(f"SELECT ?v {{ GRAPH <{graph}> {{ <urn:big> <{EX}stale> ?v }} }}") == []

    def test_a_write_over_8_mb_goes_in_a_transaction_where_there_is_one(self, server: GraphServer, graph: str) -> None:
        proxy = GraphProxy(server)
        with proxy.running() as watched:
            store = watched.store()
            store.write(store.prepare(self.big(graph)), TIMEOUT_S)
        actions = [target.partition("?action=")[2] for method, target, _ in proxy.seen if method == "PUT"]
        assert actions == (["UPDATE", "ADD", "ADD", "COMMIT"] if self.transactions else [])

    @pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
    def test_nothing_is_seen_of_a_write_whose_fence_is_void(self, server: GraphServer, graph: str, large: bool) -> None:
        def stop() -> None:
            raise InterruptedError

        proxy = GraphProxy(server)
        with proxy.running() as watched:
            store = watched.store()
            with pytest.raises(InterruptedError):
                store.write(store.prepare(self.big(graph) if large else request_of(graph, 1)), TIMEOUT_S, stop)
        assert server.count(graph) == 0
        rolled_back = ["POST", "PUT", "PUT", "PUT", "DELETE"] if large and self.transactions else []
        assert [method for method, _, status in proxy.seen if status < 300] == rolled_back

    def big(self, graph: str) -> Quads:
        quads = [
            quad(graph, f"urn:big:{number}", "value", f"{number}" + "x" * 400) for number in range(CHUNK_TRIPLES + 1)
        ]
        return Quads([*quads, quad(graph, "urn:big", "value", "1")], [Resource(graph, "urn:big")])

    # -- writing again

    def test_written_twice_is_the_same_graph(self, server: GraphServer, graph: str) -> None:
        self.put(server, request_of(graph, 1))
        once = server.triples(graph)
        self.put(server, request_of(graph, 1))
        assert (len(once), server.triples(graph)) == (8, once)

    def test_what_a_resource_no_longer_says_is_gone(self, server: GraphServer, graph: str) -> None:
        self.put(server, request_of(graph, 1, header="old"))
        root = "urn:req:1"
        self.put(server, Quads([quad(graph, root, "id", "new")], [Resource(graph, root)]))
        assert server.triples(graph) == {(root, f"{EX}id", "new")}

    def test_what_others_added_to_a_finding_stays_and_the_rest_is_replaced(
        self, server: GraphServer, graph: str
    ) -> None:
        root = "urn:finding:shared"
        for site, severity in (("a", "HIGH"), ("b", "LOW")):
            quads = [quad(graph, root, "site", site), quad(graph, root, "severity", severity)]
            self.put(server, Quads(quads, findings=[Resource(graph, root)], adds=[EX + "site"]))
        assert server.triples(graph) == {
            (root, f"{EX}site", "a"), (root, f"{EX}site", "b"), (root, f"{EX}severity", "LOW"),
        }  # fmt: skip

    def test_neighbours_are_not_touched(self, server: GraphServer, graph: str) -> None:
        other = graph + ":other"
        neighbours = [
            *request_of(graph, 10).quads,
            *request_of(other, 1).quads,
            quad(graph, "urn:req:1:unlinked", "value", "not reached from its parent"),
            quad(graph, "urn:req:1x", "value", "1"),
            quad(graph, f"{EX}GET", "label", "linked, but not below the resource"),
            quad(graph, "urn:finding:1", "of", node("urn:req:1")),
        ]
        lookalike = quad(graph, "urn:req:1", "literal", "urn:req:1:unlinked")
        self.put(server, Quads([*request_of(graph, 1).quads, *neighbours, lookalike]))
        self.put(server, Quads([], [Resource(graph, "urn:req:1")]))
        left = {
            ox.Quad(node(row["s"]), node(row["p"]), value, node(row["g"]))
            for row in server.rows(
                f"SELECT * {{ VALUES ?g {{ <{graph}> <{other}> }} GRAPH ?g {{ ?s ?p ?o }} BIND(ISIRI(?o) AS ?link) }}"
            )
            for value in [node(row["o"]) if row["link"] == "true" else ox.Literal(row["o"])]
        }
        assert left == set(neighbours)

    def test_a_subject_three_links_below_its_resource_is_its_own(self, server: GraphServer, graph: str) -> None:
        names = ["urn:a", "urn:a:1", "urn:a:1:2", "urn:a:3", "urn:a:4"]
        links = [quad(graph, start, "next", node(end)) for start, end in pairwise(names)]
        self.put(server, Quads(links))
        self.put(server, Quads([], [Resource(graph, "urn:a")]))
        assert server.triples(graph) == set()

    def test_a_graph_that_is_not_there_is_an_empty_one(self, server: GraphServer, graph: str) -> None:
        self.put(server, Quads([], [Resource(graph, "urn:a")]))
        self.put(server, UpdateText(f"CLEAR SILENT GRAPH <{graph}>"))
        assert server.count(graph) == 0

    def test_many_resources_are_replaced_at_once(self, server: GraphServer, graph: str) -> None:
        writes = [request_of(graph, number) for number in range(200)]
        for others in (0, 6_000 if self.transactions else 0):  # RDF4J reads no update with so many operations
            resources = [resource for write in writes for resource in write.replaces]
            resources += [Resource(graph, f"urn:req:none:{number}") for number in range(others)]
            self.put(server, Quads([one for write in writes for one in write.quads], resources))
        assert server.count(graph) == 8 * 200

    # -- refusals and outages

    @pytest.mark.parametrize("update", ["garbage {", "INSERT DATA { GRAPH <urn:x> { <urn:a> <urn:b> 'c' "])
    def test_a_wrong_update_is_refused_for_good_without_its_text(self, server: GraphServer, update: str) -> None:
        secret = "a-payload-that-nobody-should-read-in-a-log"
        with pytest.raises(StoreRefusedError, match="it answered 400") as refused:
            self.put(server, UpdateText(f"{update} # {secret}\n'{secret}"))
        assert secret not in str(refused.value)

    def test_a_second_operation_that_fails_undoes_the_first(self, server: GraphServer, graph: str) -> None:
        self.put(server, UpdateText("CREATE SILENT GRAPH <urn:there>"))
        self.put(server, UpdateText("INSERT DATA { GRAPH <urn:there> { <urn:a> <urn:p> 1 } }"))
        update = f"INSERT DATA {{ GRAPH <{graph}> {{ <urn:a> <urn:p> 1 }} }} ; CREATE GRAPH <urn:there>"
        with pytest.raises(StoreAwayError, match="it answered 500"):
            self.put(server, UpdateText(update))
        assert server.count(graph) == 0

    def test_a_500_that_repeats_while_other_writes_are_taken_is_permanent(self, server: GraphServer) -> None:
        self.put(server, UpdateText("INSERT DATA { GRAPH <urn:there> { <urn:a> <urn:p> 1 } }"))
        store = server.store()
        prepared = store.prepare(UpdateText("CREATE GRAPH <urn:there>"))
        for _ in range(ALIKE - 1):
            with pytest.raises(StoreAwayError, match="it answered 500"):
                store.write(prepared, TIMEOUT_S)
        with pytest.raises(StoreRefusedError, match="it answered 500"):
            store.write(prepared, TIMEOUT_S)
        assert server.triples("urn:bullpen:probe") == set()

    def test_a_500_of_a_store_that_takes_no_write_is_an_outage(self, server: GraphServer, graph: str) -> None:
        with self.spoilt(server, lambda *_: Said(500, b"disk full")) as store:
            for _ in range(2 * ALIKE):
                with pytest.raises(StoreAwayError, match="disk full"):
                    store.write(store.prepare(UpdateText("INSERT DATA {}")), TIMEOUT_S)

    @pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
    def test_a_store_that_says_later_is_away(self, server: GraphServer, status: int) -> None:
        with (
            self.spoilt(server, lambda *_: Said(status)) as store,
            pytest.raises(StoreAwayError, match=f"it answered {status}"),
        ):
            store.write(store.prepare(UpdateText("INSERT DATA {}")), TIMEOUT_S)

    def test_a_lost_answer_is_an_outage_and_the_repeat_changes_nothing(self, server: GraphServer, graph: str) -> None:
        faults = iter([Lost()])
        with self.spoilt(server, lambda *_: next(faults, None)) as store:
            prepared = store.prepare(request_of(graph, 1))
            with pytest.raises(StoreAwayError, match="the connection broke"):
                store.write(prepared, TIMEOUT_S)
            stored = server.triples(graph)
            store.write(prepared, TIMEOUT_S)
        assert (len(stored), server.triples(graph)) == (8, stored)

    def test_an_answer_that_drips_in_is_cut_off_at_the_deadline(self, server: GraphServer) -> None:
        with (
            self.spoilt(server, lambda *_: Drips()) as store,
            pytest.raises(StoreAwayError, match=r"nothing came within 0.5 s"),
        ):
            store.write(store.prepare(UpdateText("INSERT DATA {}")), 0.5)

    def test_the_right_password_is_taken_and_a_wrong_one_is_a_fault_of_the_configuration(
        self, server: GraphServer
    ) -> None:
        prepared = server.store().prepare(UpdateText("INSERT DATA {}"))
        # the embedded store and oxigraph ask for no password: there, what stands before them does
        proxy = GraphProxy(server, password=None if server.username else ("bullpen", "p:a ss"))
        with proxy.running() as asked:
            store = asked.store(graph_username="bullpen", graph_password="p:a ss")
            assert 200 <= store.write(prepared, TIMEOUT_S) < 300
            for username, password in (("bullpen", "wrong"), (None, None)):
                wrong = asked.store(graph_username=username, graph_password=password)
                with pytest.raises(StoreAccessError, match="it answered 401"):
                    wrong.write(prepared, TIMEOUT_S)

    def test_a_place_that_is_not_there_is_a_fault_of_the_configuration(self, server: GraphServer) -> None:
        update_url = f"{server.update_url}-not" if server.update_url else None
        elsewhere = server.store(graph_url=f"{server.query_url}-not", graph_update_url=update_url)
        with pytest.raises(StoreAccessError, match=r"it answered 404"):
            elsewhere.write(elsewhere.prepare(UpdateText("INSERT DATA {}")), TIMEOUT_S)

    @contextmanager
    def spoilt(self, server: GraphServer, fault: Callable[[str, str, bytes], Fault | None]) -> Iterator[GraphStore]:
        """A client of the store, with faults in between."""
        with GraphProxy(server, fault).running() as spoilt:
            yield spoilt.store()

    # -- reading with the libraries that people use

    @pytest.mark.parametrize("method", [GET, POST])
    def test_sparqlwrapper_reads_what_was_written(self, server: GraphServer, graph: str, method: str) -> None:
        self.put(server, Quads([quad(graph, "urn:é", "value", TEXT)]))
        select = f'SELECT ?v {{ GRAPH <{graph}> {{ <urn:é> ?p ?v FILTER(CONTAINS(?v, "é 😀")) }} }}'
        found: Any = self.wrapper(server, select, method).query().convert()
        assert [row["v"]["value"] for row in found["results"]["bindings"]] == [TEXT]
        asked: Any = self.wrapper(server, f'ASK {{ GRAPH <{graph}> {{ ?s ?p "é 😀 \\"" }} }}', method).query().convert()
        assert asked["boolean"] is True

    def test_sparqlwrapper_constructs_and_updates(self, server: GraphServer, graph: str) -> None:
        update = f'INSERT DATA {{ GRAPH <{graph}> {{ <urn:é> <{EX}value> "é 😀 \\"" }} }}'
        wrapper = self.wrapper(server, update, POST, server.store().endpoint.url.geturl())
        wrapper.setRequestMethod(POSTDIRECTLY)
        wrapper.query()
        construct = self.wrapper(server, f"CONSTRUCT {{ ?s ?p ?o }} {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}", POST)
        construct.setReturnFormat(TURTLE)
        turtle: Any = construct.query().convert()
        triples = rdflib.Graph().parse(data=turtle, format="turtle")
        assert list(triples) == [(rdflib.URIRef("urn:é"), rdflib.URIRef(f"{EX}value"), rdflib.Literal(TEXT))]

    def test_rdflib_reads_what_was_written(self, server: GraphServer, graph: str) -> None:
        self.put(server, Quads([quad(graph, "urn:é", "value", TEXT)]))
        auth = (server.username, server.password or "") if server.username else None
        remote = rdflib.Graph(SPARQLStore(server.query_url, returnFormat="json", auth=auth))
        rows: list[Any] = list(remote.query(f"SELECT ?v {{ GRAPH <{graph}> {{ <urn:é> ?p ?v }} }}"))
        assert [str(row[0]) for row in rows] == [TEXT]

    def test_a_pattern_without_graph_sees_what_the_store_says_it_sees(self, server: GraphServer, graph: str) -> None:
        self.put(server, Quads([quad(graph, "urn:only-here", "value", "1")]))
        rows = server.rows("SELECT ?v { <urn:only-here> ?p ?v }")
        assert rows == ([{"v": "1"}] if self.union else [])

    def wrapper(self, server: GraphServer, text: str, method: str, url: str | None = None) -> SPARQLWrapper:
        """SPARQLWrapper names no charset, and Tomcat then reads ISO-8859-1: the remedy is to send ASCII."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapper = SPARQLWrapper(url or server.query_url, returnFormat=JSON)
        wrapper.setMethod(method)
        if server.username:
            wrapper.setCredentials(server.username, server.password)
        wrapper.setQuery(to_ascii(text).decode())
        return wrapper
