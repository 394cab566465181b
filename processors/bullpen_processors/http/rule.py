"""What a rule is: its data, a pure judgement, and the examples that hold it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bullpen_processors.api import Json
from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

Severity = Literal["high", "medium", "low"]

ACCESS_CONTROL: Final = "A01:2021 – Broken Access Control"  # noqa: RUF001 - OWASP's own dash
CRYPTOGRAPHY: Final = "A02:2021 – Cryptographic Failures"  # noqa: RUF001
INJECTION: Final = "A03:2021 – Injection"  # noqa: RUF001
CONFIGURATION: Final = "A05:2021 – Security Misconfiguration"  # noqa: RUF001
AUTHENTICATION: Final = "A07:2021 – Identification and Authentication Failures"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to find. A request gets at most one finding of it, which shows all its places."""

    id: str
    severity: Severity
    category: str
    owasp: str
    description: str
    judge: Callable[[View], Evidence | None]
    """Pure, never raises whatever the exchange is, and takes time in proportion to its size."""
    bad: Sequence[Json]
    """Items of a job that it finds something in; the tests run them."""
    good: Sequence[Json]
    """Items that look alike, in which it finds nothing."""
    vulnerability: Vulnerability = Vulnerability.UNKNOWN


@dataclass(frozen=True, slots=True)
class Signature:
    """A text that gives an attack or a leak away; *name* is what a finding calls it."""

    name: str
    pattern: re.Pattern[str]
    bad: str
    """A text that has it."""


def signatures(*rows: tuple[str, str, str]) -> Sequence[Signature]:
    """Make signatures of name, pattern and a text that has it; patterns ignore case.

    Quantifiers over text of any length are bounded or possessive, so that a search is linear.
    """
    return [Signature(name, re.compile(pattern, re.ASCII | re.IGNORECASE), bad) for name, pattern, bad in rows]


def example(
    url: str = "https://shop.example/",
    *,
    params: Mapping[str, str] | None = None,
    sent: Sequence[tuple[str, str]] = (),
    form: str = "",
    status: int | None = None,
    headers: Sequence[tuple[str, str]] = (),
    body: str = "",
) -> Json:
    """Return an item of a job: a URL, request headers *sent* and a *form*, and what came back."""
    item: Json = {"id": "example", "method": "POST" if form else "GET", "uri": {"full": url}}
    if params:
        item["uri"]["params"] = [{"name": name, "value": value} for name, value in params.items()]
    item["requestHeaders"] = [{"name": name, "value": value} for name, value in sent]
    if form:
        item["bodyBase64"] = _base64(form)
    if status is not None or headers or body:
        item["response"] = {"status": status or 200, "headers": [{"name": n, "value": v} for n, v in headers]}
        item["response"]["bodyBase64"] = _base64(body)
    return item


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
