"""Which differences from the original are meant. Each predicate is of a kind of job or finding, never of one case.

    for predicate in PREDICATES:
        predicate.name      what docs/compatibility.md calls it; a test holds the page and this list together
        predicate.number    where it comes from: an I-number, a point of JUDGEMENT, a section (§)
        predicate.test      the test that holds what ours does instead: `file::name`, below tests/
        predicate.excuses(case, theirs, ours, difference) -> bool

`theirs` is what `differences.expected` says; ours is an outcome wherever it was run: by a processor before a store in
memory, or as a job on a real queue. `differences(case, theirs, ours)` takes them apart, and `judging.judge` says what
is left. A predicate is a pure function and looks at the job and the outcomes only; what it knows about payloads comes
from witness.py, not from the rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bullpen_processors.ontoweb.javascript import items, member, text, truthy, well_formed
from conformance import findings, sast_reasons, techstack_reasons
from conformance.cases import Case, Outcome
from conformance.difference import Difference
from conformance.differences import RESOLVER
from conformance.places import ABSENT
from conformance.sast import SAST as SAST_JOB
from conformance.techstack import TECHSTACK as TECHSTACK_JOB
from conformance.triples import encoded, is_iri

INGEST: Final = "http-ingest"
SPARQL: Final = "sparql-update"
HTTP_GRAPH: Final = "http://localhost/graphs/http-requests"
EX: Final = "http://localhost/onto/ontowebpt#"
RDF_TYPE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
MOST: Final = 20
"""Predicates that there may be, for all job types together."""

_STORES_WORDS: Final = re.compile(r"the graph store (refused|failed at) the write: it answered [45]\d\d .+", re.DOTALL)

Excuse = Callable[[Case, Outcome, Outcome, Difference], bool]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A way in which ours is meant to differ."""

    name: str
    number: str
    test: str
    excuses: Excuse


def _fails_at_once(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    failed = theirs.state == ours.state == "failed"
    return difference.what == "attempts" and failed and theirs.attempts > ours.attempts == 1


def _no_iri(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    if case.job_name != INGEST:
        return False
    graphs = [member(item, "graph") for item in case.items]
    wrong = [index for index, graph in enumerate(graphs) if graph and not is_iri(text(graph))]
    if wrong:
        reason = f"Invalid graph: that of item {wrong[0]} is not an absolute IRI"
        return ours == Outcome("failed", 1, reason=reason)
    methods = [text(member(item, "method")).upper() for item in case.items]
    stored = [line.split(" ")[2] for line in ours.quads if f" <{EX}mthd> " in line]
    return (
        any(not is_iri(EX + method) for method in methods)
        and (ours.state, ours.attempts) == ("completed", 1)
        and len(stored) == len(methods)
        and all(method.startswith(f"<{EX}") for method in stored)
    )


def _id_comes_again(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    if difference.what != "quads":
        return False
    if case.job_name == RESOLVER:
        return _finding_comes_again(case, difference)
    return difference.ours is ABSENT and _exchange_comes_again(case, ours, str(difference.place[0]))


def _exchange_comes_again(case: Case, ours: Outcome, line: str) -> bool:
    """Tell whether a line is of an id that several exchanges share, and ours has it too."""
    keys = Counter((text(member(item, "graph") or HTTP_GRAPH), text(member(item, "id"))) for item in case.items)
    again = ["<urn:req:" + encoded(key) for (_, key), times in keys.items() if times > 1]
    return any(
        line.startswith((f"{request}>", f"{request}:"))
        and any(kept.startswith(f"{request}> <{RDF_TYPE}>") for kept in ours.quads)
        for request in again
    )


def _finding_comes_again(case: Case, difference: Difference) -> bool:
    """Tell whether several items share what names their findings: an id, or a URL where they have none."""
    names = Counter(_target(item) for item in items(member(case.data, "list")))
    return names[_target(difference.item)] > 1 and not difference.ours


def _target(item: object) -> str:
    identity = member(item, "id")
    return text(identity) if truthy(identity) else text(member(member(item, "uri"), "full"))


def _id_is_half_a_pair(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    if case.job_name == SAST_JOB:
        url = text(member(case.data, "url"))
        lost = difference.what == "insertStatus" and (difference.theirs, difference.ours) == (None, 204)
        return lost and well_formed(url) != url
    if theirs.reason != "URI malformed" or (ours.state, ours.attempts, ours.reason) != ("completed", 1, None):
        return False
    return any(well_formed(key) != key for key in (text(member(item, "id")) for item in case.items))


def _update_is_no_text(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    no_text = case.job_name == SPARQL and not isinstance(member(case.data, "sparqlUpdate"), str)
    return difference.what == "reason" and no_text and ours.reason == "Invalid sparqlUpdate: expected text"


def _store_says_why(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    refused = theirs.state == "failed" and not case.was_stored
    return difference.what == "reason" and refused and bool(_STORES_WORDS.fullmatch(ours.reason or ""))


def _store_is_waited_for(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    """Tell whether a store that failed cost the original an attempt, the job or what it found, and ours nothing.

    A store that refuses is not waited for: ours fails, where the original asks again or loses what it found.
    """
    if not case.faults:
        return False
    if ours.state == "failed":
        refused = any(f" it answered {fault.status} " in (ours.reason or "") for fault in case.faults)
        return theirs.state == "completed" and ours.attempts == 1 and refused
    if (ours.state, ours.attempts, ours.reason) != ("completed", 1, None):
        return False
    if difference.what == "value":  # of a job that the original gave up
        return (difference.place, difference.theirs, member(difference.ours, "status")) == ((), None, 204)
    if difference.what == "insertStatus":
        return not case.was_stored and (difference.theirs, difference.ours) == (None, 204)
    return difference.what in ("state", "attempts", "reason")


def _entry_without_id(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    """Tell whether one finding of a request without id made the store refuse all of the original's.

    Ours also stores what such a finding says of cookies, as findings of other requests do.
    """
    if case.job_name != RESOLVER:
        return False
    if difference.what == "quads" and difference.rule and not truthy(member(difference.item, "id")):
        return not difference.theirs and {name for name, _ in difference.ours} <= {"cookieName", "cookieDomain"}
    if difference.what != "insertStatus" or case.was_stored or (difference.theirs, difference.ours) != (None, 204):
        return False
    nameless = any(finding["requestId"] is None for finding in theirs.value["result"]["findings"])
    return nameless and _all_stored(ours)


def _all_stored(ours: Outcome) -> bool:
    found = {finding["ruleId"] for finding in ours.value["result"]["findings"]}
    stored = {line.rsplit('"', 2)[1] for line in ours.quads if f" <{EX}findingRuleId> " in line}
    return found == stored and not any("undefined>" in line for line in ours.quads)


def _nothing_left_or_new(case: Case, theirs: Outcome, ours: Outcome, difference: Difference) -> bool:
    """Tell whether the store was asked by one of both only, as one of both found nothing."""
    if difference.what != "insertStatus":
        return False
    one, other = (len(value["result"].get("findings", ())) for value in (theirs.value, ours.value))
    return bool((one == 0) != (other == 0) and (difference.ours is None) == (other == 0))


def _of_place(judge: Callable[[Difference], bool]) -> Excuse:
    """Return a predicate over one place of a finding of http-resolver."""
    return lambda case, theirs, ours, difference: (
        case.job_name == RESOLVER and bool(difference.rule) and judge(difference)
    )


_UNIT: Final = "unit/processors/"
_STORE: Final = "integration/runner/test_store.py::"
_REFUSAL: Final = f"{_STORE}test_a_permanent_refusal_fails_the_job_for_good"
_OUTAGE: Final = f"{_STORE}test_an_outage_of_the_store_is_sat_out"
_GRAPH: Final = f"{_UNIT}test_ingest.py::test_a_graph_that_is_no_iri_is_refused"
_TEXT: Final = f"{_UNIT}test_sparql_update.py::test_an_update_that_is_no_text_is_refused_before_any_store_is_asked"
_GOOD: Final = f"{_UNIT}test_http_rules.py::test_a_rule_finds_nothing_in_its_good_examples"
_BAD: Final = f"{_UNIT}test_http_rules.py::test_a_rule_finds_something_in_its_bad_examples"
_TWICE: Final = f"{_UNIT}test_resolver.py::test_of_a_finding_that_comes_twice_the_last_counts"
_HALF: Final = f"{_UNIT}test_resolver.py::test_an_id_with_half_a_surrogate_pair_is_replaced"
_NO_ID: Final = f"{_UNIT}test_resolver.py::test_a_request_without_id_has_findings_and_no_node"
_NOTHING: Final = f"{_UNIT}test_resolver.py::test_nothing_found_is_written_as_nothing"
_NODES: Final = f"{_UNIT}test_resolver.py::test_hits_name_the_nodes_that_http_ingest_makes"
_DOMAIN: Final = f"{_UNIT}test_resolver.py::test_the_domain_of_a_cookie_is_stored"

PREDICATES: Final[Sequence[Predicate]] = (
    Predicate("an id that comes again", "I1", _TWICE, _id_comes_again),
    Predicate("a graph or a method that is no IRI", "I18", _GRAPH, _no_iri),
    Predicate("an id with half a surrogate pair", "§0", _HALF, _id_is_half_a_pair),
    Predicate("a sparqlUpdate that is no text", "JUDGEMENT 2", _TEXT, _update_is_no_text),
    Predicate("the store's own words", "I24", _REFUSAL, _store_says_why),
    Predicate("no second try where none can help", "JUDGEMENT 2", _REFUSAL, _fails_at_once),
    Predicate("a store that fails is waited for", "JUDGEMENT 1", _OUTAGE, _store_is_waited_for),
    Predicate("an entry without id", "I3", _NO_ID, _entry_without_id),
    Predicate("a store that need not be asked", "JUDGEMENT 7", _NOTHING, _nothing_left_or_new),
    Predicate("where a cookie was set", "I4", _NODES, _of_place(findings.header_moved)),
    Predicate("the domain of a cookie", "I6", _DOMAIN, _of_place(findings.cookie_domain)),
    Predicate("a parameter that is no credential", "JUDGEMENT 7", _GOOD, _of_place(findings.no_credential)),
    Predicate("SQL words that form no statement", "JUDGEMENT 7", _GOOD, _of_place(findings.no_statement)),
    Predicate("a word of scripts that runs nothing", "JUDGEMENT 7", _GOOD, _of_place(findings.no_script)),
    Predicate("the name of an error without a trace", "JUDGEMENT 7", _GOOD, _of_place(findings.no_trace)),
    Predicate("an address that no page loads", "JUDGEMENT 7", _GOOD, _of_place(findings.not_loaded)),
    Predicate("a redirect within the site, or a shared link", "JUDGEMENT 7", _GOOD, _of_place(findings.stays_on_site)),
    Predicate("nothing at stake", "JUDGEMENT 7", _GOOD, _of_place(findings.nothing_at_stake)),
    Predicate("what the original is blind to", "JUDGEMENT 8", _BAD, _of_place(findings.found_at_last)),
    Predicate("rules that the original lacks", "JUDGEMENT 8", _BAD, _of_place(findings.new_rule)),
)
"""At most MOST, besides those of techstack-analyze and sast-analyze."""


Row = tuple[str, str, str, Callable[[Difference], bool]]


def _of(job_name: str, row: Row) -> Predicate:
    name, number, test, judge = row
    return Predicate(
        name, number, test, lambda case, theirs, ours, difference: case.job_name == job_name and judge(difference)
    )


TECHSTACK: Final[Sequence[Predicate]] = tuple(
    _of(TECHSTACK_JOB, row) for row in (*techstack_reasons.REASONS, *techstack_reasons.MEANT)
)
SAST: Final[Sequence[Predicate]] = tuple(_of(SAST_JOB, row) for row in (*sast_reasons.REASONS, *sast_reasons.MEANT))
ALL: Final[Sequence[Predicate]] = (*PREDICATES, *TECHSTACK, *SAST)
