"""Ways out of a folder."""

from __future__ import annotations

from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.payloads import by_signature, find
from bullpen_processors.http.rule import INJECTION, Rule, example, signatures
from bullpen_processors.http.unescaping import readings
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

SIGNATURES: Final = signatures(
    ("../", r"\.\.[/\\]", "../../etc/passwd"),
    ("..;/", r"(?:^|[/\\])\.\.;[/\\]", "/a/..;/manager"),
    (
        "system file",
        r"(?:^|[/\\])etc[/\\]{1,3}(?:passwd|shadow|hosts|group)(?!\w)|(?:^|[/\\])proc[/\\]self[/\\]",
        "/etc/passwd",
    ),
    ("system file", r"(?:^|[/\\:])(?:boot|win|system)\.ini(?!\w)|[/\\]web-inf[/\\]", "c:\\boot.ini"),
    ("file URL", r"^\s{0,9}file:/{2,3}", "file:///c:/x"),
)

_match = by_signature(SIGNATURES)


def _path_traversal(view: View) -> Evidence | None:
    found = find(view, _match)
    name = next((s.name for s in SIGNATURES[:2] for path in readings(view.path) if s.pattern.search(path)), None)
    if name is None:
        return found
    if found is None:
        return Evidence("param", {"path": view.path, "pattern": name}, params=[])
    return Evidence(found.kind, {**found.facts, "path": view.path}, params=found.params)


RULES: Final = (
    Rule(
        id="path-traversal",
        severity="medium",
        category="Injection",
        owasp=INJECTION,
        description="Input leads out of its folder: a path traversal attempt.",
        judge=_path_traversal,
        bad=(
            *(example(params={"file": signature.bad}) for signature in SIGNATURES),
            example("https://shop.example/a/../../b"),
            example("https://shop.example/a/%2e%2e%5cb"),
            example("https://shop.example/s?file=..%252f..%252fetc"),
            example("https://shop.example/s?file=%c0%ae%c0%ae%c0%afetc"),
            example(form='{"file": "..\\\\..\\\\boot"}', sent=[("content-type", "application/json")]),
        ),
        good=(
            example("https://shop.example/a/b..c/d?file=a/b/./c&q=wait...&etc=1"),
            example(params={"f": "etc/x", "q": "how to edit hosts", "dots": ".. and /"}),
        ),
        vulnerability=Vulnerability.PATH_TRAVERSAL,
    ),
)
