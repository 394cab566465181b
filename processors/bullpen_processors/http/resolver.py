"""`http-resolver`: what recorded HTTP exchanges show that should not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Context, Json, Quads, Report, Resource, Result, StoreAnswer, UnusableInputError
from bullpen_processors.http.bodies import LIMIT
from bullpen_processors.http.exchange import Exchange
from bullpen_processors.http.findings import HttpFinding
from bullpen_processors.http.rules import RULES
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.javascript import member
from bullpen_processors.ontoweb.vocabulary import Vocabulary

SEVERITIES: Final = ("high", "medium", "low")
STEP: Final = 100
"""Requests between two reports of progress: well below a second of work, bodies of megabytes apart."""


class HttpResolver:
    """Judges a list of exchanges by every rule; each request has at most one finding of each."""

    def process(self, payload: Json, context: Context) -> Result:
        """Return what was found, and write it as findings of this job: an earlier attempt's go."""
        vocabulary = Vocabulary.from_settings(context.settings)
        given = member(payload, "list")
        if not isinstance(given, list):
            raise UnusableInputError("Missing or invalid requests list")
        found = list(_found(given, context.report))
        result = _result(found, vocabulary.http_graph.value)
        context.report.log(_summary(result, len(given)))
        write = _write(found, vocabulary)
        if not found:
            return Result({"result": result, "insertStatus": None}, write)

        def finish(answer: StoreAnswer) -> Json:
            return {"result": result, "insertStatus": answer.status}

        return Result(write=write, finish=finish)


def _found(given: list[Json], report: Report) -> Iterator[HttpFinding]:
    """Yield the findings, request by request."""
    position = cut = 0
    for index, item in enumerate(given):
        view = View(Exchange.from_json(item))
        for rule in RULES:
            evidence = rule.judge(view)
            if evidence is not None:
                yield HttpFinding(rule, evidence, view.exchange, position)
                position += 1
        cut += view.request_body.cut + view.response_body.cut
        if index % STEP == STEP - 1:
            report.progress(100 * (index + 1) // len(given))
    if cut:
        report.log(f"{cut} bodies are larger than {LIMIT // 2**20} MiB: only the beginning of each was looked at")


def _result(found: list[HttpFinding], default_graph: str) -> Json:
    counts = Counter(finding.rule.severity for finding in found)
    return {
        "ok": True,
        "totalFindings": len(found),
        "stats": {severity: counts[severity] for severity in SEVERITIES},
        "findings": [finding.as_json(default_graph) for finding in found],
    }


def _summary(result: Json, requests: int) -> str:
    stats = ", ".join(f"{count} {severity}" for severity, count in result["stats"].items())
    return f"{result['totalFindings']} findings in {requests} requests: {stats}"


def _write(found: list[HttpFinding], vocabulary: Vocabulary) -> Quads:
    """Write one finding per IRI: of a request that comes twice in the list the last counts, as with http-ingest."""
    graph = vocabulary.findings_graph
    last = {finding.finding().iri: finding for finding in found}
    quads = dict.fromkeys(
        ox.Quad(*triple, graph) for finding in last.values() for triple in finding.triples(vocabulary)
    )
    return Quads(list(quads), findings=[Resource(graph.value, iri) for iri in last])
