"""Headers and cookies: what is judged, by what they say, and how it is written."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from bullpen_processors.api import UnusableInputError
from bullpen_processors.techstack.analyze import TechstackAnalyze
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.sites import host_of, same_site
from fakes.outside import NOWHERE, Outside, outside
from fakes.processing import Processed

NOW: Final = 1_700_000_000
EX: Final = "http://localhost/onto/ontowebpt#"
STRICT: Final = "default-src 'self'; object-src 'none'; base-uri 'none'"


def analysed(played: Outside | None = None, **payload: Any) -> Processed:
    played = played or outside(NOWHERE)
    result = TechstackAnalyze().process({"technologies": [], **payload}, played.context)
    return Processed(result, played.report)


def rules(**payload: Any) -> list[str]:
    return [finding["rule"] for finding in analysed(**payload).value()["result"]["findings"]]


# -- headers


@pytest.mark.parametrize(
    ("header", "rule", "severity", "category"),
    [
        ("HSTS", "missing_hsts", "HIGH", "TransportSecurity"),
        ("Strict-Transport-Security", "missing_hsts", "HIGH", "TransportSecurity"),
        ("CSP", "missing_csp", "HIGH", "ContentSecurityPolicy"),
        ("content-security-policy", "missing_csp", "HIGH", "ContentSecurityPolicy"),
        ("X-Frame-Options", "deprecated_x_frame_options", "MEDIUM", "ClickjackingProtection"),
        ("X-Content-Type-Options", "missing_x_content_type_options", "MEDIUM", "MimeSniffingProtection"),
        ("X-XSS-Protection", "deprecated_x_xss_protection", "LOW", "LegacyXSSFilter"),
        ("X-Powered-By", "generic_header_observation", "INFO", "HeaderSecurity"),
    ],
)
def test_a_header_of_which_nothing_more_is_said_is_missing(
    header: str, rule: str, severity: str, category: str
) -> None:
    entry = {"header": header, "description": f"{header} header not found", "urls": ["https://a.test/"]}
    result = analysed(secureHeaders=[entry], mainDomain="a.test").value()["result"]
    (finding,), (aggregate,) = result["findings"], result["secureHeaders"]
    assert finding["id"] == f"header:{header.lower()}:{rule}"
    assert (finding["rule"], finding["severity"], finding["category"]) == (rule, severity, category)
    assert (aggregate["risk"], aggregate["description"], aggregate["urls"]) == (
        severity,
        finding["message"],
        entry["urls"],
    )
    assert finding["evidence"] == {"type": "Header", "header": header, "urls": entry["urls"]}
    assert finding["remediation"]


VALUES = [
    ("Content-Security-Policy", STRICT, []),
    ("csp", "script-src 'nonce-abc' 'strict-dynamic' 'unsafe-inline' https:; object-src 'none'; base-uri 'self'", []),
    ("csp", "default-src *; base-uri 'none'", ["weak_csp_wildcard"]),
    (
        "csp",
        "default-src 'self'; script-src https: 'unsafe-eval'; base-uri 'none'",
        ["weak_csp_wildcard", "weak_csp_unsafe_eval"],
    ),
    ("csp", "default-src 'self' 'unsafe-inline'; base-uri 'none'", ["weak_csp_unsafe_inline"]),
    ("csp", "img-src 'self'", ["weak_csp_no_script_src", "weak_csp_no_object_src", "weak_csp_no_base_uri"]),
    ("csp", f"default-src *, {STRICT}", []),
    ("csp", "", ["missing_csp"]),
    ("HSTS", "max-age=31536000; includeSubDomains", []),
    ("HSTS", 'includeSubDomains; MAX-AGE = "15552000"', []),
    ("HSTS", "max-age=300", ["weak_hsts"]),
    ("HSTS", "max-age=0", ["missing_hsts"]),
    ("HSTS", "includeSubDomains", ["missing_hsts"]),
    ("X-Frame-Options", "DENY", []),
    ("X-Frame-Options", "sameorigin, SAMEORIGIN", []),
    ("X-Frame-Options", "ALLOW-FROM https://a.test", ["deprecated_x_frame_options"]),
    ("X-Frame-Options", "DENY, SAMEORIGIN", ["deprecated_x_frame_options"]),
    ("X-Content-Type-Options", "nosniff", []),
    ("X-Content-Type-Options", "none", ["missing_x_content_type_options"]),
    ("X-XSS-Protection", "0", []),
    ("X-XSS-Protection", "1; mode=block", ["deprecated_x_xss_protection"]),
    ("Referrer-Policy", "no-referrer, strict-origin-when-cross-origin", []),
    ("Referrer-Policy", "unsafe-url", ["weak_referrer_policy"]),
    ("Permissions-Policy", "camera=(), geolocation=(self)", []),
    ("Permissions-Policy", "camera=*, fullscreen=*", ["weak_permissions_policy"]),
    ("Cross-Origin-Opener-Policy", "same-origin", []),
    ("Cross-Origin-Opener-Policy", "unsafe-none", ["weak_opener_policy"]),
    ("Cross-Origin-Embedder-Policy", 'unsafe-none; report-to="x"', ["weak_embedder_policy"]),
    ("Cross-Origin-Resource-Policy", "cross-origin", ["weak_resource_policy"]),
    ("X-Powered-By", "PHP/7.4.3", ["generic_header_observation"]),
]


@pytest.mark.parametrize(("header", "value", "found"), VALUES)
def test_a_header_is_judged_by_its_value(header: str, value: str, found: list[str]) -> None:
    assert rules(secureHeaders=[{"header": header, "value": value}]) == found
    if value:
        assert rules(secureHeaders=[{"header": header, "description": f"{header}: {value}"}]) == found


def test_frame_options_are_not_missed_where_a_policy_says_who_may_frame() -> None:
    frames = {"header": "X-Frame-Options", "value": "ALLOWALL"}
    policy = {"header": "csp", "value": f"{STRICT}; frame-ancestors 'none'"}
    assert rules(secureHeaders=[frames, policy]) == []
    assert rules(secureHeaders=[frames, {**policy, "value": f"{STRICT}; frame-ancestors *"}]) == [
        "deprecated_x_frame_options"
    ]


def test_judging_a_policy_takes_time_in_proportion_to_its_size() -> None:
    assert rules(secureHeaders=[{"header": "csp", "value": "script-src " + "a " * 200_000 + ";" * 200_000}])
    assert rules(secureHeaders=[{"header": "HSTS", "value": "max-age=" * 100_000}]) == ["missing_hsts"]


# -- cookies


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        ({"secure": True, "httpOnly": True, "sameSite": "Strict"}, []),
        ({"secure": True, "httpOnly": True, "sameSite": "lax"}, []),
        ({"secure": True, "httpOnly": True, "sameSite": "None"}, []),
        ({"secure": True, "httpOnly": True, "sameSite": "no_restriction"}, ["missing_samesite"]),
        ({"secure": True, "httpOnly": True, "sameSite": "unspecified"}, ["missing_samesite"]),
        ({"secure": True, "httpOnly": True, "sameSite": True}, ["missing_samesite"]),
        ({"secure": False, "httpOnly": True, "sameSite": "none"}, ["missing_secure", "invalid_samesite_none"]),
        ({}, ["missing_secure", "missing_httponly", "missing_samesite"]),
        ({"secure": True, "httpOnly": True, "sameSite": "Lax", "expirationDate": NOW + 31_536_001}, ["long_expiry"]),
        ({"secure": True, "httpOnly": True, "sameSite": "Lax", "expirationDate": NOW + 31_536_000}, []),
    ],
)
def test_a_cookie_is_judged_by_its_attributes(cookie: Any, found: list[str]) -> None:
    assert rules(cookies=[{"name": "x", **cookie}]) == found


@pytest.mark.parametrize(
    ("name", "cookie", "broken"),
    [
        ("__Secure-a", {"secure": False}, True),
        ("__Secure-a", {"secure": True}, False),
        ("__Host-a", {"secure": True, "domain": "a.test", "path": "/"}, False),
        ("__Host-a", {"secure": True, "domain": ".a.test"}, True),
        ("__Host-a", {"secure": True, "path": "/admin"}, True),
        ("__Host-a", {}, False),
    ],
)
def test_a_prefix_is_a_promise(name: str, cookie: Any, broken: bool) -> None:
    assert ("cookie_prefix_violation" in rules(cookies=[{"name": name, **cookie}])) is broken


CREDENTIALS = "sessionid PHPSESSID JSESSIONID connect.sid authToken XSRF-TOKEN user_id userId id session accesstoken"


@pytest.mark.parametrize("name", CREDENTIALS.split())
def test_a_name_that_says_session_token_or_id_is_a_credentials(name: str) -> None:
    assert "unprotected_session_cookie" in rules(cookies=[{"name": name}])


@pytest.mark.parametrize("name", ["video", "width", "hidden", "_gid", "slide", "tokenizer", "consideration", "lang"])
def test_a_name_that_only_holds_the_letters_is_not(name: str) -> None:
    played = outside(NOWHERE, explain=True)
    found = analysed(played, cookies=[{"name": name}]).value()["result"]["findings"]
    assert "unprotected_session_cookie" not in {finding["rule"] for finding in found}
    assert (name == "lang") or any(Reason.NO_CREDENTIAL.value in line for line in played.report.lines)


@pytest.mark.parametrize(
    ("main", "domain", "third"),
    [
        ("https://www.shop.co.uk/cart?x=1", ".shop.co.uk", False),
        ("https://www.shop.co.uk/", ".other.co.uk", True),
        ("example.test", "notexample.test", True),
        ("https://a.github.io/", "b.github.io", True),
        ("https://a.example.test:8443/", "cdn.example.test", False),
        ("https://127.0.0.1/", "127.0.0.1", False),
        ("https://10.0.0.1/", "10.0.0.2", True),
        ("https://пример.рф/", ".xn--e1afmkfd.xn--p1ai", False),
        ("https://example.test/", "", False),
        ("", ".tracker.test", False),
    ],
)
def test_a_third_partys_cookie_has_another_registrable_domain(main: str, domain: str, third: bool) -> None:
    assert ("third_party_cookie" in rules(cookies=[{"name": "a", "domain": domain}], mainDomain=main)) is third


def test_hosts_are_read_from_whatever_names_them() -> None:
    assert [host_of(text) for text in ("https://u:p@A.test:1/x", ".a.test", "a.test:80", "http://[bad", "")] == [
        "a.test", "a.test", "a.test", "", "",
    ]  # fmt: skip
    assert same_site("co.uk", "co.uk")
    assert not same_site("a.co.uk", "co.uk")
    assert not same_site("a" * 1_000_000 + ".test", "a." * 1_000_000 + "test")


# -- what is refused


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"technologies": None}, "Invalid technologies payload"),
        ({"technologies": {}}, "Invalid technologies payload"),
        ({"technologies": [None]}, "Cannot read properties of null (reading 'name')"),
        ({"waf": {"name": "x"}}, "wafList is not iterable"),
        ({"waf": None}, "Cannot read properties of null (reading 'length')"),
        ({"waf": 5}, "wafList is not iterable"),
        ({"secureHeaders": None}, "Cannot read properties of null (reading 'length')"),
        ({"secureHeaders": [None]}, "Cannot read properties of null (reading 'header')"),
        ({"cookies": [{"name": "a", "domain": 5}], "mainDomain": "x.test"}, "c.domain.includes is not a function"),
    ],
)
def test_an_unusable_payload_is_refused_before_anything_is_asked(payload: Any, reason: str) -> None:
    played = outside(NOWHERE)
    with pytest.raises(UnusableInputError) as refused:
        analysed(played, **payload)
    assert str(refused.value) == reason
    assert played.web.queries == []


@pytest.mark.parametrize("payload", [None, 5, "x", [], {}])
def test_a_payload_that_is_none_is_refused(payload: Any) -> None:
    with pytest.raises(UnusableInputError, match="Invalid technologies payload"):
        TechstackAnalyze().process(payload, outside(NOWHERE).context)


def test_loose_entries_are_read_as_the_original_reads_them() -> None:
    result = analysed(technologies=["jQuery", {"name": "  "}, {"name": 5}], cookies=["x", 7, {"name": None}]).value()[
        "result"
    ]
    assert result["technologies"] == [
        {"name": "5", "version": None, "cve": [], "cpe": [], "hasKnownCVE": False, "lookup": "none"}
    ]
    assert result["findings"][0]["id"] == "cookie:unknown:undefined:missing_secure"
    assert result["findings"][-1]["id"] == "cookie:unknown:null:missing_samesite"
    assert analysed(cookies="ab", waf="x").value()["result"]["summary"]["totalCookieFindings"] == 6


# -- the value and the graph


def test_the_value_counts_what_was_found() -> None:
    value = analysed(
        secureHeaders=[{"header": "HSTS"}, {"header": "X-Powered-By"}], cookies=[{"name": "sid"}], mainDomain="a.test"
    ).value()
    result = value["result"]
    assert value["insertStatus"] == 204
    assert result["analyzedAt"] == "2023-11-14T22:13:20.000Z"
    assert result["summary"] == {
        "totalTechnologies": 0, "technologiesWithKnownCVE": 0, "totalWaf": 0, "wafWithKnownCVE": 0,
        "totalHeaderFindings": 2, "totalCookieFindings": 4, "totalFindings": 6,
    }  # fmt: skip
    assert result["stats"]["bySeverity"] == {"HIGH": 4, "INFO": 1, "MEDIUM": 1}
    assert result["stats"]["byKind"] == {"HeaderIssue": 2, "CookieIssue": 4}
    assert result["cookies"][0]["worstSeverity"] == "HIGH"
    assert result["lookups"] == "none"


def test_nothing_found_is_written_as_nothing() -> None:
    processed = analysed()
    assert processed.value()["insertStatus"] is None
    assert processed.quads == set()


def test_a_cookies_value_is_never_repeated() -> None:
    processed = analysed(cookies=[{"name": "sid", "value": "s3cret"}])
    assert "s3cret" not in json.dumps(processed.value()) + "".join(processed.stored())


def test_of_a_finding_that_comes_twice_the_last_counts_with_the_places_of_both() -> None:
    entries = [{"header": "HSTS", "description": site, "urls": [f"https://{site}.test/"]} for site in ("a", "b")]
    processed = analysed(secureHeaders=entries)
    said = [line.split(" ", 2)[2] for line in processed.stored() if f"{EX}headerUrl>" in line or "label>" in line]
    assert [text.split('"')[1] for text in sorted(said)] == ["b", "https://a.test/", "https://b.test/"]
    assert len(processed.value()["result"]["findings"]) == 2


def test_what_other_sites_said_of_a_finding_stays() -> None:
    write = analysed(secureHeaders=[{"header": "HSTS"}], mainDomain="a.test").result.write
    assert set(write.adds) == {f"{EX}mainDomain", f"{EX}headerUrl"}  # type: ignore[union-attr]
    assert [one.iri for one in write.replaces] == [f"{EX}Header_hsts"]  # type: ignore[union-attr]


def test_the_kind_of_a_finding_is_not_guessed() -> None:
    stored = analysed(secureHeaders=[{"header": "X-XSS-Protection"}], cookies=[{"name": "a"}]).stored()
    assert {line.split("#")[2].partition(">")[0] for line in stored if "aboutVulnerabilityType" in line} == {
        "UnknownVulnerabilityType"
    }


def test_a_node_says_one_thing_of_each_property() -> None:
    twice = [{"name": "a", "domain": ".ex.com", "secure": True}, {"name": "a", "domain": "ex.com", "secure": False}]
    stored = analysed(cookies=twice).stored()
    node = [line for line in stored if line.startswith(f"<{EX}Cookie_ex_com_a>")]
    assert len(node) == len({line.split(" ")[1] for line in node}) == 5
    assert any('cookieDomain> "ex.com"' in line for line in node)
