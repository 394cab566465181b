"""The ways in which Bullpen is meant to differ from the original worker: of a kind, never of one case. Pure.

docs/compatibility.md lists them, in this order; a test holds the two together. A difference that no predicate means
fails the run.
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
    source: str
    """I-number or point of JUDGEMENT.md, both of ../shared; § is a section of its ONTOWEBPT.md."""
    test: str
    """The test that shows what ours does instead."""
    fields: frozenset[str]
    """Of the differences that it is asked about."""
    is_meant: Callable[[Case, Outcome, Difference], bool]
    """(case, ours, difference): the difference is of this kind, and ours is what it should be."""

    def means(self, case: Case, ours: Outcome, difference: Difference) -> bool:
        """Tell whether *difference* is of this kind."""
        return difference.field in self.fields and self.is_meant(case, ours, difference)


# -- batches of exchanges


def _id_comes_again(case: Case, ours: Outcome, difference: Difference) -> bool:
    keys = Counter((text(member(item, "graph") or HTTP_GRAPH), text(member(item, "id"))) for item in exchanges(case))
    again = ["<urn:req:" + quote(key, safe="!*'()") for (_, key), times in keys.items() if times > 1]
    return difference.ours is ABSENT and any(
        difference.line.startswith((f"{request}>", f"{request}:"))
        and any(line.startswith(f"{request}> <{RDF_TYPE}>") for line in ours.triples)
        for request in again
    )


def _graph_is_no_iri(case: Case, ours: Outcome, difference: Difference) -> bool:
    graphs = [member(item, "graph") for item in exchanges(case)]
    wrong = [index for index, graph in enumerate(graphs) if graph and not _is_iri(text(graph))]
    return bool(wrong) and ours == Outcome(
        "failed", 1, reason=f"Invalid graph: that of item {wrong[0]} is not an absolute IRI"
    )


def _method_is_no_iri(case: Case, ours: Outcome, difference: Difference) -> bool:
    methods = [text(member(item, "method")).upper() for item in exchanges(case)]
    stored = [line.split(" ")[2] for line in ours.triples if f" <{EX}mthd> " in line]
    return (
        any(not _is_iri(EX + method) for method in methods)
        and ours.state == "completed"
        and len(stored) == len(methods)
        and all(method.startswith(f"<{EX}") for method in stored)
    )


def _id_is_half_a_pair(case: Case, ours: Outcome, difference: Difference) -> bool:
    ids = [text(member(item, "id")) for item in exchanges(case)]
    half = any(well_formed(key) != key for key in ids)
    return half and case.theirs.reason == "URI malformed" and ours.state == "completed" and len(ours.triples) > 0


def exchanges(case: Case) -> list[Any]:
    """The exchanges of an ingest job, whichever of the three shapes they came in."""
    payload = member(case.data, "payload")
    return items(payload) or items(member(payload, "items")) or [payload]


# -- what can't be done


def _update_is_no_text(case: Case, ours: Outcome, difference: Difference) -> bool:
    no_text = case.job_name == "sparql-update" and not isinstance(member(case.data, "sparqlUpdate"), str)
    return no_text and ours.reason == "Invalid sparqlUpdate: expected text"


def _store_says_why(case: Case, ours: Outcome, difference: Difference) -> bool:
    refused = case.theirs.state == "failed" and not case.was_stored
    return refused and bool(_STORES_WORDS.fullmatch(ours.reason or ""))


def _fails_at_once(case: Case, ours: Outcome, difference: Difference) -> bool:
    return case.theirs.state == ours.state == "failed" and difference.theirs > ours.attempts == 1


# -- outages of the store


def _outage_is_waited_out(case: Case, ours: Outcome, difference: Difference) -> bool:
    if not case.faults or (ours.state, ours.attempts, ours.reason) != ("completed", 1, None):
        return False
    return difference.field != "value" or (difference.path, difference.ours) == ((), {"status": 204})


def _found_is_stored(case: Case, ours: Outcome, difference: Difference) -> bool:
    return (
        difference.path == ("insertStatus",)
        and not case.was_stored
        and (difference.theirs, difference.ours) == (None, 204)
    )


def _is_iri(text: str) -> bool:
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return True


ALL: Final = frozenset({"state", "attempts", "reason", "value", "triple"})

PREDICATES: Final = (
    Predicate(
        "an id that comes again in a batch",
        "I1",
        "test_of_an_id_that_comes_twice_the_last_counts_as_if_they_had_been_two_jobs",
        frozenset({"triple"}),
        _id_comes_again,
    ),
    Predicate("a graph that is no IRI", "I18", "test_a_graph_that_is_no_iri_is_refused", ALL, _graph_is_no_iri),
    Predicate("a method that is no IRI", "I18", "test_a_method_is_one_iri_whatever_it_holds", ALL, _method_is_no_iri),
    Predicate(
        "an id with half a surrogate pair",
        "§0",
        "test_an_id_becomes_part_of_an_iri_only_encoded",
        ALL,
        _id_is_half_a_pair,
    ),
    Predicate(
        "a sparqlUpdate that is no text",
        "JUDGEMENT 2",
        "test_an_update_that_is_no_text_is_refused_before_any_store_is_asked",
        frozenset({"reason"}),
        _update_is_no_text,
    ),
    Predicate(
        "the store's own words",
        "I24",
        "test_a_permanent_refusal_fails_the_job_for_good",
        frozenset({"reason"}),
        _store_says_why,
    ),
    Predicate(
        "no second try where none can help",
        "JUDGEMENT 2",
        "test_a_permanent_refusal_fails_the_job_for_good",
        frozenset({"attempts"}),
        _fails_at_once,
    ),
    Predicate(
        "an outage of the store is waited out",
        "JUDGEMENT 1",
        "test_an_outage_of_the_store_is_sat_out",
        frozenset({"state", "attempts", "reason", "value"}),
        _outage_is_waited_out,
    ),
    Predicate(
        "what is found is stored before the job completes",
        "JUDGEMENT 1",
        "test_a_write_is_in_the_store_before_its_job_is_completed",
        frozenset({"value"}),
        _found_is_stored,
    ),
)
