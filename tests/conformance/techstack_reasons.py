"""Why a finding of `techstack-analyze` may be absent, new or shown otherwise than the original shows it. Pure.

    REASONS     at most six: each says of a finding that only the original has why it is none
    MEANT       what is meant to be new or shown otherwise

What they know comes from the recorded job and from NVD's records, by readers that are simpler than the processor's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import items, member, text, truthy
from conformance.cases import nvd_items
from conformance.difference import Difference


def _cve(difference: Difference) -> bool:
    return difference.what == "gone" and difference.rule == "nvd_cve_match"


@cache
def _records() -> Mapping[str, Any]:
    return {item["cve"]["id"]: item["cve"] for item in nvd_items() if item["cve"].get("id")}


def _record(difference: Difference) -> Any:
    return _records().get(difference.theirs["id"].rpartition(":")[2])


def _key(version: str) -> list[tuple[int, int, str]]:
    """Order a version: numbers by size, a letter after nothing, trailing zeros like nothing."""
    words = re.findall(r"\d+|[a-z]+", version.lower())
    parts = [(1, int(word), "") if word.isdigit() else (1, 0, word) for word in words]
    while parts and parts[-1] == (1, 0, ""):
        parts.pop()
    return parts


def _covers(match: Any, version: str) -> bool:
    exact = match["criteria"].split(":")[5]
    if exact not in ("*", "-"):
        return _key(exact) == _key(version)
    at = _key(version)
    return not (
        ("versionStartIncluding" in match and at < _key(match["versionStartIncluding"]))
        or ("versionEndExcluding" in match and at >= _key(match["versionEndExcluding"]))
        or ("versionEndIncluding" in match and at > _key(match["versionEndIncluding"]))
    )


def _matches(cve: Any) -> list[Any]:
    nodes = [node for one in items(member(cve, "configurations")) for node in items(member(one, "nodes"))]
    return [match for node in nodes for match in items(member(node, "cpeMatch")) if truthy(member(match, "criteria"))]


def another_version(difference: Difference) -> bool:
    """No range that the record names has the version."""
    if not _cve(difference) or not _record(difference):
        return False
    matches, version = _matches(_record(difference)), difference.theirs["evidence"].get("version")
    return bool(matches) and version is not None and not any(_covers(match, version) for match in matches)


def another_product(difference: Difference) -> bool:
    """Neither the record's words nor any name that it calls vulnerable hold the product's."""
    if not _cve(difference):
        return False
    cve, name = _record(difference), re.sub(r"\W+", "", difference.theirs["evidence"]["name"].lower())
    named = "".join(match["criteria"] for match in _matches(cve) if match.get("vulnerable") is not False)
    words = "" if _matches(cve) else " ".join(entry["value"] for entry in items(member(cve, "descriptions")))
    return name not in re.sub(r"\W+", "", (named + words).lower())


def rejected_record(difference: Difference) -> bool:
    """NVD withdrew it."""
    return _cve(difference) and member(_record(difference), "vulnStatus") == "Rejected"


def good_header(difference: Difference) -> bool:
    """The client says what the header says."""
    if difference.what != "gone" or difference.theirs["kind"] != "HeaderIssue":
        return False
    header = text(difference.theirs["evidence"].get("header"))
    return str(difference.theirs["message"]).lower().startswith(f"{header.lower()}: ")


def first_party_cookie(difference: Difference) -> bool:
    """The cookie's domain and the site's end in the same two labels."""
    if difference.what != "gone" or difference.rule != "third_party_cookie":
        return False
    site = re.sub(r"^\w+://|[:/?#].*$", "", text(difference.theirs["mainDomain"]))
    ours, theirs = (host.strip(".").lower().split(".")[-2:] for host in (site, difference.theirs["evidence"]["domain"]))
    return ours == theirs


def no_credential(difference: Difference) -> bool:
    """The name holds the letters inside of another word."""
    if difference.what != "gone" or difference.rule != "unprotected_session_cookie":
        return False
    name = text(difference.theirs["evidence"].get("name"))
    return not re.search(r"sess|(?<![a-z])(?:token|id|sid)(?![a-z])|(?:Token|Id|ID)(?![a-z])", name, re.ASCII)


# -- what is meant to be new, or shown otherwise


def known_at_last(difference: Difference) -> bool:
    """A CVE whose ranges have the version, or that the original asked for once and got no answer."""
    if difference.what == "new" and difference.rule == "nvd_cve_match":
        cve = _records().get(difference.ours["id"].rpartition(":")[2])
        return any(_covers(match, difference.ours["evidence"]["version"]) for match in _matches(cve))
    return False


def said_by_cvss(difference: Difference) -> bool:
    """Severity and score, where the original looks in the wrong place or takes a 0 for nothing."""
    if difference.what == "quads" and difference.rule in ("severity", "cvssScore", "cvssSeverity"):
        return bool(difference.ours or difference.item[0] == '"UNKNOWN"')
    at = difference.place[2:]
    if difference.what != "changed" or difference.rule != "nvd_cve_match" or at not in (("severity",), ("score",)):
        return False
    return difference.theirs in ("UNKNOWN", None) or (at == ("score",) and isinstance(difference.theirs, str))


def cookie_at_last(difference: Difference) -> bool:
    """A SameSite that no browser respects, a broken prefix, another site whose name ends alike."""
    if difference.what != "new":
        return False
    flags, name = difference.ours["evidence"].get("flags", {}), text(difference.ours["evidence"].get("name"))
    same_site = text(flags.get("sameSite")).lower()
    return {
        "missing_samesite": same_site not in ("lax", "strict", "none"),
        "invalid_samesite_none": same_site in ("none", "no_restriction"),
        "cookie_prefix_violation": name.lower().startswith("__"),
        "third_party_cookie": True,
        "unprotected_session_cookie": True,
    }.get(difference.rule, False)


def kind_not_guessed(difference: Difference) -> bool:
    """XSS is not read from a category, and a CVE is not unknown besides."""
    if difference.what != "quads" or difference.rule not in ("aboutVulnerabilityType", "type"):
        return False
    value, _ = difference.item
    return str(value).endswith(("#XSS>", "#UnknownVulnerabilityType>", "#Vulnerabilities>"))


def own_cpes(difference: Difference) -> bool:
    """Each CVE has the CPEs of its own record."""
    if difference.what == "changed":
        return difference.rule == "nvd_cve_match" and difference.place[2:4] == ("evidence", "cpe")
    return difference.what == "quads" and difference.rule == "cpe"


def said_twice(difference: Difference) -> bool:
    """What two entries with one id say differently: the last one counts, the places of both are kept."""
    if difference.what != "quads" or not difference.rule:
        return False
    return difference.item[1] > 1 and not difference.ours


def shared_node(difference: Difference) -> bool:
    """What entries with different ids say of one node, whose name is the same."""
    node = difference.place[-1] if difference.what == "quads" and difference.place else ""
    return "#Cookie_" in text(node) or "#Header_" in text(node)


Judge = Callable[[Difference], bool]

_NVD: Final = "unit/processors/test_nvd.py::"
_EXPOSED: Final = "unit/processors/test_techstack_exposed.py::"
REASONS: Final[Sequence[tuple[str, str, str, Judge]]] = (
    ("another-version", "JUDGEMENT 21", f"{_NVD}test_what_is_not_reported_is_explained", another_version),
    ("another-product", "JUDGEMENT 24", f"{_NVD}test_what_is_not_reported_is_explained", another_product),
    ("rejected-record", "JUDGEMENT 22", f"{_NVD}test_what_is_not_reported_is_explained", rejected_record),
    ("good-header", "JUDGEMENT 25", f"{_EXPOSED}test_a_header_is_judged_by_its_value", good_header),
    ("first-party-cookie", "I15", f"{_EXPOSED}test_a_third_partys_cookie_has_another_registrable_domain",
     first_party_cookie),
    ("no-credential", "I16", f"{_EXPOSED}test_a_name_that_only_holds_the_letters_is_not", no_credential),
)  # fmt: skip
"""Name, number, test and judge. The names are those that `--explain` says."""
MEANT: Final[Sequence[tuple[str, str, str, Judge]]] = (
    ("a vulnerability that is known at last", "JUDGEMENT 21", f"{_NVD}test_what_passes_is_waited_for", known_at_last),
    ("what CVSS says", "I14", f"{_NVD}test_severity_and_score_are_read_where_they_are", said_by_cvss),
    ("a cookie that is judged at last", "JUDGEMENT 26", f"{_EXPOSED}test_a_cookie_is_judged_by_its_attributes",
     cookie_at_last),
    ("the kind comes from the rule", "I13", f"{_EXPOSED}test_the_kind_of_a_finding_is_not_guessed", kind_not_guessed),
    ("the CPEs of a CVE are its own", "JUDGEMENT 23", f"{_NVD}test_a_cve_is_linked_with_the_cpes_that_have_it",
     own_cpes),
    ("one id, two entries", "I17",
     f"{_EXPOSED}test_of_a_finding_that_comes_twice_the_last_counts_with_the_places_of_both",
     said_twice),
    ("one node, two entries", "I17", f"{_EXPOSED}test_a_node_says_one_thing_of_each_property", shared_node),
)  # fmt: skip
