"""Why a place of a finding is gone, new or shown otherwise than the original shows it. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import is_number, items, member, text, trim
from conformance import witness
from conformance.difference import Difference
from conformance.messages import header, response_body, shown_pairs, stands_in, without, worked

_PATTERNS: Final = {
    "sql-injection-pattern": witness.SQL,
    "xss-payload-detected": witness.SCRIPT,
    "path-traversal": witness.TRAVERSAL,
}
NEW_RULES: Final = {"missing-security-headers": "header", "cookie-prefix-violation": "cookie"}
_STATIC: Final = re.compile(r"font|image/|audio/|video/|css|javascript")
_STATIC_PATH: Final = re.compile(r"\.(?:woff2?|ttf|css|js|png|jpe?g|gif|svg|ico|webp|mp4)(?:$|\?)")
_SAFE_HEADERS: Final = {
    "content-security-policy", "x-frame-options", "x-content-type-options", "strict-transport-security",
}  # fmt: skip


def no_credential(difference: Difference) -> bool:
    """A parameter whose name only looks like a credential's, or that is blank."""
    if difference.rule != "token-in-url" or difference.what != "gone":
        return False
    return not any(witness.secret(name, value) for name, value in shown_pairs(difference.place, difference.theirs))


def no_statement(difference: Difference) -> bool:
    """Words of SQL that form no statement and break out of none."""
    return _harmless(difference, "sql-injection-pattern", witness.SQL)


def no_script(difference: Difference) -> bool:
    """`javascript:` in prose, a parameter that is called like a handler."""
    return _harmless(difference, "xss-payload-detected", witness.SCRIPT)


def _harmless(difference: Difference, rule: str, dangerous: re.Pattern[str]) -> bool:
    if difference.rule != rule or difference.what != "gone" or difference.place[0] not in ("param", "raw"):
        return False
    texts = [part for pair in shown_pairs(difference.place, difference.theirs) for part in pair]
    return not witness.looks(dangerous, *texts)


def no_trace(difference: Difference) -> bool:
    """A body that names an error, or says "at" before a bracket, and shows no trace; or a library's source."""
    if difference.rule != "leak-stacktrace" or difference.what not in ("gone", "changed"):
        return False
    body, response = response_body(difference.item), member(difference.item, "response")
    status = member(response, "status")
    failed = is_number(status) and status >= 500
    if difference.what == "changed":  # the original shows prose that comes before
        prose = re.match(r"at\s|[a-z]", difference.theirs[0]) is not None
        return prose and bool(witness.TRACE.search(body) or (failed and witness.NAMED.search(body)))
    source = not failed and _STATIC.search(header(response, "content-type")) is not None
    return source or not (witness.TRACE.search(body) or (failed and witness.NAMED.search(body)))


def not_loaded(difference: Difference) -> bool:
    """An address in text, in a link or in data; or one that the original cut short."""
    if difference.rule != "mixed-content" or difference.place[0] != "resource":
        return False
    if difference.what == "changed":
        return str(difference.ours).startswith(difference.theirs) or not witness.LOADED.search(difference.theirs)
    body = re.sub(r"<!--.*?-->", "", response_body(difference.item), flags=re.DOTALL)
    return difference.what == "gone" and not witness.LOADED.search(body)


def stays_on_site(difference: Difference) -> bool:
    """A redirect to the site that was asked, or the address of a page that is given to a service as data."""
    if difference.rule != "open-redirect" or difference.what != "gone":
        return False
    item = difference.item
    path = text(member(member(item, "uri"), "path") or member(member(item, "uri"), "full"))
    shared = re.search(r"share|intent|tweet|embed|collect|preview", path.partition("?")[0].lower()) is not None
    pairs = shown_pairs(difference.place, difference.theirs)
    return shared or not any(witness.leads_away(name, value, item) for name, value in pairs)


def nothing_at_stake(difference: Difference) -> bool:
    """A cookie that is deleted, or that scripts have to read; a public file; a request that is sent on to https."""
    if difference.rule in ("insecure-cookie", "missing-samesite") and difference.place[0] == "cookie":
        raw = text(member(difference.theirs, "raw")).lower()
        for_scripts = re.match(r"[^=]*(?:xsrf|csrf)", raw) is not None
        if difference.what == "changed":
            blank = re.search(r";\s*\w+\s+=", raw) is not None
            key = "attributes" if blank else "missingFlags"
            return (blank or for_scripts) and without(difference.theirs, key) == without(difference.ours, key)
        deleted = re.search(r"max-age\s*=\s*(?:0|-)", raw) is not None or _is_over(raw, difference.item)
        safe = for_scripts if difference.rule == "insecure-cookie" else re.search(r"samesite\s*=\s*(?:lax|strict)", raw)
        return difference.what == "gone" and (deleted or bool(safe))
    if difference.what != "gone":
        return False
    if difference.rule == "cors-misconfig":
        return _is_public_file(difference.item)
    return difference.rule == "insecure-http" and _is_sent_on_or_stays_here(difference.item)


def _is_over(raw: str, item: Any) -> bool:
    """Tell whether a cookie ends in a year that is over: by the response's date, or long ago."""
    ends = re.search(r"expires\s*=[^;]*\b(\d{4})\b", raw)
    now = re.search(r"\b(\d{4})\b", header(member(item, "response"), "date"))
    return ends is not None and int(ends[1]) <= (int(now[1]) if now else 2000)


def _is_public_file(item: Any) -> bool:
    response, uri = member(item, "response"), member(item, "uri")
    paths = (text(member(uri, "path") or ""), text(member(uri, "full") or ""))
    static = _STATIC.search(header(response, "content-type")) or any(map(_STATIC_PATH.search, paths))
    return bool(static) and not header(response, "access-control-allow-credentials")


def _is_sent_on_or_stays_here(item: Any) -> bool:
    url = text(member(member(item, "uri"), "full"))
    here = re.match(r"(?:http|ws)://(?:localhost|127\.|\[::1\])", url, re.IGNORECASE) is not None
    return here or header(member(item, "response"), "location").lower().startswith("https://")


def header_moved(difference: Difference) -> bool:
    """A node whose number http-ingest gives after cookies were split and nameless headers dropped."""
    headers = items(member(member(difference.item, "response"), "headers"))
    split = any(
        not isinstance(member(entry, "name"), str)
        or (text(member(entry, "name")).lower() == "set-cookie" and isinstance(member(entry, "value"), str)
            and len([line for line in member(entry, "value").split("\n") if trim(line)]) != 1)
        for entry in headers
    )  # fmt: skip
    return difference.what == "changed" and difference.place[0] == "iri" and split and ":resh:" in difference.ours


def cookie_domain(difference: Difference) -> bool:
    """The domain of a cookie that the finding shows, which the original looks for in the wrong place."""
    headers = items(member(member(difference.item, "response"), "headers"))
    given = " ".join(text(member(entry, "value")) for entry in headers)
    added = difference.what == "quads" and not difference.theirs and bool(difference.ours)
    return added and all(name == "cookieDomain" and value.strip('"') in given for name, value in difference.ours)


def found_at_last(difference: Difference) -> bool:
    """A payload or a leak that is encoded, in a body, in the URL only, or of a form that the original doesn't know."""
    kind, shown, item = difference.place[0], difference.ours, difference.item
    if kind == "cookie" and difference.what != "new":
        return _joined(difference)
    if difference.what == "gone":  # the raw query is shown where no parameter holds the payload
        return kind == "raw" and "param" in difference.beside
    if kind in ("reflected", "redirected"):
        return bool(shown) and worked(item)
    return difference.what == "new" and difference.rule not in NEW_RULES and _is_there(difference)


def _is_there(difference: Difference) -> bool:
    """Tell whether what we add stands in the item and looks like what the rule says."""
    rule, kind, shown, item = difference.rule, difference.place[0], difference.ours, difference.item
    if kind in ("param", "raw", "path"):
        return stands_in(item, kind, shown) and _is_payload(rule, kind, shown, item)
    if kind != "body":
        return _is_response(rule, kind, shown, item)
    body = response_body(item)
    if rule == "leak-stacktrace":
        return bool(witness.TRACE.search(body) or witness.NAMED.search(body))
    return _is_input(rule, shown[1], item)


def _joined(difference: Difference) -> bool:
    """Tell whether the original took several cookies, joined by commas, for one."""
    entry = items(member(member(difference.item, "response"), "headers"))[difference.place[1]]
    return re.search(r"(?:;.*,|, )[ \t]*[^\s,;=]+=", text(member(entry, "value"))) is not None


def _is_input(rule: str, shown: str, item: Any) -> bool:
    """Judge a payload in the request's body."""
    if rule == "open-redirect":
        return witness.leads_away(*shown.partition("=")[::2], item)
    return (
        rule in _PATTERNS
        and bool(member(item, "bodyBase64"))
        and witness.looks(_PATTERNS[rule], shown, *shown.partition("="))
    )


def _is_payload(rule: str, kind: str, shown: Any, item: Any) -> bool:
    pairs = shown_pairs((kind,), shown)
    if rule == "token-in-url":
        return any(witness.secret(name, value) for name, value in pairs)
    if rule == "open-redirect":
        return any(
            witness.leads_away(witness.decoded(name), reading, item)
            for name, value in pairs
            for reading in witness.readings(value)
        )
    return rule in _PATTERNS and witness.looks(_PATTERNS[rule], *(part for pair in pairs for part in pair))


def _is_response(rule: str, kind: str, shown: Any, item: Any) -> bool:
    if rule == "mixed-content":
        return (
            kind == "resource"
            and shown in response_body(item)
            and witness.LOADED.search(response_body(item)) is not None
        )
    if rule == "insecure-http":
        url = text(member(member(item, "uri"), "full")).strip().lower()
        return kind in ("scheme", "uri") and url.startswith(("http://", "ws://"))
    if rule == "cors-misconfig":
        origin = text(member(shown, "value")).strip()
        return origin == "null" or origin == header({"headers": member(item, "requestHeaders")}, "origin")
    if rule == "server-fingerprint":
        return re.search(r"[a-z]\S*[/ ]v?\d|\d\.\d", text(member(shown, "value")), re.IGNORECASE) is not None
    raw = text(member(shown, "raw")).lower()
    if rule == "missing-samesite":
        return re.search(r";\s*samesite\s*=\s*(?:lax|strict)\s*(?:;|$)", raw) is None
    return rule == "insecure-cookie" and not ("secure" in raw and "httponly" in raw)


def new_rule(difference: Difference) -> bool:
    """Headers that a page lacks; cookies that break the promise of their prefix."""
    response = member(difference.item, "response")
    if difference.what != "new" or difference.rule not in NEW_RULES:
        return False
    if difference.rule == "cookie-prefix-violation":
        return re.match(r"__(?:host|secure)-", text(member(difference.ours, "raw")), re.IGNORECASE) is not None
    name = difference.place[-1]
    lacks = not header(response, name) or name in (
        "x-frame-options",
        "x-content-type-options",
        "strict-transport-security",
    )
    return "html" in header(response, "content-type") and name in _SAFE_HEADERS and lacks
