"""Scripts in input."""

from __future__ import annotations

from typing import Final

from bullpen_processors.http.evidence import Evidence
from bullpen_processors.http.payloads import by_signature, carriers, find
from bullpen_processors.http.rule import INJECTION, Rule, example, signatures
from bullpen_processors.http.view import View
from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

SHORTEST_PROOF: Final = 8
"""Characters that a payload must have for its return to be no accident."""

# The events of HTML, SVG and the pointer, touch, animation and media families, without their "on"
_EVENTS: Final = (
    "abort|activate|after\\w{3,12}|animation\\w{3,12}|auxclick|before\\w{3,12}|begin|blur|bounce|cancel|canplay\\w{0,10}|change"
    "|click|close|contextmenu|copy|cuechange|cut|dblclick|drag\\w{0,8}|drop|durationchange|emptied|end(?:ed)?|error|finish"
    "|focus\\w{0,3}|formdata|fullscreen\\w{5,6}|hashchange|input|invalid|key(?:down|press|up)|languagechange|load\\w{0,10}"
    "|message\\w{0,5}|mouse\\w{2,6}|offline|online|page(?:hide|show)|paste|pause|play(?:ing)?|pointer\\w{2,14}|popstate"
    "|progress|ratechange|readystatechange|repeat|reset|resize|scroll\\w{0,3}|search|seek(?:ed|ing)|select\\w{0,12}|show"
    "|stalled|start|storage|submit|suspend|timeupdate|toggle|touch\\w{3,6}|transition\\w{3,6}|unhandledrejection|unload"
    "|volumechange|waiting|webkit\\w{5,24}|wheel"
)

SIGNATURES: Final = signatures(
    ("<script", r"<\s{0,9}/?\s{0,9}script", "<script>alert(1)</script>"),
    ("handler in a tag", r"<[a-z!/][^<>]{0,1000}?[\s/\"'`]on[a-z]{3,30}\s{0,20}=", "<svg/onbegin=alert(1)>"),
    ("handler", rf"(?<![\w-])on(?:{_EVENTS})\s{{0,20}}=", '" onfocus =alert(1) autofocus="'),
    ("script URL", r"(?<!\w)(?:java|vb|live)script:\s{0,20}(?:$|[^\s]{0,200}[(`=;/\[+'\"%])", "javascript:alert(1)"),
    ("script URL", r"(?:^|[\"'=(\s])data:(?:text/html|image/svg\+xml|application/xhtml\+xml)[,;]", "data:text/html,x"),
    (
        "active element",
        r"<(?:iframe|frame|object|embed|applet|base|portal)\b[^<>]{0,1000}?\b(?:srcdoc|src|data|href|code)\s{0,20}=",
        "<iframe srcdoc=x>",
    ),
    ("active element", r"<meta\b[^<>]{0,300}?\bhttp-equiv\s{0,20}=", "<meta http-equiv=refresh content=0>"),
    (
        "script after a quote",
        r"['\"`][\s)\]}]{0,9}[;,+*/-]{1,3}\s{0,9}(?:alert|prompt|confirm|eval|fetch|import)\s{0,9}[(`]",
        "';alert(1)//",
    ),
    (
        "script after a quote",
        r"['\"`][\s)\]}]{0,9}[;,+*/-]{1,3}\s{0,9}(?:document|window)\.\w{1,20}\s{0,9}[(`=]",
        "'-document.write(1)-'",
    ),
)

_match = by_signature(SIGNATURES)


def _xss_payload(view: View) -> Evidence | None:
    found = find(view, _match)
    if found is None or not _comes_back(view):
        return found
    facts = {**found.facts, "reflected": True}
    return Evidence(found.kind, facts, params=found.params, note="The page that came back holds it unescaped.")


def _comes_back(view: View) -> bool:
    """Tell whether the response is a page that holds a payload as it was sent: the attempt worked."""
    if not view.is_html or view.response_body.text == "":
        return False
    texts = {text for field in carriers(view, _match) for text in field.values if len(text) >= SHORTEST_PROOF}
    return any(text in view.response_body.text for text in texts if "<" in text or '"' in text)


RULES: Final = (
    Rule(
        id="xss-payload-detected",
        severity="high",
        category="Injection",
        owasp=INJECTION,
        description="Input holds an XSS payload.",
        judge=_xss_payload,
        bad=(
            *(example(params={"q": signature.bad}) for signature in SIGNATURES),
            example(params={"r": "ONLOAD=1"}),
            example(params={"u": "java\tscript:alert(1)"}),
            example(params={"u": "&#x6a;avascript&colon;alert(1)"}),
            example("https://shop.example/s?q=%3Cscript%3Ealert(1)%3C/script%3E"),
            example("https://shop.example/s?q=%253Cimg%2520src%253Dx%2520onerror%253Dalert(1)%253E"),
            example(form='{"name": "<img src=x onerror=alert(1)>"}', sent=[("content-type", "application/json")]),
        ),
        good=(
            example(params={"q": "script writing course", "l": "it"}),
            example(params={"q": "JavaScript: The Good Parts", "s": "once=1 only=2", "t": "<b>bold</b> 3 < 4"}),
            example("https://shop.example/s?onload=1&onerror=2"),
        ),
        vulnerability=Vulnerability.XSS,
    ),
)
