"""The kinds of vulnerability of OntoWeb-PT's ontology. A rule names its own: nothing is guessed from words (I13)."""

from __future__ import annotations

from enum import Enum


class Vulnerability(Enum):
    """A class of the ontology, by its local name."""

    XSS = "XSS"
    REFLECTED_XSS = "Reflected_XSS"
    STORED_XSS = "Stored_XSS"
    DOM_XSS = "DOM-based_XSS"
    SQLI = "SQLi"
    OPEN_REDIRECT = "OpenRedirect"
    PATH_TRAVERSAL = "PathTraversal"
    UNKNOWN = "UnknownVulnerabilityType"
    """Not in the ontology: whoever names it says what it is."""
