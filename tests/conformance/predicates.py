"""The ways in which Bullpen is meant to differ from the original worker: of a kind, never of one case. Pure.

docs/compatibility.md lists them, in this order; a test holds the two together. A difference that none excuses fails
the run. `theirs` is what `differences.expected` says; ours is an outcome wherever it was run: by a processor before a
store in memory, or as a job on a real queue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import pyoxigraph as ox

from bullpen_processors.ontoweb.javascript import items, member, text, well_formed
from conformance.cases import Case, Outcome
from conformance.differences import ABSENT, Difference

MOST: Final = 20
"""Predicates that there may be."""

HTTP_GRAPH: Final = "http://localhost/graphs/http-requests"
EX: Final = "http://localhost/onto/ontowebpt#"
RDF_TYPE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

_STORES_WORDS: Final = re.compile(
    r"the graph store (refused|failed at) the write: it answered [45]\d\d .+: .+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Predicate:
    """One intended difference."""

    name: str
    number: str
    """I-number or point of JUDGEMENT.md, both of ../shared; § is a section of its ONTOWEBPT.md."""
    test: str
    """The test that shows what ours does instead: `file::name`, below tests/."""
    excuses: Callable[[Case, Outcome, Outcome, Difference], bool]
    """(case, theirs, ours, difference): the difference is of this kind, and ours is what it should be."""


# -- batches of exchanges


def _id_comes_again(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    if difference.what != "quads" or difference.ours is not ABSENT:
        return False
    keys = Counter((text(member(item, "graph") or HTTP_GRAPH), text(member(item, "id"))) for item in exchanges(case))
    again = ["<urn:req:" + encoded(key) for (_, key), times in keys.items() if times > 1]
    (line,) = map(str, difference.place)
    return any(
        line.startswith((f"{request}>", f"{request}:"))
        and any(kept.startswith(f"{request}> <{RDF_TYPE}>") for kept in ours.quads)
        for request in again
    )


def _graph_is_no_iri(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    graphs = [member(item, "graph") for item in exchanges(case)]
    wrong = [index for index, graph in enumerate(graphs) if graph and not is_iri(text(graph))]
    return bool(wrong) and ours == Outcome(
        "failed", 1, reason=f"Invalid graph: that of item {wrong[0]} is not an absolute IRI"
    )


def _method_is_no_iri(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    methods = [text(member(item, "method")).upper() for item in exchanges(case)]
    stored = [line.split(" ")[2] for line in ours.quads if f" <{EX}mthd> " in line]
    return (
        any(not is_iri(EX + method) for method in methods)
        and (ours.state, ours.attempts) == ("completed", 1)
        and len(stored) == len(methods)
        and all(method.startswith(f"<{EX}") for method in stored)
    )


def _id_is_half_a_pair(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    ids = [text(member(item, "id")) for item in exchanges(case)]
    half = any(well_formed(key) != key for key in ids)
    stored = (ours.state, ours.attempts, ours.reason) == ("completed", 1, None) and len(ours.quads) > 0
    return half and theirs.reason == "URI malformed" and stored


def exchanges(case: Case) -> list[Any]:
    """The exchanges of an HTTP job, whichever shape they came in."""
    payload = member(case.data, "payload")
    return items(member(case.data, "list")) or items(payload) or items(member(payload, "items")) or [payload]


# -- what can't be done


def _update_is_no_text(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    no_text = case.job_name == "sparql-update" and not isinstance(member(case.data, "sparqlUpdate"), str)
    return difference.what == "reason" and no_text and ours.reason == "Invalid sparqlUpdate: expected text"


def _store_says_why(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    refused = theirs.state == "failed" and not case.was_stored
    return difference.what == "reason" and refused and bool(_STORES_WORDS.fullmatch(ours.reason or ""))


def _fails_at_once(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    failed = theirs.state == ours.state == "failed"
    return difference.what == "attempts" and failed and theirs.attempts > ours.attempts == 1


# -- a store that is away


def _store_is_waited_for(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    """Tell whether a store that did not take the original's write cost it an attempt, the job or what it found."""
    if (case.was_stored and not case.faults) or (ours.state, ours.attempts, ours.reason) != ("completed", 1, None):
        return False
    if difference.what == "value":
        lost: dict[tuple[str | int, ...], Any] = {(): {"status": 204}, ("insertStatus",): 204}
        return difference.theirs is None and lost.get(difference.place) == difference.ours
    return bool(case.faults) and difference.what in ("state", "attempts", "reason")


def is_iri(text: str) -> bool:
    """Tell whether a store takes *text* for an absolute IRI."""
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return True


def encoded(key: str) -> str:
    """Encode as encodeURIComponent does, by an encoder that is not ours."""
    return quote(well_formed(key), safe="!*'()")


_INGEST: Final = "unit/processors/test_ingest.py::"
_SPARQL: Final = "unit/processors/test_sparql_update.py::"
_STORE: Final = "integration/runner/test_store.py::"

PREDICATES: Final = (
    Predicate(
        "an id that comes again in a batch",
        "I1",
        _INGEST + "test_of_an_id_that_comes_twice_the_last_counts_as_if_they_had_been_two_jobs",
        _id_comes_again,
    ),
    Predicate("a graph that is no IRI", "I18", _INGEST + "test_a_graph_that_is_no_iri_is_refused", _graph_is_no_iri),
    Predicate(
        "a method that is no IRI", "I18", _INGEST + "test_a_method_is_one_iri_whatever_it_holds", _method_is_no_iri
    ),
    Predicate(
        "an id with half a surrogate pair",
        "§0",
        _INGEST + "test_an_id_becomes_part_of_an_iri_only_encoded",
        _id_is_half_a_pair,
    ),
    Predicate(
        "a sparqlUpdate that is no text",
        "JUDGEMENT 2",
        _SPARQL + "test_an_update_that_is_no_text_is_refused_before_any_store_is_asked",
        _update_is_no_text,
    ),
    Predicate(
        "the store's own words", "I24", _STORE + "test_a_permanent_refusal_fails_the_job_for_good", _store_says_why
    ),
    Predicate(
        "no second try where none can help",
        "JUDGEMENT 2",
        _STORE + "test_a_permanent_refusal_fails_the_job_for_good",
        _fails_at_once,
    ),
    Predicate(
        "a store that fails is waited for",
        "JUDGEMENT 1",
        _STORE + "test_an_outage_of_the_store_is_sat_out",
        _store_is_waited_for,
    ),
)
"""At most MOST, for all job types together."""
