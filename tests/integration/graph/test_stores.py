"""The graph contract on the embedded store, on `oxigraph serve`, and on RDF4J's server under Tomcat."""

from __future__ import annotations

from collections.abc import Iterator

import pyoxigraph as ox
import pytest

from bullpen_processors.api import Quads
from bullpen_runner.graph import StoreRefusedError
from contracts.graph_contract import TIMEOUT_S, GraphContract, quad
from contracts.provenance_contract import ProvenanceContract
from servers.graph import MEMORY, SHACL, SHACL_SHAPES, GraphServer, embedded, oxigraph, rdf4j, rdf4j_repository


@pytest.fixture(scope="module")
def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    with embedded(tmp_path_factory.mktemp("embedded")) as server:
        yield server


@pytest.fixture(scope="module")
def oxigraph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    with oxigraph(tmp_path_factory.mktemp("oxigraph") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def tomcat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    """RDF4J's server, without a repository; 8 s or more to start."""
    with rdf4j(tmp_path_factory.mktemp("rdf4j")) as server:
        yield server


@pytest.fixture(scope="module")
def rdf4j_memory(tomcat: GraphServer) -> GraphServer:
    return rdf4j_repository(tomcat, "contract", MEMORY)


@pytest.mark.xdist_group("embedded-graph")
class TestEmbedded(GraphContract, ProvenanceContract):
    transactions = False
    union = True
    keeps_int = False

    @pytest.fixture
    def server(self, embedded_store: GraphServer) -> GraphServer:
        return embedded_store


@pytest.mark.xdist_group("oxigraph")
class TestOxigraph(GraphContract, ProvenanceContract):
    transactions = False
    union = False
    keeps_int = False

    @pytest.fixture
    def server(self, oxigraph_server: GraphServer) -> GraphServer:
        return oxigraph_server


@pytest.mark.xdist_group("rdf4j")
class TestRdf4j(GraphContract, ProvenanceContract):
    transactions = True
    union = True
    keeps_int = True

    @pytest.fixture
    def server(self, rdf4j_memory: GraphServer) -> GraphServer:
        return rdf4j_memory


RDF_TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
SHAPES = """
    @prefix sh: <http://www.w3.org/ns/shacl#> .
    [] a sh:NodeShape ; sh:targetClass <urn:Header> ; sh:property [ sh:path <urn:fieldValue> ; sh:minCount 1 ] .
"""


@pytest.mark.xdist_group("rdf4j")
@pytest.mark.parametrize("copies", [1, 25_000], ids=["one-body", "transaction"])
def test_results_that_break_a_shape_are_refused_whole_with_the_shape_named(tomcat: GraphServer, copies: int) -> None:
    server = rdf4j_repository(tomcat, f"shacl-{copies}", SHACL)
    shapes = f"{server.query_url}/rdf-graphs/service?graph={SHACL_SHAPES.replace('#', '%23')}"
    assert server.request("POST", shapes, SHAPES.encode(), {"Content-Type": "text/turtle"})[0] == 204
    node = ox.NamedNode("urn:header:1"), ox.NamedNode("urn:Header"), ox.NamedNode("urn:g")
    typed = ox.Quad(node[0], RDF_TYPE, node[1], node[2])
    rest = [quad("urn:g", f"urn:n:{number}", "value", "x" * 400) for number in range(copies)]
    store = server.store()
    with pytest.raises(
        StoreRefusedError, match=r"409 .*1 SHACL violation.*MinCount.*<urn:fieldValue> at <urn:header:1>"
    ):
        store.write(store.prepare(Quads([typed, *rest])), TIMEOUT_S)
    assert server.count("urn:g") == 0
