"""What every graph store holds after attempts that found things: links and records, each exactly once."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar

import pyoxigraph as ox
import pytest

from bullpen_processors.api import Quads, Resource
from bullpen_protocol.provenance import NAMESPACE, PROV, AttemptOutcome, AttemptRecord
from bullpen_runner.graph import StoreAwayError
from bullpen_runner.graph_update import CHUNK_TRIPLES, prepare
from bullpen_runner.graph_write import PreparedWrite
from contracts.graph_contract import EX, HOSTILE, TEXT, TIMEOUT_S, node, quad
from fakes.graph_proxy import GraphProxy, Said
from servers.graph import GraphServer
from support import ROOT

ADDED_MS = 1_767_268_800_000


def attempt_of(graph: str, job: str, attempt: str = "") -> AttemptRecord:
    """A record of an attempt of a job of the test's own."""
    token = f"bullpen/test/{attempt or graph}"
    return AttemptRecord("bull", graph, job, "any", ADDED_MS, token, AttemptOutcome.COMPLETED)


def findings_of(graph: str, *numbers: int, text: str = "a") -> Quads:
    """Findings as an analyser makes them: own triples, a node below, and links from what they are about."""
    quads, findings = [], []
    for number in numbers:
        finding, about = f"urn:finding:{number}", f"urn:req:{number % 3}"
        quads += [quad(graph, finding, "severity", "LOW"), quad(graph, finding, "description", text)]
        quads += [
            quad(graph, finding, "evidence", node(f"{finding}:evidence")),
            quad(graph, f"{finding}:evidence", "at", "1"),
        ]
        quads += [quad(graph, about, "hasHttpFinding", node(finding))]
        findings.append(Resource(graph, finding))
    return Quads(quads, findings=findings)


class ProvenanceContract:
    transactions: ClassVar[bool]
    """Whether the store has RDF4J's transactions."""

    def report(self, server: GraphServer, write: Quads, record: AttemptRecord) -> PreparedWrite:
        prepared = prepare(write)
        server.store().write(prepared, TIMEOUT_S, about=replace(record, findings=len(prepared.findings)))
        return prepared

    def found(self, server: GraphServer, graph: str) -> set[str]:
        """Findings of which anything is said, with what is below them or names them."""
        triples = server.triples(graph)
        named = {term for triple in triples for term in (triple[0], triple[2]) if term.startswith("urn:finding:")}
        return {name.removeprefix("urn:finding:").partition(":")[0] for name in named}

    def linked(self, server: GraphServer, record: AttemptRecord) -> list[tuple[str, str]]:
        """Finding and attempt, as the job's graph has them."""
        rows = server.rows(f"SELECT ?f ?a {{ GRAPH <{record.job}> {{ ?f <{PROV}wasGeneratedBy> ?a }} }}")
        return sorted((row["f"].rpartition(":")[2], row["a"].rpartition(":")[2]) for row in rows)

    # -- one attempt

    def test_a_finding_leads_to_its_attempt_and_its_job(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "é 😀/:")
        self.report(server, findings_of(graph, 1, 2, text=TEXT), record)
        rows = server.rows(
            f"""PREFIX b: <{NAMESPACE}> PREFIX prov: <{PROV}>
                SELECT DISTINCT ?text ?job ?attempt ?id ?outcome ?n ?where {{
                  GRAPH <{graph}> {{ ?f <{EX}description> ?text }}
                  GRAPH ?jobs {{ ?f prov:wasGeneratedBy ?attempt ; b:foundBy ?job ; b:inGraph ?where }}
                  GRAPH ?attempt {{
                    ?attempt b:ofJob ?job ; b:outcome ?outcome ; b:findings ?n . ?job b:jobId ?id }} }}"""
        )
        facts = {"text": TEXT, "job": record.job, "attempt": record.attempt, "id": "é 😀/:"}
        assert rows == [facts | {"outcome": "completed", "n": "2", "where": graph}]
        assert server.count(record.job) == 1 + 3 * 2

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_record_takes_any_text(self, server: GraphServer, graph: str, name: str) -> None:
        record = replace(attempt_of(graph, HOSTILE[name], name.replace(" ", "-")), reason=HOSTILE[name])
        self.report(server, Quads([]), record)
        rows = server.rows(f"SELECT ?v {{ GRAPH <{record.attempt}> {{ ?s <{NAMESPACE}reason> ?v }} }}")
        assert rows == [{"v": HOSTILE[name]}]

    def test_the_first_writer_of_a_record_wins(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", graph)
        self.report(server, Quads([]), record)
        stored = server.triples(record.attempt)
        late = replace(record, outcome=AttemptOutcome.GIVEN_BACK, reason="the operator came late", number=7)
        server.store().write(PreparedWrite(text=late.insert_once().encode()), TIMEOUT_S)
        self.report(server, Quads([]), late)
        assert server.triples(record.attempt) == stored
        assert {value for _, name, value in stored if name == f"{NAMESPACE}outcome"} == {"completed"}

    def test_a_record_may_be_first_without_results(self, server: GraphServer, graph: str) -> None:
        record = replace(attempt_of(graph, "1", graph), outcome=AttemptOutcome.FAILED, reason="x")
        for _ in range(2):
            server.store().write(PreparedWrite(text=record.insert_once().encode()), TIMEOUT_S)
        assert server.count(record.attempt) == record.n_triples().count("\n")
        assert server.count(record.job) == 0

    # -- writing again

    def test_an_attempt_that_is_written_twice_leaves_the_same_graphs(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", graph)
        seen = []
        for _ in range(2):
            self.report(server, findings_of(graph, 1, 2, 3), record)
            seen.append([server.triples(name) for name in (graph, record.job, record.attempt)])
        assert seen[0] == seen[1]
        assert len(seen[0][0]) == 5 * 3

    def test_what_a_later_attempt_no_longer_finds_is_removed_with_what_names_it(
        self, server: GraphServer, graph: str
    ) -> None:
        first, second = attempt_of(graph, "1", f"{graph}-1"), attempt_of(graph, "1", f"{graph}-2")
        self.report(server, findings_of(graph, 1, 2, 3), first)
        self.report(server, findings_of(graph, 2, text="b"), second)
        assert self.found(server, graph) == {"2"}
        assert server.count(graph) == 5
        assert self.linked(server, first) == [("2", second.attempt.rpartition(":")[2])]
        assert server.count(first.attempt) > 0
        self.report(server, Quads([]), attempt_of(graph, "1", f"{graph}-3"))
        assert server.count(graph) == 0
        assert server.count(first.job) == 1

    def test_what_another_job_found_too_stays(self, server: GraphServer, graph: str) -> None:
        mine, other = attempt_of(graph, "mine", f"{graph}-1"), attempt_of(graph, "other", f"{graph}-2")
        self.report(server, findings_of(graph, 1, 2), other)
        self.report(server, findings_of(graph, 2, 3), mine)
        self.report(server, Quads([]), replace(mine, token=f"bullpen/test/{graph}-3"))
        assert self.found(server, graph) == {"1", "2"}
        assert [finding for finding, _ in self.linked(server, other)] == ["1", "2"]
        self.report(server, Quads([]), other)
        assert server.count(graph) == 0

    def test_what_nobody_found_is_not_touched(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", graph)
        note = quad(f"{graph}:notes", "urn:finding:1", "note", "seen by a person")
        others = [quad(graph, "urn:finding:10", "severity", "LOW"), quad(graph, "urn:req:1", "id", "1")]
        self.report(server, Quads([note, *others]), attempt_of(graph, "2", f"{graph}-2"))
        self.report(server, findings_of(graph, 1), record)
        self.report(server, Quads([]), record)
        assert {(s, o) for s, _, o in server.triples(graph)} == {("urn:finding:10", "LOW"), ("urn:req:1", "1")}
        assert server.count(f"{graph}:notes") == 1

    def test_a_link_to_a_finding_is_replaced_like_the_finding(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", graph)
        self.report(server, findings_of(graph, 1), record)
        moved = [quad(graph, "urn:req:7", "hasHttpFinding", node("urn:finding:1"))]
        self.report(server, Quads(moved, findings=[Resource(graph, "urn:finding:1")]), record)
        assert server.triples(graph) == {("urn:req:7", f"{EX}hasHttpFinding", "urn:finding:1")}

    # -- large

    def large(self, graph: str, *numbers: int) -> Quads:
        """Above 8 MB: two parts of triples."""
        bulk = [quad(graph, f"urn:bulk:{n}", "value", "x" * 400) for n in range(CHUNK_TRIPLES + 1)]
        found = findings_of(graph, *numbers)
        return Quads([*bulk, *found.quads], [], found.findings)

    def test_a_large_write_ends_as_a_small_one_does(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", f"{graph}-2")
        other = attempt_of(graph, "other", f"{graph}-o")
        self.report(server, findings_of(graph, 1, 2), other)
        self.report(server, findings_of(graph, 2, 3), attempt_of(graph, "1", f"{graph}-1"))
        for _ in range(2):
            assert self.report(server, self.large(graph, 4), record).is_large
            assert self.found(server, graph) == {"1", "2", "4"}
            assert server.count(graph) == CHUNK_TRIPLES + 1 + 5 * 3
            assert self.linked(server, record) == [("4", record.attempt.rpartition(":")[2])]
            assert server.count(record.attempt) == record.n_triples().count("\n") + 1

    @pytest.mark.parametrize("taken", [1, 3], ids=["after-the-deletes", "before-the-last"])
    def test_a_large_write_that_stops_half_way_is_not_linked(self, server: GraphServer, graph: str, taken: int) -> None:
        before, record = attempt_of(graph, "1", f"{graph}-1"), attempt_of(graph, "1", f"{graph}-2")
        self.report(server, findings_of(graph, 1), before)
        requests = iter(range(100))

        def fault(method: str, target: str, _body: bytes) -> Said | None:
            writes = method == "PUT" or (method == "POST" and "transactions" not in target)
            return Said(503) if writes and next(requests) == taken else None

        with GraphProxy(server, fault).running() as spoilt, pytest.raises(StoreAwayError):
            spoilt.store().write(prepare(self.large(graph, 4)), TIMEOUT_S, about=record)
        assert self.linked(server, record) == [("1", before.attempt.rpartition(":")[2])]
        assert server.count(record.attempt) == 0
        assert "1" in self.found(server, graph)
        if self.transactions:
            assert server.count(graph) == 5

    def test_rdflib_results_replace_the_jobs_own_graph(self, server: GraphServer, graph: str) -> None:
        import rdflib  # noqa: PLC0415 - as a processor would

        record = attempt_of(graph, "1", graph)
        for text in ("old", TEXT):
            results = rdflib.Graph()
            results.add((rdflib.URIRef("urn:é"), rdflib.URIRef(f"urn:{text[0]}"), rdflib.Literal(text)))
            server.store().write(prepare(results), TIMEOUT_S, about=record)
        assert server.triples(f"{record.job}:results") == {("urn:é", "urn:é", TEXT)}

    def test_hostile_findings_stay_findings(self, server: GraphServer, graph: str) -> None:
        record = attempt_of(graph, "1", graph)
        iri = "urn:finding:é'()*!%22:1"
        for findings in ([Resource(graph, iri)], []):
            quads = [quad(graph, iri, "severity", 'x" } } ; DROP ALL #')] if findings else []
            self.report(server, Quads(quads, findings=findings), record)
            assert server.count(graph) == len(findings)
            assert server.count(record.job) == 1 + 3 * len(findings)

    def test_the_default_graph_and_other_kinds_of_terms_may_be_written(self, server: GraphServer, graph: str) -> None:
        typed = ox.Literal("2026-01-01", datatype=node("http://www.w3.org/2001/XMLSchema#date"))
        self.report(server, Quads([quad(graph, "urn:a", "on", typed)]), attempt_of(graph, "1", graph))
        assert server.triples(graph) == {("urn:a", f"{EX}on", "2026-01-01")}

    # -- the queries of docs/provenance.md

    def test_the_documented_queries_answer(self, server: GraphServer, graph: str) -> None:
        gave_up = replace(attempt_of(graph, "17", f"{graph}-1"), outcome=AttemptOutcome.FAILED, reason="x")
        record = replace(
            attempt_of(graph, "17", f"{graph}-2"),
            number=2,
            started_ms=ADDED_MS,
            image="i:1",
            payload_sha256="ab",
            memory_peak_bytes=100,
            memory_limit_bytes=500,
            previous_token=gave_up.token,
        )
        dead = replace(attempt_of(graph, "18", f"{graph}-3"), outcome=AttemptOutcome.UNRECOVERABLE, reason=TEXT)
        dead = replace(dead, memory_peak_bytes=300)
        for one in (gave_up, dead):
            server.store().write(PreparedWrite(text=one.insert_once().encode()), TIMEOUT_S)
        finding = f"urn:finding:{graph}"
        found = Quads([quad(graph, finding, "severity", "LOW")], findings=[Resource(graph, finding)])
        self.report(server, found, record)

        why, attempts, died, memory = [query.replace("urn:finding:1", finding) for query in documented_queries()]
        of_job = {"queue": graph, "jobId": "17", "jobName": "any"}
        started = server.rows(why)[0].pop("started")
        assert started.startswith("2026-01-01T12:00:00")
        facts = {"attempt": record.attempt, "number": "2", "started": started, "image": "i:1", "payload": "ab"}
        assert server.rows(why) == [of_job | facts]
        rows = server.rows(attempts.replace('"http"', f'"{graph}"'))
        assert [(row["attempt"], row["outcome"], row.get("reason")) for row in rows] == [
            (gave_up.attempt, "failed", "x"),
            (record.attempt, "completed", None),
        ]
        assert [row for row in server.rows(died) if row["queue"] == graph] == [
            {"queue": graph, "jobId": "18", "jobName": "any", "outcome": "unrecoverable", "reason": TEXT}
        ]
        rows = [row for row in server.rows(memory) if row["queue"] == graph]
        assert [(row["jobName"], row["attempts"], row["most"], float(row["mean"]), row["allowed"]) for row in rows] == [
            ("any", "2", "300", 200.0, "500")
        ]


def documented_queries() -> list[str]:
    """The queries of docs/provenance.md, in order."""
    return re.findall(r"```sparql\n(.+?)```", (ROOT / "docs" / "provenance.md").read_text(), re.DOTALL)
