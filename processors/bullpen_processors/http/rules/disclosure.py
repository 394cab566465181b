"""What a server tells of its inside: stack traces, versions."""

from __future__ import annotations

import re
from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.rule import CONFIGURATION, CRYPTOGRAPHY, Rule, example, signatures
from bullpen_processors.http.view import View

AROUND: Final = 80
"""UTF-16 code units that a snippet shows before and after the start of what was found: as many as the original."""

_PLACE: Final = r"(?:[^()\s]{1,300}:\d{1,7}|node:internal[^()\s]{0,100}|Native Method|Unknown Source|<anonymous>)"
TRACES: Final = signatures(
    ("traceback", r"Traceback \(most recent call last\)", "Traceback (most recent call last):"),
    (
        "error",
        r"(?-i:Type|Reference|Range|Syntax|URI|Key|Value|Attribute|Index|Name|Import)(?-i:Error): ",
        "TypeError: x is",
    ),
    (
        "exception",
        r"\bexception in thread\b|\bunhandled exception\b|\buncaught \w{0,40}(?:exception|error)\b",
        "Exception in thread main",
    ),
    ("exception", r"(?<![\w.])[\w.]{0,120}[a-z](?-i:Exception)(?:: |\s{1,4}at )", "OhNoException: x"),
    (
        "exception",
        r"\b\w{1,40}(?:\.\w{1,40}){0,8}\.(?-i:[A-Z])\w{0,80}(?-i:Exception)\b(?!\()",
        "java.lang.NullPointerException",
    ),
    (
        "JavaScript or Java frame",
        rf"at (?:async |new )?[\w$.<>/\[\]]{{1,200}} ?\({_PLACE}\)",
        "at handler (/srv/index.js:10:5)",
    ),
    ("Python frame", r'File "[^"\n]{1,300}", line \d', 'File "/srv/app.py", line 3, in f'),
    ("PHP error", r"\.php(?:</b>)?(?: on line (?:<b>)?|:)\d", "in <b>/var/www/index.php</b> on line <b>3</b>"),
    ("PHP frame", r"#\d{1,4} [^\s()]{1,300}\.php\(\d", "#0 /var/www/index.php(3): f()"),
    ("stack trace", r"\bstack trace:\s{0,9}(?:<br ?/?>\s{0,9})?(?:#0|at )", "Stack trace:\n#0 {main}"),
    ("Go panic", r"goroutine \d{1,9} \[[a-z ]{1,40}", "goroutine 1 [running]:"),
    ("Go frame", r"\.go:\d{1,7} \+0x", "/srv/x.go:8 +0x1d"),
    ("Rust panic", r"\bthread '[^'\n]{1,100}' panicked at", "thread 'main' panicked at src/main.rs:2"),
    ("Ruby frame", r"\.rb:\d{1,7}:in [`']", "app.rb:3:in `call'"),
    (".NET frame", r"\) in [^\n]{1,300}:line \d", r"at A.B() in C:\src\a.cs:line 3"),
    (".NET error", r"Server Error in '[^'\n]{1,100}' Application", "Server Error in '/' Application."),
    ("database error", r"You have an error in your SQL syntax|\bORA-\d{5}:|\bSQLSTATE\[", "ORA-00933: SQL command"),
    ("database error", r"\bPG::[A-Z]\w{2,40}Error|Unclosed quotation mark after", "PG::SyntaxError"),
    ("database error", r'\bnear "[^"\n]{0,60}": syntax error', 'near "x": syntax error'),
)
"""What only an error that nobody caught looks like."""
_NAMED: Final = r"ReferenceError|TypeError|Exception(?!s?\s+(?:of|to|for|is|are|may|apply)\b)|Traceback"
_FAILED: Final = re.compile(_NAMED, re.ASCII)
"""What names an error: enough in the answer of a server that failed."""
_SHOWN: Final = re.compile(rf"{_NAMED}|at\s{{1,9}}\w{{1,200}}\s{{1,9}}\((?={_PLACE}\))", re.ASCII | re.IGNORECASE)
"""What findings show first: so does the original."""
_SOURCE_TYPE: Final = re.compile(r"(?:text|application)/(?:x-)?(?:(?:java|ecma|type)script|css)|text/x-")
_VERSION_HEADERS: Final = (
    "server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator", "x-php-version", "x-version",
    "x-drupal-version", "x-powered-cms", "x-jenkins", "x-litespeed-version", "liferay-portal", "x-server", "via",
)  # fmt: skip
_VERSION: Final = re.compile(r"\d{1,9}\.\d", re.ASCII)
_MAJOR: Final = re.compile(r"[A-Za-z][\w-]{0,60}/v?\d{1,9}(?![\w.])", re.ASCII)
_MAJOR_SPACED: Final = re.compile(r"[A-Za-z]{2,40} v?\d{1,4}(?![\w.])", re.ASCII)
_PRODUCT: Final = re.compile(r"\([A-Za-z][\w.-]{0,60}/\d", re.ASCII)


def _leak_stacktrace(view: View) -> Evidence | None:
    text = view.response_body.text
    failed = view.status is not None and view.status >= 500
    if not text or (
        not failed and (_SOURCE_TYPE.match(view.media_type) or view.path.endswith((".js", ".mjs", ".css")))
    ):
        return None  # a library's source names errors, and leaks none
    found = [trace for signature in TRACES if (trace := signature.pattern.search(text))]
    if failed and (named := _FAILED.search(text)):
        found.append(named)
    if not found:
        return None
    shown = _SHOWN.search(text) or min(found, key=lambda match: match.start())
    facts = {"location": "responseBody", "pattern": shown[0], "snippet": snippet(text, shown.start())}
    return Evidence("body", facts)


def snippet(text: str, start: int) -> str:
    """Return what stands around a place, in the code units that JavaScript counts: a pair may be cut in half."""
    before = text[max(0, start - AROUND) : start].encode("utf-16-le", "surrogatepass")[-2 * AROUND :]
    after = text[start : start + AROUND].encode("utf-16-le", "surrogatepass")[: 2 * AROUND]
    return (before + after).decode("utf-16-le", "surrogatepass")


def _server_fingerprint(view: View) -> Evidence | None:
    hits = [hit for hit, header in view.response_headers(*_VERSION_HEADERS) if _tells(header.name, header.shown)]
    return Evidence("header", headers=hits) if hits else None


def _tells(name: str, value: str) -> bool:
    """Tell whether a header gives a version; the number in Via is that of the protocol, its comment has the product."""
    lower = name.lower()
    if lower == "via":
        return _PRODUCT.search(value) is not None
    spaced = lower in ("x-generator", "x-powered-cms", "liferay-portal") and _MAJOR_SPACED.search(value)
    return bool(_VERSION.search(value) or _MAJOR.search(value) or spaced)


def _page(body: str, status: int = 200, kind: str = "text/html") -> object:
    return example(status=status, headers=[("content-type", kind)], body=body)


RULES: Final = (
    Rule(
        id="leak-stacktrace",
        severity="high",
        category="Data Exposure",
        owasp=CRYPTOGRAPHY,
        description="The response shows a stack trace or an exception.",
        judge=_leak_stacktrace,
        bad=(
            *(_page(f"<pre>{signature.bad}") for signature in TRACES),
            _page("Exception caught", 500),
            _page("TypeError: x\n at f (/a.js:1:2)", 502, "text/javascript"),
        ),
        good=(
            _page("With the exception of sale items", 500),
            _page("Look at me (again) and at home (now)", 500),
            _page("Reading an Exception by its name"),
            _page('function f(e){throw new TypeError("bad "+e)}', 200, "text/javascript"),
            _page("<script>throw new TypeError('x')</script>"),
        ),
    ),
    Rule(
        id="server-fingerprint",
        severity="low",
        category="Data Exposure",
        owasp=CONFIGURATION,
        description="Headers tell the version of the server or a framework.",
        judge=_server_fingerprint,
        bad=(
            example(headers=[("Server", "nginx/1.18.0 (Ubuntu)")]),
            example(headers=[("server", "Apache/2")]),
            example(headers=[("X-AspNet-Version", "4.0.30319")]),
            example(headers=[("x-generator", "Drupal 9 (https://www.drupal.org)")]),
            example(headers=[("via", "1.1 proxy (squid/3.5)")]),
        ),
        good=(
            example(headers=[("server", "cloudflare"), ("x-powered-by", "Express"), ("via", "1.1 varnish")]),
            example(headers=[("server", "ECS (dcb/7F83)"), ("x-runtime", "0.021")]),
            example(headers=[("server", "x/\u0663.\u0664")]),
        ),
    ),
)
