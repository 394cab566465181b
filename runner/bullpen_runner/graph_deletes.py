"""The SPARQL that takes back what was written before: resources, and what a job no longer finds. Pure text.

Each operation holds one chain of patterns that starts at constants, so a store follows links and never searches the
graph. A UNION, a subselect, or a filter on all subjects makes RDF4J do so: more than 80 s for 1,000 resources beside
250,000 triples, where these operations take 0.1 s. Nodes are given as `<iri>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from bullpen_protocol.provenance import Term

WALK_DEPTH: Final = 3
"""Links from a Resource to the deepest subject that it owns: request -> response -> header is 2."""

BLOCK_RESOURCES: Final = 1_000
"""Resources of one operation."""


def delete_resources(
    graph: str, roots: Sequence[str], *, linked: bool = False, kept: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the operations that delete all triples of the *roots'* own subjects; *linked*: and triples that name one.

    The deepest subjects go first: what leads to them has to be there still. Triples with a property of *kept* stay.
    """
    but = f" FILTER(?p NOT IN ({', '.join(kept)}))" if kept else ""
    for start in range(0, len(roots), BLOCK_RESOURCES):
        values = " ".join(roots[start : start + BLOCK_RESOURCES])
        for root, chain in _chains(linked=linked):
            yield _delete(graph, f"VALUES {root} {{ {values} }} GRAPH {graph} {{ {chain} }}{but}")


def forget(job: str, kept: str | None = None) -> Iterator[str]:
    """Yield the operations that delete what *job*'s graph names as found, but for what another job's graph names too.

    *kept* is a graph of the same form: what that names stays as well.
    """
    for root, chain in _chains(linked=True):
        in_graph = f"{root} {Term.IN_GRAPH.node} ?g"
        others = f"GRAPH ?other {{ {in_graph} ; {Term.FOUND_BY.node} ?by }} FILTER(?by != {job})"
        where = f"GRAPH {job} {{ {in_graph} }} GRAPH ?g {{ {chain} }} FILTER NOT EXISTS {{ {others} }}"
        if kept is not None:
            where += f" FILTER NOT EXISTS {{ GRAPH {kept} {{ {in_graph} }} }}"
        yield _delete("?g", where)


def _chains(*, linked: bool) -> Iterator[tuple[str, str]]:
    """Yield the patterns that find ?s ?p ?o, each with the variable that is the root."""
    for depth in range(WALK_DEPTH, 0, -1):
        yield "?root", _walk(depth)
    yield "?s", "?s ?p ?o"
    if linked:
        yield "?o", "?s ?p ?o"


def _walk(depth: int) -> str:
    nodes = ["?root", *(f"?n{step}" for step in range(1, depth)), "?s"]
    steps = [
        f'{start} ?p{step} {end} FILTER(STRSTARTS(STR({end}), CONCAT(STR(?root), ":")))'
        for step, (start, end) in enumerate(pairwise(nodes), 1)
    ]
    return " ".join([*steps, "?s ?p ?o"])


def _delete(graph: str, where: str) -> str:
    return f"DELETE {{ GRAPH {graph} {{ ?s ?p ?o }} }} WHERE {{ {where} }}"
