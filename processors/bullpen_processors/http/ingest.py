"""`http-ingest`: recorded HTTP exchanges into the graph, one resource per request id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Context, Json, Quads, Resource, Result, StoreAnswer, UnusableInputError
from bullpen_processors.http.exchange import Exchange
from bullpen_processors.http.triples import exchange_triples
from bullpen_processors.ontoweb.iris import named_graph, request_iri
from bullpen_processors.ontoweb.javascript import member, truthy
from bullpen_processors.ontoweb.vocabulary import Vocabulary

_INCOMPLETE: Final = "Missing id/method/uri.full"
# OntoWeb-PT's clients read these two as they are: the original stumbles over null with JavaScript's own words
_NULL_ITEM: Final = "Cannot read properties of null (reading 'graph')"
_NULL_PARAMETER: Final = "Cannot read properties of null (reading 'name')"


class HttpIngest:
    """Writes a batch of exchanges. What the graph held of a request id is replaced, never mixed with the new (I1)."""

    def process(self, payload: Json, context: Context) -> Result:
        """Turn a batch into quads; the value echoes it. One bad item refuses the whole batch."""
        vocabulary = Vocabulary.from_settings(context.settings)
        batch = member(payload, "payload")
        items = batch_items(batch)
        resources = _last_of_each(_checked(items, vocabulary))
        repeated = len(items) - len(resources)
        if repeated:
            context.report.log(f"{repeated} of {len(items)} items came again later: the last of each id counts")
        quads = [
            ox.Quad(*triple, graph)
            for (graph, iri), exchange in resources.items()
            for triple in exchange_triples(exchange, iri, vocabulary)
        ]

        def finish(answer: StoreAnswer) -> Json:
            return {"status": answer.status, "count": len(items), "payload": batch}

        return Result(write=Quads(quads, [Resource(graph.value, iri) for graph, iri in resources]), finish=finish)


def batch_items(batch: Json) -> list[Json]:
    """Return the items of a payload: a list, an object with a list of `items`, or one item."""
    if not truthy(batch):
        raise UnusableInputError("Missing payload")
    if not isinstance(batch, list | dict):
        raise UnusableInputError("Invalid payload: expected object, array, or { items: [...] }")
    inner = member(batch, "items")
    items = batch if isinstance(batch, list) else inner if isinstance(inner, list) else [batch]
    if not items:
        raise UnusableInputError("Expected a non-empty array of requests")
    return items


def _checked(items: list[Json], vocabulary: Vocabulary) -> Iterator[tuple[ox.NamedNode, Exchange]]:
    """Yield every exchange with its graph, once all of them are known to be complete."""
    if None in items:
        raise UnusableInputError(_NULL_ITEM)
    exchanges = [Exchange.from_json(item) for item in items]
    if any(e.id is None or e.method is None or e.uri.full is None for e in exchanges):
        raise UnusableInputError(_INCOMPLETE)
    for position, exchange in enumerate(exchanges):
        if None in exchange.uri.params:
            raise UnusableInputError(_NULL_PARAMETER)
        graph = vocabulary.http_graph if exchange.graph is None else named_graph(exchange.graph)
        if graph is None:
            raise UnusableInputError(f"Invalid graph: that of item {position} is not an absolute IRI")
        yield graph, exchange


def _last_of_each(exchanges: Iterator[tuple[ox.NamedNode, Exchange]]) -> dict[tuple[ox.NamedNode, str], Exchange]:
    """Keep one exchange per graph and id: a batch leaves what its items, ingested one after the other, would."""
    return {(graph, request_iri(exchange.id or "")): exchange for graph, exchange in exchanges}
