"""A graph store behind https, with a certificate that only the tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bullpen_processors.api import UpdateText
from bullpen_runner.graph import StoreAccessError, StoreAwayError
from fakes.graph_proxy import Drips, GraphProxy, Said
from servers.graph import GraphServer
from support import ROOT

CERTIFICATE: Path = ROOT / "tests" / "fakes" / "localhost.pem"
NOWHERE = GraphServer("none", "http://127.0.0.1:1/repositories/r")
BIG = "# " + "x" * 3_000_000


@pytest.fixture
def proxy() -> GraphProxy:
    return GraphProxy(NOWHERE, lambda *_: Said(204), tls=CERTIFICATE)


@pytest.fixture
def server(proxy: GraphProxy) -> Iterator[GraphServer]:
    with proxy.running() as server:
        yield server


def test_a_trusted_store_is_written_to(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    store = server.store()
    assert store.write(store.prepare(UpdateText(BIG)), 10.0) == 204


def test_a_certificate_that_is_not_trusted_is_a_fault_of_the_configuration(
    server: GraphServer, proxy: GraphProxy
) -> None:
    store = server.store()
    with pytest.raises(StoreAccessError, match="certificate is not trusted"):
        store.write(store.prepare(UpdateText("INSERT DATA {}")), 10.0)
    assert proxy.seen == []


def test_the_deadline_holds_inside_tls(server: GraphServer, proxy: GraphProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    proxy.fault = lambda *_: Drips()
    store = server.store()
    with pytest.raises(StoreAwayError, match=r"nothing came within 0\.5 s"):
        store.write(store.prepare(UpdateText("INSERT DATA {}")), 0.5)
