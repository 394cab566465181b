"""What techstack-analyze writes has the shape that its readers rely on, and a graph that has not is refused."""

from __future__ import annotations

import json
import warnings
from typing import Any, Final

import pytest
from rdflib import SH, Graph

from bullpen_processors.api import WebAnswer
from bullpen_processors.techstack.analyze import TechstackAnalyze
from fakes.nvd import FakeNvd, cpe, record, v31
from fakes.outside import outside
from fakes.processing import Processed
from support import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyshacl

EX: Final = "http://localhost/onto/ontowebpt#"
RDF_TYPE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
SITE: Final[Any] = {
    "technologies": [
        {"name": "nginx", "version": "1.18.0"},
        {"name": 'Quote"\\', "version": "1.0 é"},
        {"name": "NoId", "version": "1"},
    ],
    "waf": [{"name": "UmbrellaWAF"}, {"name": "Cloud & Co", "version": "2"}],
    "secureHeaders": [
        {"header": "HSTS", "urls": ['https://a.test/?a=<b>"', "https://b.test/"]},
        {"header": "hsts", "description": "x"},
        {"header": None},
        {"header": "csp", "value": "default-src *"},
    ],
    "cookies": [
        {"name": "sid", "domain": ".ex.com", "path": "/", "sameSite": "None", "expirationDate": 4102444800.25},
        {"name": "sid", "domain": "ex.com", "secure": True},
        {"name": "ключ", "domain": "пример.рф"},
        {"name": None},
        {},
    ],
    "mainDomain": "https://ex.com/",
}
ITEMS: Final = [
    record("CVE-2024-1", "", cpe("f5", "nginx", versionEndExcluding="1.20.1"), cpe("f5", "nginx", "1.1")),
    record("CVE-2024-2", "", cpe("f5", "nginx", "1.18.0"), metrics={}),
    record("CVE-2024-3", "UmbrellaWAF", cpe("umbrella", "waf", "1.0"), metrics=v31(0.0, "NONE")),
    record("CVE-2024-notanid", "NoId", cpe("fict", "noid", "1")),
]


def triples() -> str:
    """Return what is stored of a site that has everything, as N-Triples."""
    nvd = FakeNvd(ITEMS, window_s=0.0)

    def answer(query: Any) -> WebAnswer:
        came = nvd.take(dict(query), nvd.key)
        return WebAnswer(came.status or 0, came.body)

    played = outside(answer)
    processed = Processed(TechstackAnalyze().process(SITE, played.context), played.report)
    assert json.loads(json.dumps(processed.value()))["result"]["lookups"] == "complete"
    return "\n".join(line.rpartition(" <")[0] + " ." for line in processed.stored())


def violations(graph: str) -> int:
    data = Graph().parse(data=graph, format="nt")
    shape = Graph().parse(ROOT / "tests" / "shapes" / "techstack-finding.ttl", format="turtle")
    conforms, report, _ = pyshacl.validate(data, shacl_graph=shape)
    assert isinstance(report, Graph)
    found = len(list(report.subjects(SH.resultSeverity)))
    assert conforms == (found == 0), report.serialize()
    return found


def test_findings_of_a_site_have_their_shape() -> None:
    graph = triples()
    assert violations(graph) == 0
    for kind in ("SoftwareFinding", "HeaderFinding", "CookieFinding", "CVE", "CPE", "MessageHeader", "Cookie"):
        assert f"<{RDF_TYPE}> <{EX}{kind}> ." in graph


FINDING: Final = "urn:finding:header%3Ahsts%3Amissing_hsts"


@pytest.mark.parametrize(
    ("more", "less"),
    [
        pytest.param(f'<{FINDING}> <{EX}severity> "LOW" .', "", id="two-severities"),
        pytest.param("", f"<{EX}TechstackFinding>", id="no-class"),
        pytest.param("", f"<{EX}detectedByResolver>", id="no-resolver"),
        pytest.param("", f"<{EX}evidenceType>", id="no-evidence-type"),
        pytest.param("", f"<{EX}Vulnerabilities>", id="an-unknown-type-that-is-nothing"),
        pytest.param("", f"<{EX}cveId>", id="a-cve-without-id"),
        pytest.param("", f"<{EX}fieldName>", id="a-header-without-name"),
        pytest.param(f'<{EX}Cookie_ex_com_sid> <{EX}cookieSecure> "true" .', "", id="a-flag-that-is-text"),
        pytest.param(
            f'<{EX}CVE_cve_2024_1> <{EX}cvssScore> "9.8"^^<http://www.w3.org/2001/XMLSchema#float> .',
            "",
            id="two-scores",
        ),
        pytest.param(f"<{EX}CPE_x> <{RDF_TYPE}> <{EX}CPE> .", "", id="a-cpe-that-has-nothing"),
    ],
)
def test_a_broken_finding_of_a_site_is_refused(more: str, less: str) -> None:
    kept = [line for line in triples().split("\n") if not less or less not in line]
    assert violations("\n".join([*kept, more])) > 0
