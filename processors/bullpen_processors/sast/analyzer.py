"""`sast-analyze`: what a page's scripts and markup do with values that somebody else controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Context, Json, Quads, Resource, Result, StoreAnswer
from bullpen_processors.api import Report as Progress
from bullpen_processors.ontoweb.javascript import items, text, truthy
from bullpen_processors.ontoweb.vocabulary import Vocabulary
from bullpen_processors.sast.analysis import flows_of, lower, without_collector
from bullpen_processors.sast.audit import Audit
from bullpen_processors.sast.context import Given
from bullpen_processors.sast.external import Budget, Missing, base_of, codes_of, not_fetched
from bullpen_processors.sast.findings import SastFinding
from bullpen_processors.sast.literals import Literals
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.marks import Marks
from bullpen_processors.sast.markup import Markup
from bullpen_processors.sast.report import Report, Reporter, parse_errors
from bullpen_processors.sast.sanitization import Sanitization
from bullpen_processors.sast.settings import SastSettings
from bullpen_processors.sast.units import extra_units, units_of

SEVERITIES: Final = ("high", "medium", "low")
MISSING_SHOWN: Final = 100
"""Scripts without code that the value names."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an analysis came to, before it is written down."""

    report: Report
    scripts: int
    cut_short: bool
    missing: Sequence[Missing]
    """Scripts whose code there was none of."""


class SastAnalyze:
    """Analyses one page: markup, inline handlers and scripts as one program."""

    def process(self, payload: Json, context: Context) -> Result:
        """Return what was found, and write it as findings of this job: an earlier attempt's go."""
        vocabulary = Vocabulary.from_settings(context.settings)
        settings = SastSettings.from_settings(context.settings)
        if not isinstance(payload, dict):
            payload = {}  # as the original takes it
        fetch = not_fetched if settings.fetch is None else Budget(context.web, settings.fetch, context.now)
        outcome = analyse(payload, settings, context.report, fetch)
        result = _result(outcome, text(payload.get("url") or ""))
        if settings.explain:
            result["explained"] = [seen.as_json() for seen in outcome.report.seen]
        _log(outcome, result, context.report)
        found = outcome.report.findings
        write = _write(found, vocabulary)
        if not found:
            return Result({"result": result, "insertStatus": None}, write)

        def finish(answer: StoreAnswer) -> Json:
            return {"result": result, "insertStatus": answer.status}

        return Result(write=write, finish=finish)


Fetch = Callable[[str], str]
"""The code that an address leads to; raises NoAnswerError."""


def analyse(payload: Json, settings: SastSettings, progress: Progress, fetch: Fetch = not_fetched) -> Outcome:
    """Analyse a page."""
    with without_collector():
        return _analyse(payload, settings, progress, fetch)  # the graph goes before the collector comes back


def _analyse(payload: Json, settings: SastSettings, progress: Progress, fetch: Fetch) -> Outcome:
    url, html = text(payload.get("url") or ""), payload.get("html")
    markup = Markup("" if html is None else text(html), url)
    scripts = items(payload.get("scripts"))
    codes = codes_of(scripts, base_of(url, markup.bases), fetch)
    units = list(units_of(markup.html, scripts, codes.found, markup.in_attribute))
    units += extra_units(markup, scripts)
    progress.progress(30)
    page = Page(settings.models.words)
    lower(page, units, settings.models, explain=settings.explain)
    progress.progress(60)
    flows, found = flows_of(page, settings.models)
    progress.progress(85)
    given = Given(scripts, items(payload.get("forms")), items(payload.get("iframes")))
    snippets = truthy(payload.get("includeSnippets"))
    reporter = Reporter(url, markup, units, page, given, snippets=snippets, explain=settings.explain)
    spots = [*parse_errors(units), *Audit(flows, units).spots(), *Sanitization(flows, units).spots()]
    spots += Literals(flows, units).spots()
    report = reporter.report(Marks(markup).marks(), spots, found)
    progress.progress(100)
    return Outcome(report, len(units), flows.cut, codes.missing)


def _result(outcome: Outcome, url: str) -> Json:
    findings = outcome.report.findings
    severities = Counter(finding.severity for finding in findings)
    types = Counter(
        "html" if finding.context["type"].startswith("html") else finding.context["type"] for finding in findings
    )
    result: dict[str, Json] = {
        "ok": True,
        "pageUrl": url,
        "totalFindings": len(findings),
        "stats": {severity: severities[severity] for severity in SEVERITIES},
        "summary": {
            "scripts": types["script"],
            "forms": types["form"],
            "iframes": types["iframe"],
            "html": types["html"],
        },
        "findings": [finding.as_json() for finding in findings],
    }
    if outcome.report.cut:
        result["cut"] = dict(outcome.report.cut)
    if outcome.missing:
        result["notFetched"] = [missing.as_json() for missing in outcome.missing[:MISSING_SHOWN]]
    return result


def _log(outcome: Outcome, result: Json, progress: Progress) -> None:
    stats = ", ".join(f"{count} {severity}" for severity, count in result["stats"].items())
    progress.log(f"{result['totalFindings']} findings in {outcome.scripts} scripts and handlers: {stats}")
    reasons = Counter(missing.reason for missing in outcome.missing)
    for reason, count in reasons.most_common(10):
        progress.log(f"{count} external scripts are not analysed: {reason}")
    for rule, count in outcome.report.cut.items():
        progress.log(f"{count} more findings of {rule} are left out: a page shows 500 of each rule")
    if outcome.cut_short:
        progress.log("the page has more ways for values than are followed: some flows may be missing")


def _write(found: list[SastFinding], vocabulary: Vocabulary) -> Quads:
    graph = vocabulary.findings_graph
    quads = dict.fromkeys(ox.Quad(*triple, graph) for finding in found for triple in finding.triples(vocabulary.ex))
    return Quads(list(quads), findings=[Resource(graph.value, finding.finding().iri) for finding in found])
