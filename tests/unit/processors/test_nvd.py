"""NVD as it answers, and as it does not: what is asked, what is believed, and what is said when nothing came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from bullpen_processors.api import NoAnswerError, SettingsError, WebAnswer
from bullpen_processors.techstack import nvd
from bullpen_processors.techstack.analyze import TechstackAnalyze
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.records import records, trimmed
from fakes.nvd import cpe, record, v31
from fakes.outside import Answer, Outside, outside
from fakes.processing import Processed

NGINX = record(
    "CVE-2021-23017", "nginx", cpe("f5", "nginx", versionStartIncluding="0.6.18", versionEndExcluding="1.20.1")
)
ASKED = {"technologies": [{"name": "nginx", "version": "1.18.0"}]}


def page(*items: Any, total: int | None = None) -> WebAnswer:
    body = {"totalResults": len(items) if total is None else total, "vulnerabilities": list(items)}
    return WebAnswer(200, json.dumps(body).encode())


def analysed(answer: Answer | Outside, payload: Any = ASKED, **settings: Any) -> Any:
    """Return the job's result."""
    played = answer if isinstance(answer, Outside) else outside(answer, **settings)
    result = TechstackAnalyze().process(payload, played.context)
    value: Any = result.finish(type("Answer", (), {"status": 204})()) if result.finish else result.value
    return value["result"]


def ids(result: Any) -> list[str]:
    return [finding["id"] for finding in result["findings"]]


# -- what comes instead of an answer

HTML = b"<!doctype html><title>Just a moment...</title>"
BAD = [
    pytest.param(WebAnswer(403, HTML), "NVD answered 403", 4, id="403"),
    pytest.param(WebAnswer(429), "NVD answered 429", 4, id="429"),
    pytest.param(WebAnswer(503, b"down"), "NVD answered 503", 4, id="503"),
    pytest.param(WebAnswer(404), "NVD answered 404", 1, id="404"),
    pytest.param(WebAnswer(302), "NVD answered 302", 1, id="a-redirect"),
    pytest.param(WebAnswer(200, HTML), "NVD's answer is no page of CVEs", 4, id="html"),
    pytest.param(WebAnswer(200, b'{"vulnerabilities": [{'), "NVD's answer is no page of CVEs", 4, id="broken-json"),
    pytest.param(WebAnswer(200, b"{}"), "NVD's answer is no page of CVEs", 4, id="odd-json"),
    pytest.param(
        WebAnswer(200, b'{"vulnerabilities": {"a": 1}}'), "NVD's answer is no page of CVEs", 4, id="an-object"
    ),
    pytest.param(WebAnswer(200, b"[" * 100_000), "NVD's answer is no page of CVEs", 4, id="deep-json"),
    pytest.param(
        NoAnswerError("x gave no answer: nothing whole came within 30 s"),
        "x gave no answer: nothing whole came within 30 s",
        4,
        id="slow",
    ),
]


@pytest.mark.parametrize(("came", "reason", "tries"), BAD)
def test_a_look_up_that_fails_is_seen_and_the_job_goes_on(came: WebAnswer | Exception, reason: str, tries: int) -> None:
    played = outside(lambda _query: came)
    result = analysed(played, {**ASKED, "secureHeaders": [{"header": "HSTS"}]})
    assert result["lookups"] == "failed"
    assert result["failedLookups"] == [{"name": "nginx", "version": "1.18.0", "reason": reason}]
    assert result["technologies"][0]["lookup"] == "failed"
    assert ids(result) == ["header:hsts:missing_hsts"]
    assert len(played.web.queries) == len(played.commons.turns) == played.commons.ended == tries
    assert played.commons.known == {}
    assert any(reason in line for line in played.report.lines)


@pytest.mark.parametrize(("came", "reason", "tries"), BAD)
def test_what_passes_is_waited_for(came: WebAnswer | Exception, reason: str, tries: int) -> None:
    coming = [came, page(NGINX)]
    result = analysed(lambda _query: coming.pop(0))
    if tries == 1:
        assert result["lookups"] == "failed"
    else:
        assert result["lookups"] == "complete"
        assert ids(result) == ["tech:nginx:1.18.0:CVE-2021-23017"]


def test_waits_grow_and_are_those_that_nvd_asks_for() -> None:
    coming = [WebAnswer(503), WebAnswer(429, retry_after_s=17.0), WebAnswer(403, retry_after_s=9_999.0), page(NGINX)]
    played = outside(lambda _query: coming.pop(0))
    assert analysed(played)["lookups"] == "complete"
    assert played.commons.held == [2.0, 17.0, 60.0]


def test_after_three_failures_in_a_row_the_rest_is_not_asked() -> None:
    names = ["nginx", "PHP", "jQuery", "Django", "Flask"]
    played = outside(lambda _query: WebAnswer(404))
    result = analysed(played, {"technologies": [{"name": name, "version": "1.0"} for name in names]})
    assert len(played.web.queries) == 3
    assert [one["reason"] for one in result["failedLookups"]][3:] == ["not asked: 3 look-ups before it failed"] * 2


def test_a_job_waits_for_nvd_no_longer_than_it_is_told() -> None:
    played = outside(lambda _query: WebAnswer(503, retry_after_s=40.0), nvdPatienceSeconds=60)
    result = analysed(played)
    assert len(played.web.queries) == 2
    assert result["failedLookups"][0]["reason"] == "no turn at NVD came within nvdPatienceSeconds"


# -- what is asked


def test_a_product_of_the_table_is_asked_for_by_its_cpe() -> None:
    played = outside(lambda _query: page(NGINX))
    analysed(played)
    assert played.web.queries == [
        {"virtualMatchString": "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*", "resultsPerPage": "500", "startIndex": "0"}
    ]


def test_two_versions_of_a_product_are_one_question_and_the_next_job_asks_none() -> None:
    played = outside(lambda _query: page(NGINX))
    payload = {"technologies": [{"name": "nginx", "version": "1.18.0"}, {"name": "Nginx", "version": "1.20.1"}]}
    assert ids(analysed(played, payload)) == ["tech:nginx:1.18.0:CVE-2021-23017"]
    assert ids(analysed(played, payload)) == ["tech:nginx:1.18.0:CVE-2021-23017"]
    assert len(played.web.queries) == 1
    assert set(played.commons.kept_s.values()) == {24 * 3600.0}


def test_what_nvd_does_not_know_is_remembered_for_a_shorter_time() -> None:
    played = outside(lambda _query: page())
    assert analysed(played, {"technologies": [{"name": "AcmeServer", "version": "1"}]})["lookups"] == "complete"
    assert set(played.commons.kept_s.values()) == {6 * 3600.0}


def test_what_was_remembered_and_is_not_ours_is_asked_again() -> None:
    played = outside(lambda _query: page(NGINX))
    key = "nvd:services.nvd.nist.gov:cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"
    for text in ("", "no base64", "AAAA", "eJwDAAAAAAE="):
        played.commons.known[key] = text
        assert analysed(played)["lookups"] == "complete"
    assert len(played.web.queries) == 4


def test_a_product_that_nvd_knows_nothing_of_is_searched_by_words() -> None:
    def answer(query: Mapping[str, str]) -> WebAnswer:
        return page(NGINX) if query.get("keywordSearch") == "nginx" else page()

    played = outside(answer)
    assert ids(analysed(played)) == ["tech:nginx:1.18.0:CVE-2021-23017"]
    assert len(played.web.queries) == 2


def test_all_pages_are_read() -> None:
    many = [record(f"CVE-2024-{index}", "", cpe("f5", "nginx", "1.18.0")) for index in range(1200)]
    played = outside(lambda query: page(*many[int(query["startIndex"]) :][:500], total=1200))
    result = analysed(played)
    assert [query["startIndex"] for query in played.web.queries] == ["0", "500", "1000"]
    assert result["technologies"][0]["cveNotShown"] == 1100


def test_a_word_that_thousands_of_records_hold_means_nothing() -> None:
    played = outside(lambda _query: page(total=9_123))
    result = analysed(played, {"technologies": [{"name": "Data", "version": "1"}]})
    assert "9,123 records hold these words" in result["failedLookups"][0]["reason"]
    assert len(played.web.queries) == 1


def test_half_a_surrogate_pair_is_asked_for_as_what_replaces_it() -> None:
    played = outside(lambda _query: page(), explain=True)
    payload = {"technologies": [{"name": "a\ud800b", "version": "1\udc00"}], "cookies": [{"name": "vid\ud800eo"}]}
    result = analysed(played, payload)
    assert result["lookups"] == "complete"
    assert played.web.queries[0]["keywordSearch"] == "a\ufffdb"
    "".join(played.report.lines).encode()


def test_a_technology_without_version_is_not_looked_up_and_a_firewall_is() -> None:
    played = outside(lambda _query: page())
    result = analysed(
        played, {"technologies": [{"name": "WordPress", "version": ""}], "waf": [{"name": "UmbrellaWAF"}]}
    )
    assert [entry["lookup"] for entry in (*result["technologies"], *result["waf"])] == ["none", "complete"]
    assert [query["keywordSearch"] for query in played.web.queries] == ["umbrellawaf"]


def test_nvds_notice_is_shown_where_its_data_is_used_and_nowhere_else() -> None:
    assert analysed(lambda _query: page(NGINX))["notice"] == nvd.NOTICE
    assert "notice" not in analysed(lambda _query: page(), {"technologies": []})


# -- the key


@pytest.mark.parametrize(("secrets", "limit"), [({}, 5), ({"NVD_API_KEY": "s3cret"}, 50)])
def test_the_limit_is_the_keys(secrets: Mapping[str, str], limit: int) -> None:
    played = outside(lambda _query: page(NGINX), secrets=secrets)
    analysed(played)
    suffix = ":key" if secrets else ""
    assert played.commons.turns == [(f"nvd:services.nvd.nist.gov{suffix}", limit, 30.0)]
    assert played.web.sent == [{"apiKey": "NVD_API_KEY"} if secrets else {}]


def test_a_wrong_key_is_said_and_never_shown() -> None:
    played = outside(lambda _query: WebAnswer(404), secrets={"NVD_API_KEY": "s3cret"})
    result = analysed(played)
    assert result["failedLookups"][0]["reason"] == "NVD answered 404: is NVD_API_KEY right?"
    assert "s3cret" not in json.dumps(result) + "".join(played.report.lines)


@pytest.mark.parametrize(
    ("name", "value"), [("nvdUrl", "ftp://x"), ("nvdUrl", 5), ("nvdPatienceSeconds", -1), ("nvdMirror", 5)]
)
def test_a_wrong_setting_is_named(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"setting {name}: expected"):
        analysed(lambda _query: page(), **{name: value})


# -- what a record says

METRICS = [
    pytest.param({"cvssMetricV2": [{"cvssData": {"baseScore": 7.5}, "baseSeverity": "HIGH"}]}, ("HIGH", 7.5), id="v2"),
    pytest.param(
        {"cvssMetricV30": [{"cvssData": {"baseScore": 5.0, "baseSeverity": "MEDIUM"}}]}, ("MEDIUM", 5.0), id="v3.0"
    ),
    pytest.param(v31(8.8, "high"), ("HIGH", 8.8), id="v3.1-in-lower-case"),
    pytest.param(
        {"cvssMetricV40": [{"cvssData": {"baseScore": 9.3, "baseSeverity": "CRITICAL"}}], **v31(5.0, "MEDIUM")},
        ("CRITICAL", 9.3),
        id="v4.0-goes-first",
    ),
    pytest.param(v31(0.0, "NONE"), ("INFO", 0.0), id="zero-is-a-score"),
    pytest.param(
        {
            "cvssMetricV31": [
                {"type": "Secondary", "cvssData": {"baseScore": 9.9, "baseSeverity": "CRITICAL"}},
                {"type": "Primary", "cvssData": {"baseScore": 4.0, "baseSeverity": "MEDIUM"}},
            ]
        },
        ("MEDIUM", 4.0),
        id="nvds-own",
    ),
    pytest.param(
        {"cvssMetricV31": [{"cvssData": {"baseScore": "7.5", "baseSeverity": "HIGH"}}]}, ("HIGH", None), id="text"
    ),
    pytest.param({}, ("UNKNOWN", None), id="none"),
    pytest.param({"cvssMetricV31": [None]}, ("UNKNOWN", None), id="null"),
    pytest.param([], ("UNKNOWN", None), id="a-list"),
]


@pytest.mark.parametrize(("metrics", "rating"), METRICS)
def test_severity_and_score_are_read_where_they_are(metrics: Any, rating: tuple[str, float | None]) -> None:
    (one,) = records([trimmed(record("CVE-2024-1", metrics=metrics))])
    assert (one.severity, one.score) == rating


def test_what_is_no_record_is_left_out() -> None:
    assert [trimmed(item) for item in (None, {}, {"cve": None}, {"cve": {"id": 5}}, {"cve": {"id": ""}}, 7)] == [
        None
    ] * 6


def test_the_worst_come_first_before_any_cut() -> None:
    rows = [(3.3, "LOW"), (9.1, "CRITICAL"), (7.4, "HIGH"), (9.8, "CRITICAL"), (5.5, "MEDIUM")]
    items = [record(f"CVE-2024-{i}", "", cpe("f5", "nginx", "1.18.0"), metrics=v31(*row)) for i, row in enumerate(rows)]
    items += [record(f"CVE-2023-{i}", "", cpe("f5", "nginx", "1.18.0"), metrics=v31(1.0, "LOW")) for i in range(200)]
    result = analysed(lambda _query: page(*items))
    shown = result["technologies"][0]["cve"]
    assert [one["score"] for one in shown[:5]] == [9.8, 9.1, 7.4, 5.5, 3.3]
    assert (len(shown), result["technologies"][0]["cveNotShown"]) == (100, 105)


# -- what is not reported, and why

PLATFORM = {"vulnerable": False, "criteria": "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param(
            record("CVE-2024-1", "", cpe("f5", "nginx", versionEndExcluding="1.18.0")), Reason.VERSION, id="fixed-in-it"
        ),
        pytest.param(record("CVE-2024-1", "nginx 1.18.0", cpe("f5", "nginx", "1.17.0")), Reason.VERSION, id="another"),
        pytest.param(record("CVE-2024-1", "", PLATFORM, cpe("x", "module")), Reason.PRODUCT, id="the-platform"),
        pytest.param(record("CVE-2024-1", "nginx 1.18.0", cpe("x", "y")), Reason.PRODUCT, id="a-word-of-it"),
        pytest.param(
            record("CVE-2024-1", "", cpe("f5", "nginx", "1.18.0"), status="Rejected"), Reason.REJECTED, id="rejected"
        ),
    ],
)
def test_what_is_not_reported_is_explained(item: Any, reason: Reason) -> None:
    played = outside(lambda _query: page(item), explain=True)
    assert ids(analysed(played)) == []
    assert played.report.lines[0].startswith(f"not reported: nginx 1.18.0: CVE-2024-1: {reason.value}: ")


def test_nothing_is_explained_that_nobody_asked_about() -> None:
    played = outside(lambda _query: page(record("CVE-2024-1", "", cpe("f5", "nginx", "1"))))
    analysed(played)
    assert played.report.lines == ["0 findings; look-ups: complete"]


# -- how sure it is


@pytest.mark.parametrize(
    ("name", "version", "item", "confidence"),
    [
        pytest.param("nginx", "1.18.0", NGINX, "high", id="by-cpe"),
        pytest.param("nginx", "1.18.0-6ubuntu14.4", NGINX, "low", id="a-package-of-a-distribution"),
        pytest.param(
            "AcmeServer",
            "2.0.1",
            record("CVE-2024-1", "AcmeServer", cpe("acme", "acmeserver", "2.0.1")),
            "low",
            id="by-words",
        ),
        pytest.param(
            "AcmeServer",
            "2",
            record("CVE-2024-1", "AcmeServer", cpe("acme", "acmeserver", "2.0.1")),
            "low",
            id="a-part",
        ),
        pytest.param(
            "NewWare",
            "5.0",
            record("CVE-2024-1", "NewWare 5.0 is new.", status="Awaiting Analysis"),
            "low",
            id="by-text",
        ),
        pytest.param(
            "NewWare", "5.0", record("CVE-2024-1", "NewWare 5.0.1 is new."), None, id="another-version-in-the-text"
        ),
    ],
)
def test_how_sure_a_finding_is_is_said(name: str, version: str, item: Any, confidence: str | None) -> None:
    result = analysed(lambda _query: page(item), {"technologies": [{"name": name, "version": version}]})
    assert [finding["confidence"] for finding in result["findings"]] == ([confidence] if confidence else [])


@pytest.mark.parametrize(
    ("waf", "found"),
    [
        ({"name": "ModSecurity", "version": "2.9.3"}, ["waf:ModSecurity:CVE-2024-1"]),
        ({"name": "ModSecurity", "version": "3.0"}, []),
        ({"name": "ModSecurity"}, ["waf:ModSecurity:CVE-2024-1"]),
    ],
)
def test_a_firewall_is_judged_by_name_and_version(waf: Any, found: list[str]) -> None:
    item = record("CVE-2024-1", "", cpe("owasp", "modsecurity", versionEndExcluding="2.9.5"))
    result = analysed(lambda _query: page(item), {"technologies": [], "waf": [waf]})
    assert ids(result) == found
    assert all(one["confidence"] == ("high" if "version" in waf else "low") for one in result["findings"])


def test_a_firewalls_vendor_in_a_text_is_not_the_firewall() -> None:
    item = record("CVE-2024-1", "A client for Cloudflare leaks", cpe("someone", "dns_client", "1.0"))
    assert ids(analysed(lambda _query: page(item), {"technologies": [], "waf": [{"name": "Cloudflare"}]})) == []


# -- what is written

LINUX: Final = {"vulnerable": False, "criteria": "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"}
PHP: Final = [
    record("CVE-2020-7066", "", cpe("php", "php", versionStartIncluding="7.4.0", versionEndExcluding="7.4.4")),
    record("CVE-2024-1", "", cpe("php", "php", "7.4.3"), cpe("php", "php", "7.4.2"), LINUX),
    record("CVE-2024-notanid", "", cpe("php", "php", "7.4.3")),
]


def test_a_cve_is_linked_with_the_cpes_that_have_it() -> None:
    played = outside(lambda _query: page(*PHP))
    payload = {"technologies": [{"name": "PHP", "version": "7.4.3"}]}
    processed = Processed(TechstackAnalyze().process(payload, played.context), played.report)
    links = {tuple(line.split("#")[1:4:2]) for line in processed.stored() if "platformHasVulnerability" in line}
    assert {(cpe_.partition(">")[0], cve.partition(">")[0]) for cpe_, cve in links} == {
        ("CPE_cpe_2_3_a_php_php_7_4_3", "CVE_cve_2020_7066"),
        ("CPE_cpe_2_3_a_php_php_7_4_3", "CVE_cve_2024_1"),
        ("CPE_cpe_2_3_a_php_php_7_4_2", "CVE_cve_2024_1"),
    }
    shown = {one["id"]: one["evidence"]["cpe"] for one in processed.value()["result"]["findings"]}
    assert [len(cpes) for cpes in shown.values()] == [1, 2, 1]
    assert "linux" not in json.dumps(shown)


def test_a_cve_is_what_its_finding_is_about_and_one_without_id_is_unknown() -> None:
    played = outside(lambda _query: page(*PHP))
    payload = {"technologies": [{"name": "PHP", "version": "7.4.3"}]}
    stored = Processed(TechstackAnalyze().process(payload, played.context), played.report).stored()
    about = sorted(line.split("#")[2].partition(">")[0] for line in stored if "aboutVulnerabilityType" in line)
    assert about == ["CVE_cve_2020_7066", "CVE_cve_2024_1", "UnknownVulnerabilityType"]
