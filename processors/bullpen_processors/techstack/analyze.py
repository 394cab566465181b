"""`techstack-analyze`: known vulnerabilities of what a site runs, and what is wrong with its headers and cookies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Context, Json, Quads, Resource, Result, SettingsError, StoreAnswer
from bullpen_processors.ontoweb.javascript import well_formed
from bullpen_processors.ontoweb.vocabulary import Vocabulary
from bullpen_processors.techstack import cookies, headers
from bullpen_processors.techstack.cookies import Cookie
from bullpen_processors.techstack.exposed import CookieFinding, HeaderFinding, cookie_facts
from bullpen_processors.techstack.findings import ADDS, TechstackFinding
from bullpen_processors.techstack.headers import HeaderEntry
from bullpen_processors.techstack.inputs import Payload
from bullpen_processors.techstack.lookups import Explain, Lookup, Lookups
from bullpen_processors.techstack.mirror import Mirror
from bullpen_processors.techstack.nvd import NOTICE, Nvd, Options
from bullpen_processors.techstack.questions import Source
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.software import SoftwareFinding

RESOLVER: Final = {
    "id": "resolver:techstack", "type": "TechstackResolver", "version": "1.0.0", "ontologyVersion": "1.1.0",
}  # fmt: skip
_WORSE: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


class TechstackAnalyze:
    """Looks software up in NVD and judges headers and cookies by what they say."""

    def process(self, payload: Json, context: Context) -> Result:
        """Return what was found, and write it as findings of this job."""
        vocabulary = Vocabulary.from_settings(context.settings)
        source = _source(context)
        given = Payload.of(payload)
        explain = _explain(context)
        asked = [*given.technologies, *given.waf]
        judged = [(cookie, _judge(cookie, given, context, explain)) for cookie in map(Cookie, given.cookies)]
        looked_up = Lookups(source, explain).look_up(asked)
        software = [_software(lookup, given.main_domain) for lookup in looked_up]
        found_headers = [
            HeaderFinding(entry, issue, given.main_domain)
            for entry, issue in headers.judge(list(map(HeaderEntry, given.headers)), explain)
        ]
        found_cookies = [found for _, findings in judged for found in findings]
        found = [*(one for findings in software for one in findings), *found_headers, *found_cookies]
        result = {
            "ok": True,
            "resolver": RESOLVER,
            "analyzedAt": _time(context.now()),
            "summary": _summary(looked_up, software, found_headers, found_cookies),
            "stats": _stats(found),
            "findings": [one.as_json() for one in found],
            **_shown(looked_up, software),
            "secureHeaders": [one.aggregate() for one in found_headers],
            "cookies": [_cookie(cookie, findings) for cookie, findings in judged if findings],
            **_standing(looked_up),
        }
        context.report.log(f"{len(found)} findings; look-ups: {result['lookups']}")
        return _returned(result, found, vocabulary)


def _source(context: Context) -> Source:
    mirror = context.settings.get("nvdMirror")
    if mirror is None or mirror == "":
        return Nvd(context, Options.from_settings(context.settings))
    if not isinstance(mirror, str):
        raise SettingsError("setting nvdMirror: expected the path of a folder")
    return Mirror(mirror, context.report)


def _explain(context: Context) -> Explain:
    """Tell the job's log what is not reported, and why, where the setting `explain` asks for it."""
    if not context.settings.get("explain"):
        return lambda *_: None

    def explain(what: str, reason: Reason, because: str) -> None:
        context.report.log(well_formed(f"not reported: {what}: {reason.value}: {because}"))

    return explain


def _judge(cookie: Cookie, given: Payload, context: Context, explain: Explain) -> list[CookieFinding]:
    issues = cookies.judge(cookie, given.site, context.now(), explain)
    return [CookieFinding(cookie, issue, given.main_domain) for issue in issues]


def _software(lookup: Lookup, main_domain: Json) -> list[SoftwareFinding]:
    return [SoftwareFinding(lookup.asked, match, main_domain) for match in lookup.matches]


def _summary(
    looked_up: Sequence[Lookup],
    software: Sequence[Sequence[SoftwareFinding]],
    found_headers: Sequence[HeaderFinding],
    found_cookies: Sequence[CookieFinding],
) -> Json:
    kinds = Counter(lookup.asked.is_waf for lookup in looked_up)
    known = Counter(lookup.asked.is_waf for lookup, found in zip(looked_up, software, strict=True) if found)
    return {
        "totalTechnologies": kinds[False],
        "technologiesWithKnownCVE": known[False],
        "totalWaf": kinds[True],
        "wafWithKnownCVE": known[True],
        "totalHeaderFindings": len(found_headers),
        "totalCookieFindings": len(found_cookies),
        "totalFindings": sum(map(len, software)) + len(found_headers) + len(found_cookies),
    }


def _stats(found: Iterable[TechstackFinding]) -> Json:
    found = list(found)
    return {
        "bySeverity": dict(Counter(one.issue.severity for one in found)),
        "byCategory": dict(Counter(one.issue.category for one in found)),
        "byKind": dict(Counter(one.kind for one in found)),
    }


def _shown(looked_up: Sequence[Lookup], software: Sequence[Sequence[SoftwareFinding]]) -> Mapping[str, Json]:
    shown: dict[str, list[Json]] = {"technologies": [], "waf": []}
    for lookup, found in zip(looked_up, software, strict=True):
        shown["waf" if lookup.asked.is_waf else "technologies"].append(_entry(lookup, found))
    return shown


def _entry(lookup: Lookup, found: Sequence[SoftwareFinding]) -> Json:
    records = [match.record for match in lookup.matches]
    entry = {
        "name": lookup.asked.name,
        "version": lookup.asked.version,
        "cve": [{"id": record.id, "severity": record.severity, "score": record.score} for record in records],
        "cpe": list(dict.fromkeys(cpe for one in found for cpe in one.cpes)),
        "hasKnownCVE": bool(found),
        "lookup": lookup.state,
    }
    if lookup.asked.is_waf and lookup.asked.version is None:
        del entry["version"]
    return entry | ({"cveNotShown": lookup.cut} if lookup.cut else {})


def _cookie(cookie: Cookie, findings: Sequence[CookieFinding]) -> Json:
    severities = {one.issue.severity for one in findings}
    return {
        **cookie_facts(cookie),
        "worstSeverity": next((severity for severity in _WORSE if severity in severities), "INFO"),
        "issues": [
            {
                "rule": one.issue.rule, "risk": one.issue.severity, "severity": one.issue.severity,
                "category": one.issue.category, "description": one.issue.description,
                "remediation": one.issue.remediation,
            }
            for one in findings
        ],
    }  # fmt: skip


def _standing(looked_up: Sequence[Lookup]) -> Mapping[str, Json]:
    """Say how the look-ups went: where one failed, nothing found does not mean that nothing is known."""
    failed = [
        {"name": one.asked.name, "version": one.asked.version, "reason": one.failed}
        for one in looked_up
        if one.failed is not None
    ]
    done = any(one.done for one in looked_up)
    state = "failed" if failed else ("complete" if done else "none")
    return {"lookups": state, "failedLookups": failed, **({"notice": NOTICE} if done else {})}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _returned(result: Json, found: Sequence[TechstackFinding], vocabulary: Vocabulary) -> Result:
    write = _write(found, vocabulary)
    if not found:
        return Result({"result": result, "insertStatus": None}, write)

    def finish(answer: StoreAnswer) -> Json:
        return {"result": result, "insertStatus": answer.status}

    return Result(write=write, finish=finish)


def _write(found: Sequence[TechstackFinding], vocabulary: Vocabulary) -> Quads:
    """Write one finding per id: of one that comes twice the last counts, with the places of all."""
    graph, ex = vocabulary.findings_graph, vocabulary.ex
    last = {one.key: one for one in found}
    adds = {ex[name] for name in ADDS}
    quads: dict[ox.Quad, None] = {}
    for one in found:
        for triple in one.triples(ex):
            if one is last[one.key] or triple[1] in adds:
                quads[ox.Quad(*triple, graph)] = None
    shared = dict.fromkeys(node.value for one in last.values() for node in one.shared(ex))
    return Quads(
        _agreed(list(quads), shared),
        replaces=[Resource(graph.value, iri) for iri in shared],
        findings=[Resource(graph.value, one.finding.iri) for one in last.values()],
        adds=[term.value for term in adds],
    )


def _agreed(quads: Sequence[ox.Quad], shared: Mapping[str, None]) -> list[ox.Quad]:
    """Let a shared node say one thing of each property: its names may collide, and the last one counts."""
    kept: dict[tuple[str, str] | ox.Quad, ox.Quad] = {}
    for quad in quads:
        subject = quad.subject
        assert isinstance(subject, ox.NamedNode)
        kept[(subject.value, quad.predicate.value) if subject.value in shared else quad] = quad
    return list(kept.values())
