"""http-ingest on anything that JSON can hold: a result of valid quads or one refusal, never another exception."""

from __future__ import annotations

from typing import Any

import pyoxigraph as ox
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen_processors.api import UnusableInputError
from bullpen_processors.http.ingest import HttpIngest
from bullpen_processors.sparql.update import SparqlUpdate
from bullpen_runner.graph_update import prepare
from bullpen_runner.values import dump_value
from fakes.processing import Processed, process

TEXTS = st.text(st.characters(codec=None), max_size=12) | st.sampled_from([
    "", " ", "set-cookie", "Set-Cookie", "content-type", "a=1; Domain=x\nb=2", "http://g/1", "> } ; DROP ALL #",
    "\ud800", "\x00", "%", "%zz", "é😀",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
PAIRS = st.lists(st.fixed_dictionaries({}, optional={"name": SCALARS, "value": JSON}) | JSON, max_size=3)
URIS = st.fixed_dictionaries(
    {"full": TEXTS},
    optional=dict.fromkeys(("scheme", "authority", "path", "fragment", "queryRaw", "queryXml"), SCALARS)
    | {"params": PAIRS | JSON},
)
RESPONSES = st.fixed_dictionaries(
    {}, optional={"status": JSON, "reason": JSON, "httpVersion": JSON, "bodyBase64": JSON, "headers": PAIRS | JSON}
)
ITEMS = st.fixed_dictionaries(
    {"id": JSON, "method": JSON, "uri": URIS},
    optional={
        "requestHeaders": PAIRS | JSON, "response": RESPONSES | JSON, "graph": st.just("http://g/1") | JSON,
        "connection": st.fixed_dictionaries({"authority": JSON}) | JSON, "bodyBase64": JSON, "httpVersion": JSON,
    },
)  # fmt: skip
BATCHES = st.lists(ITEMS, min_size=1, max_size=3)
COMPLETE = {"method": "GET", "uri": {"full": "http://x.test/"}}


def processed(payload: Any) -> Processed | None:
    """Process *payload*; None when it is refused, in one sentence."""
    try:
        return process(HttpIngest(), payload)
    except UnusableInputError as refusal:
        sentence = str(refusal)
    assert len(sentence.splitlines()) == 1
    assert sentence.isascii()
    return None


def is_owned(quad: ox.Quad, replaced: list[tuple[str, str]]) -> bool:
    """A later ingest of the same ids would replace it."""
    graph, subject = quad.graph_name.value, quad.subject.value  # type: ignore[union-attr]
    return any(graph == name and (subject == iri or subject.startswith(f"{iri}:")) for name, iri in replaced)


@settings(max_examples=100, deadline=None)
@given(JSON | st.fixed_dictionaries({"payload": JSON}))
def test_any_payload_is_processed_or_refused(payload: Any) -> None:
    processed(payload)


@settings(max_examples=75, deadline=None)
@given(BATCHES)
def test_whatever_is_stored_can_be_read_again(batch: list[Any]) -> None:
    done = processed({"payload": batch})
    if done is None:
        return
    assert done.result.write is not None
    prepare(done.result.write)
    dump_value(done.value())
    text = b"".join(f"{quad} .\n".encode() for quad in done.quads)
    assert set(ox.parse(text, ox.RdfFormat.N_QUADS)) == done.quads
    assert all(is_owned(quad, done.replaced) for quad in done.quads)


@settings(max_examples=100, deadline=None)
@given(TEXTS.filter(bool), TEXTS)
def test_no_text_gets_out_of_its_literal_or_iri(identifier: str, text: str) -> None:
    done = processed({"payload": [COMPLETE | {"id": identifier, "requestHeaders": [{"name": text, "value": text}]}]})
    assert done is not None
    assert len(done.quads) == 10
    assert {q.graph_name for q in done.quads} == {ox.NamedNode("http://localhost/graphs/http-requests")}


@settings(max_examples=100, deadline=None)
@given(JSON | st.fixed_dictionaries({"sparqlUpdate": JSON}))
def test_any_payload_is_an_update_or_refused(payload: Any) -> None:
    try:
        done = process(SparqlUpdate(), payload)
    except UnusableInputError:
        return
    assert done.result.write is not None
    prepare(done.result.write)
