"""The operator's client of a graph store, on real ones and on stores that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from bullpen_operator import graph_store
from bullpen_operator.graph_store import HttpStore, StorePlace, StorePlaceError
from bullpen_operator.ports import StoreRefusedError, StoreUnavailableError
from contracts.store_contract import RECORD, StoreContract, StoreRig
from fakes.graph_proxy import Drips, Fault, GraphProxy, Lost, Said
from servers.graph import GraphServer, embedded, oxigraph

pytestmark = pytest.mark.xdist_group("embedded-graph")


def store_of(server: GraphServer) -> HttpStore:
    return HttpStore(StorePlace(server.query_url, server.update_url, server.username, server.password))


async def reasons(server: GraphServer) -> list[str]:
    query = f"SELECT ?r {{ GRAPH <{RECORD.attempt}> {{ ?a <https://bullpen.dev/ns#reason> ?r }} }}"
    return [row["r"] for row in await asyncio.to_thread(server.rows, query)]


@pytest.fixture(scope="module")
def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    with embedded(tmp_path_factory.mktemp("embedded")) as server:
        yield server


class OnServer(StoreContract):
    @pytest.fixture
    async def rig(self, server: GraphServer) -> AsyncIterator[StoreRig]:
        line = GraphProxy(server)
        running = line.running()
        store = store_of(running.__enter__())
        gone = False

        async def go_away() -> None:
            nonlocal gone
            gone = True
            await asyncio.to_thread(running.__exit__, None, None, None)

        yield StoreRig(store, lambda: reasons(server), go_away)
        if not gone:
            await go_away()


class TestEmbedded(OnServer):
    @pytest.fixture
    def server(self, embedded_store: GraphServer) -> GraphServer:
        return embedded_store


class TestOxigraph(OnServer):
    @pytest.fixture
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
        with oxigraph(tmp_path_factory.mktemp("oxigraph") / "data") as server:
            yield server


@pytest.fixture
def server(embedded_store: GraphServer) -> GraphServer:
    return embedded_store


async def asked(server: GraphServer, fault: Fault | None, what: str, **place: str) -> GraphProxy:
    """Ask a store with a *fault*; returns the proxy before it."""
    proxy = GraphProxy(server, lambda *_: fault)
    with proxy.running() as seen:
        store = HttpStore(StorePlace(seen.query_url, **place))
        await (store.probe() if what == "probe" else store.update(RECORD.insert_once()))
    return proxy


@pytest.mark.parametrize("what", ["probe", "update"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Said(401), "the graph store's URL or credentials are wrong: it answered 401 Unauthorized"),
        (Said(404), "the graph store's URL or credentials are wrong: it answered 404 Not Found"),
        (Said(302), "the graph store's URL or credentials are wrong: it answered 302 Found"),
        (Said(503), "the graph store answered 503 Service Unavailable"),
        (Said(429), "the graph store answered 429 Too Many Requests"),
        (Said(500), "the graph store answered 500 Internal Server Error"),
        (Lost(), "the graph store gave no answer: the connection broke"),
    ],
    ids=repr,
)
async def test_an_answer_that_says_nothing_of_the_record_is_an_outage(
    server: GraphServer, fault: Fault, sentence: str, what: str
) -> None:
    with pytest.raises(StoreUnavailableError) as error:
        await asked(server, fault, what)
    assert str(error.value) == sentence


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_a_refusal_for_good_quotes_the_store_in_one_bounded_line(server: GraphServer, status: int) -> None:
    with pytest.raises(StoreRefusedError) as error:
        await asked(server, Said(status, b"no\n\x1b[31m" + b"x" * 5000), "update")
    assert f"answered {status} " in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


async def test_a_store_that_drips_is_left(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_store, "PROBE_TIMEOUT_S", 0.5)
    with pytest.raises(StoreUnavailableError, match=r"gave no answer within 0\.5 s"):
        await asked(server, Drips(), "probe")


@pytest.mark.parametrize(("others", "refused"), [(None, True), (Said(500), False)])
async def test_one_update_that_fails_again_and_again_is_refused_if_others_pass(
    server: GraphServer, others: Fault | None, refused: bool
) -> None:
    mine = RECORD.attempt.encode()
    proxy = GraphProxy(server, lambda _method, _target, body: Said(500) if mine in body else others)
    with proxy.running() as seen:
        store = store_of(seen)
        for _ in range(graph_store.ALIKE - 1):
            with pytest.raises(StoreUnavailableError):
                await store.update(RECORD.insert_once())
        with pytest.raises(StoreRefusedError if refused else StoreUnavailableError):
            await store.update(RECORD.insert_once())


async def test_name_and_password_are_sent(server: GraphServer) -> None:
    proxy = GraphProxy(server, password=("bullpen", "pä:ss"))
    with proxy.running() as seen:
        await HttpStore(StorePlace(seen.query_url, username="bullpen", password="pä:ss")).update(RECORD.insert_once())
        with pytest.raises(StoreUnavailableError, match="401"):
            await HttpStore(StorePlace(seen.query_url, username="bullpen", password="wrong")).probe()
    assert await reasons(server) == [RECORD.reason]


@pytest.mark.parametrize(
    ("url", "update_url", "sentence"),
    [
        ("http://s/query", None, "url does not end in /repositories/NAME, so updateUrl is needed as well"),
        ("ftp://s/repositories/r", None, "url is not an http:// or https:// URL"),
        ("http://[s/repositories/r", None, "url is not an http:// or https:// URL"),
        ("http://u:secret@s/repositories/r", None, "url holds credentials; move them to username and password"),
        ("http://s/query", "s/update", "updateUrl is not an http:// or https:// URL"),
    ],
)
def test_a_place_that_can_be_none_is_said(url: str, update_url: str | None, sentence: str) -> None:
    with pytest.raises(StorePlaceError) as error:
        HttpStore(StorePlace(url, update_url))
    assert str(error.value) == sentence
