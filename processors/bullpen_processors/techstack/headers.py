"""Headers of a site: those that a client says are missing, and those that it says the value of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import items, member, text, truthy
from bullpen_processors.techstack import policies
from bullpen_processors.techstack.issues import Issue
from bullpen_processors.techstack.lookups import Explain
from bullpen_processors.techstack.reasons import Reason

LEAST_AGE_S: Final = 15_552_000
"""180 days: below it browsers forget too soon, say Mozilla's and OWASP's guides."""
_POWERFUL: Final = frozenset(
    {"camera", "microphone", "geolocation", "payment", "usb", "display-capture", "serial", "bluetooth", "hid", "midi"}
)
_VALUE: Final = re.compile(r"([\w-]{1,60})\s{0,9}[:=]\s{0,9}(.+)", re.ASCII | re.DOTALL)
_NAMES: Final[Mapping[str, str]] = {"hsts": "strict-transport-security", "csp": "content-security-policy"}
"""How clients shorten some."""

_HSTS: Final = Issue(
    "missing_hsts",
    "HIGH",
    "TransportSecurity",
    "",
    "Send Strict-Transport-Security: max-age=31536000; includeSubDomains.",
)
_CSP: Final = Issue(
    "missing_csp",
    "HIGH",
    "ContentSecurityPolicy",
    "",
    "Send a strict Content-Security-Policy, such as default-src 'self'.",
)
_FRAMES: Final = Issue(
    "deprecated_x_frame_options", "MEDIUM", "ClickjackingProtection", "",
    "Use frame-ancestors 'none' of Content-Security-Policy instead.",
)  # fmt: skip
_SNIFFING: Final = Issue(
    "missing_x_content_type_options", "MEDIUM", "MimeSniffingProtection", "", "Send X-Content-Type-Options: nosniff."
)
_FILTER: Final = Issue(
    "deprecated_x_xss_protection", "LOW", "LegacyXSSFilter", "",
    "It is obsolete and can do harm: remove it and rely on Content-Security-Policy.",
)  # fmt: skip
_OTHER: Final = Issue(
    "generic_header_observation", "INFO", "HeaderSecurity", "", "Review by hand what this header tells or allows."
)
_BY_NAME: Final[Mapping[str, Issue]] = {
    "strict-transport-security": _HSTS,
    "content-security-policy": _CSP,
    "x-frame-options": _FRAMES,
    "x-content-type-options": _SNIFFING,
    "x-xss-protection": _FILTER,
}


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """One entry of `secureHeaders`."""

    given: Json

    @property
    def name(self) -> str:
        """In lower case; the id of a finding has it."""
        header = member(self.given, "header")
        return text(header).lower() if truthy(header) else ""

    @property
    def canonical(self) -> str:
        """The header's own name, where clients shorten it."""
        return _NAMES.get(self.name, self.name)

    @property
    def urls(self) -> list[str]:
        """Where it was seen, or missed."""
        return [text(url) for url in items(member(self.given, "urls"))]

    @property
    def given_urls(self) -> Json:
        """The same as it came; an empty list where nothing did."""
        return member(self.given, "urls") or []

    @property
    def description(self) -> str:
        """The client's words."""
        said = member(self.given, "description")
        return text(said) if truthy(said) else ""

    @property
    def value(self) -> str | None:
        """What the header says: as `value`, or behind its name in the description. None: nobody says."""
        given = member(self.given, "value")
        if isinstance(given, str):
            return given.strip()
        found = _VALUE.fullmatch(self.description.strip())
        return found[2].strip() if found and found[1].lower() in (self.name, self.canonical) else None


def judge(entries: Sequence[HeaderEntry], explain: Explain) -> Iterator[tuple[HeaderEntry, Issue]]:
    """Yield each entry with what is wrong, the first thing first."""
    guarded = any(_guards_frames(entry.value) for entry in entries if entry.canonical == "content-security-policy")
    for entry in entries:
        issues = list(_issues(entry, guarded=guarded))
        if not issues:
            explain(f"header {entry.name[:80]}", Reason.GOOD_HEADER, "its value protects")
        for issue in issues:
            described = issue if issue.description else issue.saying(entry.description or _unsaid(entry))
            yield entry, described


def _unsaid(entry: HeaderEntry) -> str:
    return f"Header {text(member(entry.given, 'header'))} has a security recommendation."


def _issues(entry: HeaderEntry, *, guarded: bool) -> Iterable[Issue]:
    value = entry.value
    missing = _BY_NAME.get(entry.canonical, _OTHER)
    if value is None:
        return [missing]
    if entry.canonical == "x-frame-options" and guarded:
        return []
    judge_value = _BY_VALUE.get(entry.canonical)
    return judge_value(value) if judge_value is not None else [missing]


def _guards_frames(value: str | None) -> bool:
    """Tell whether a policy says who may frame the page, and does not say: everybody."""
    found = [policy["frame-ancestors"] for policy in policies.policies(value or "") if "frame-ancestors" in policy]
    return any(not policies.allows_anything(sources) for sources in found)


def _csp(value: str) -> Iterator[Issue]:
    found = policies.policies(value)
    if not found:
        yield _CSP
        return
    for rule, severity, is_weak, says, mend in _WEAK:
        # several policies hold together: what one of them forbids is forbidden
        if all(is_weak(policy) for policy in found):
            yield Issue(
                f"weak_csp_{rule}", severity, "ContentSecurityPolicy", f"The Content-Security-Policy {says}.", mend
            )


def _scripts(test: Callable[[list[str]], bool]) -> Callable[[Mapping[str, list[str]]], bool]:
    return lambda policy: test(policies.script_sources(policy) or [])


_WEAK: Final[Sequence[tuple[str, str, Callable[[Mapping[str, list[str]]], bool], str, str]]] = (
    ("no_script_src", "HIGH", lambda policy: policies.script_sources(policy) is None,
     "says nothing about scripts", "Add default-src 'self', or script-src."),
    ("unsafe_inline", "HIGH", _scripts(policies.allows_inline),
     "allows inline scripts", "Replace 'unsafe-inline' by nonces or hashes."),
    ("wildcard", "HIGH", _scripts(policies.allows_anything),
     "allows scripts from anywhere", "Name the hosts that scripts come from."),
    ("unsafe_eval", "MEDIUM", _scripts(lambda sources: "'unsafe-eval'" in sources),
     "allows eval", "Remove 'unsafe-eval'."),
    ("no_object_src", "LOW", lambda policy: "object-src" not in policy and "default-src" not in policy,
     "says nothing about plug-ins", "Add object-src 'none'."),
    ("no_base_uri", "LOW", lambda policy: "base-uri" not in policy,
     "lets injected markup change the base of all links", "Add base-uri 'none'."),
)  # fmt: skip


def _hsts(value: str) -> Iterator[Issue]:
    age = policies.max_age(value)
    if not age:
        yield _HSTS.saying("Strict-Transport-Security has no max-age above 0: browsers ignore or forget it.")
    elif age < LEAST_AGE_S:
        yield Issue(
            "weak_hsts", "MEDIUM", "TransportSecurity",
            f"Strict-Transport-Security lasts {age:,} s, less than 180 days.", _HSTS.remediation,
        )  # fmt: skip


def _frames(value: str) -> Iterator[Issue]:
    # several of them count when they agree
    if {one.strip().lower() for one in value.split(",")} not in ({"deny"}, {"sameorigin"}):
        yield _FRAMES.saying("X-Frame-Options has a value that browsers ignore.")


def _sniffing(value: str) -> Iterator[Issue]:
    if value.partition(",")[0].strip().lower() != "nosniff":
        yield _SNIFFING.saying("X-Content-Type-Options is not nosniff: browsers ignore it.")


def _filter(value: str) -> Iterator[Issue]:
    if not value.startswith("0"):
        yield _FILTER


def _referrer(value: str) -> Iterator[Issue]:
    known = [one.strip().lower() for one in value.split(",") if one.strip()]
    if not known or known[-1] in ("unsafe-url", "no-referrer-when-downgrade"):
        yield Issue(
            "weak_referrer_policy", "LOW", "PrivacyLeak", "The Referrer-Policy tells other sites the whole address.",
            "Send Referrer-Policy: strict-origin-when-cross-origin.",
        )  # fmt: skip


def _permissions(value: str) -> Iterator[Issue]:
    given = [name for name in policies.for_everybody(value) if name in _POWERFUL]
    if given:
        yield Issue(
            "weak_permissions_policy", "LOW", "FeatureExposure",
            f"The Permissions-Policy gives every site: {', '.join(given)}.", "Name the origins, or () for none.",
        )  # fmt: skip


def _isolation(rule: str, bad: str, good: str) -> Callable[[str], Iterator[Issue]]:
    def judge_value(value: str) -> Iterator[Issue]:
        if value.partition(";")[0].strip().lower() == bad:
            yield Issue(rule, "LOW", "CrossOriginIsolation", f"It says {bad}, which isolates nothing.", f"Say {good}.")

    return judge_value


_BY_VALUE: Final[Mapping[str, Callable[[str], Iterator[Issue]]]] = {
    "content-security-policy": _csp,
    "strict-transport-security": _hsts,
    "x-frame-options": _frames,
    "x-content-type-options": _sniffing,
    "x-xss-protection": _filter,
    "referrer-policy": _referrer,
    "permissions-policy": _permissions,
    "cross-origin-opener-policy": _isolation("weak_opener_policy", "unsafe-none", "same-origin"),
    "cross-origin-embedder-policy": _isolation("weak_embedder_policy", "unsafe-none", "require-corp"),
    "cross-origin-resource-policy": _isolation("weak_resource_policy", "cross-origin", "same-site"),
}
