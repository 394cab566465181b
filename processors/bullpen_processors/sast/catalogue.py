"""What people are told about each kind of finding, and how grave it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bullpen_processors.ontoweb.vulnerabilities import Vulnerability

Severity = Literal["high", "medium", "low"]

A01: Final = "A01:2021 – Broken Access Control"  # noqa: RUF001 - OWASP's own dash
A02: Final = "A02:2021 – Cryptographic Failures"  # noqa: RUF001
A03: Final = "A03:2021 – Injection"  # noqa: RUF001
A04: Final = "A04:2021 – Insecure Design"  # noqa: RUF001
A05: Final = "A05:2021 – Security Misconfiguration"  # noqa: RUF001
A07: Final = "A07:2021 – Identification and Authentication Failures"  # noqa: RUF001
A08: Final = "A08:2021 – Software and Data Integrity Failures"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as findings show it."""

    id: str
    severity: Severity
    kind: str
    category: str
    owasp: str
    cwe: int
    description: str
    remediation: str
    vulnerability: Vulnerability = Vulnerability.UNKNOWN


_DOM = Vulnerability.DOM_XSS
_REDIRECT = Vulnerability.OPEN_REDIRECT
_ENTRIES: Final = (
    Entry("taint-flow", "high", "dom-xss", "Data Flow / Taint Analysis", A03, 79,
          "A value that somebody else controls reaches a place where it does harm.",
          "Encode or validate the value for the place that it is used in."),
    Entry("no-innerhtml", "low", "dom-xss", "DOM XSS", A03, 79, "HTML is set from a value that is not constant.",
          "Use textContent, or sanitize the value.", _DOM),
    Entry("no-document-write", "low", "dom-xss", "DOM XSS", A03, 79, "A value that is not constant is written into the document as HTML.",
          "Create elements instead.", _DOM),
    Entry("no-insertadjacenthtml", "low", "dom-xss", "DOM XSS", A03, 79, "HTML is inserted from a value that is not constant.",
          "Use insertAdjacentText, or sanitize the value.", _DOM),
    Entry("jquery-html", "low", "dom-xss", "DOM XSS", A03, 79, "HTML is set through a method html() from a value that is not constant.",
          "Use text(), or sanitize the value.", _DOM),
    Entry("react-html", "low", "dom-xss", "DOM XSS", A03, 79, "React is told to set HTML from a value that is not constant.",
          "Render the value as text, or sanitize it.", _DOM),
    Entry("no-eval", "low", "code-injection", "Code Injection", A03, 95, "Code that is not constant is evaluated.", "Do without eval."),
    Entry("no-function-constructor", "low", "code-injection", "Code Injection", A03, 95, "A function is made from text that is not constant.",
          "Do without the Function constructor."),
    Entry("dynamic-import", "low", "code-injection", "Code Injection", A03, 829, "A module is imported by an address that is not constant.",
          "Choose from a list of known modules."),
    Entry("no-appendchild", "low", "dom-manipulation", "DOM Manipulation Injection", A03, 79,
          "A node of unknown origin is put into the document.", "Make sure of where the node comes from."),
    Entry("no-open-redirect", "low", "open-redirect", "Open Redirect", A01, 601, "The browser is sent to an address that is not constant.",
          "Compare the address with a list of known ones.", _REDIRECT),
    Entry("no-localstorage-sensitive", "medium", "sensitive-storage", "Client-Side Storage Exposure", A02, 312,
          "Something sensitive is kept in storage that every script of the origin reads.", "Keep it in an HttpOnly cookie or in memory."),
    Entry("sensitive-storage", "medium", "sensitive-storage", "Client-Side Storage Exposure", A02, 312,
          "Something sensitive is kept in storage that every script of the origin reads.", "Keep it in an HttpOnly cookie or in memory."),
    Entry("no-insecure-http", "low", "insecure-url", "Insecure Transport", A02, 319, "An address is not encrypted.", "Use https."),
    Entry("insecure-url", "low", "insecure-url", "Insecure Transport", A02, 319, "An address is not encrypted.", "Use https."),
    Entry("no-document-cookie-write", "low", "cookie", "Insecure Cookie Manipulation", A07, 614,
          "A script writes a cookie, which cannot be HttpOnly.", "Let the server set it."),
    Entry("document-cookie-read", "low", "cookie", "Insecure Cookie Manipulation", A07, 1004,
          "A script reads the cookies, which therefore are not HttpOnly.", "Keep sessions in HttpOnly cookies."),
    Entry("no-inline-script-creation", "low", "script-creation", "Dynamic Script Injection", A03, 829, "A script element is created by a script.",
          "Load scripts from markup, with integrity."),
    Entry("postmessage-wildcard", "medium", "postmessage-wildcard", "Cross-Origin Messaging", A01, 201,
          "A message is sent to whatever origin the window shows.", "Name the origin that may receive it."),
    Entry("postmessage-origin", "medium", "postmessage-origin", "Cross-Origin Messaging", A01, 940,
          "Messages are used without a look at who sent them.", "Compare event.origin with the origins that may send."),
    Entry("document-domain", "medium", "document-domain", "Same-Origin Policy", A05, 942, "document.domain is set, which opens the page to sibling sites.",
          "Use postMessage."),
    Entry("angular-config", "medium", "angular-config", "Framework Configuration", A05, 1173, "A protection of the framework is switched off or widened.",
          "Keep the framework's default."),
    Entry("framework-bypass", "low", "dom-xss", "DOM XSS", A03, 79, "The framework is told to trust a value without a check.",
          "Let the framework sanitize it.", _DOM),
    Entry("incomplete-sanitization", "medium", "incomplete-sanitization", "Incomplete Sanitization", A03, 116,
          "A replacement leaves some of what it is meant to remove or escape.", "Use an encoder or a sanitizer made for the purpose."),
    Entry("url-scheme-check", "medium", "url-scheme-check", "Incomplete Sanitization", A03, 184,
          "A check for dangerous schemes forgets some: javascript, data and vbscript all run scripts.", "Allow http and https, refuse all else."),
    Entry("hardcoded-secret", "medium", "hardcoded-secret", "Hardcoded Credential", A07, 798, "A script holds a key that is meant to stay secret.",
          "Withdraw the key, and keep its successor on the server."),
    Entry("redos", "low", "redos", "Denial of Service", A05, 1333, "A pattern repeats a repetition: some texts take it exponential time.",
          "Write the pattern without the inner repetition."),
    Entry("parse-error", "low", "parse-error", "Analysis", A05, 1164, "A script does not parse: it was analysed as far as that goes.",
          "Check whether it was captured completely."),
    Entry("html-inline-event", "medium", "inline-event", "Inline Script Injection", A03, 79, "An event handler stands in the markup.",
          "Add the listener in a script, so that a policy can forbid inline code."),
    Entry("html-inline-style-expression", "low", "style-expression", "Legacy CSS Injection", A03, 79, "A style holds an expression.", "Remove it."),
    Entry("html-iframe-srcdoc", "medium", "iframe-srcdoc", "Content Injection", A05, 79, "A frame holds a document that is written in the page.",
          "Add a sandbox, or load it from an address."),
    Entry("form-method-get", "medium", "form-get", "Insecure Data Transmission", A04, 598, "A form sends its fields in the address.", "Use POST."),
    Entry("form-external-action", "high", "form-external", "Cross-Domain Submission", A03, 346, "A form sends its fields to another site.",
          "Send them to the own site."),
    Entry("form-open-redirect", "high", "form-redirect", "Open Redirect", A01, 601, "An address names another site as the place to go to next.",
          "Use relative addresses, or a list of known ones.", _REDIRECT),
    Entry("html-untrusted-include", "medium", "html-untrusted-include", "Untrusted Include", A08, 830,
          "A script or frame is loaded from where somebody else may replace it.", "Load it over https, with integrity."),
    Entry("html-target-blank", "medium", "html-target-blank", "Link Target", A05, 1022, "A link whose address is not constant opens a window that can steer this one.",
          'Add rel="noopener".'),
    Entry("html-javascript-url", "medium", "javascript-url", "Inline Script Injection", A03, 79, "An address holds code.", "Use a button and a listener."),
    Entry("html-insecure-link", "low", "plain-link", "Insecure Transport", A02, 319, "A form sends its fields without encryption.", "Use https."),
)  # fmt: skip
CATALOGUE: Final = {entry.id: entry for entry in _ENTRIES}
CWE_OF_KIND: Final = {
    "dom-xss": 79, "xss-through-dom": 79, "code-injection": 95, "open-redirect": 601, "resource-url": 829, "css-injection": 79,
    "url-injection": 601, "angular-bypass": 79, "prototype-pollution-sink": 1321, "cookie-injection": 565,
}  # fmt: skip
