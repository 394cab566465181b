"""Pages for sast-analyze."""

from __future__ import annotations

from typing import Any, Final

URL: Final = "https://shop.example/p"
FLOW: Final = "document.getElementById('out').innerHTML = location.hash"
FINDINGS: Final = """\
SELECT ?f { GRAPH <http://localhost/graphs/findings> { ?f a <http://localhost/onto/ontowebpt#AnalyzerFinding> } }
"""
"""What the graph holds, by the default settings."""
SLOW: Final = tuple("needs: [html]" * 4_000 + f"//{number}" for number in range(40))
"""Scripts whose errors take the parser as long as it may take: a minute or more for all, and little memory."""
_FUNCTION: Final = (
    "function g{0}(a, b) {{ var x = a.p{0} + b; if (x > {0}) {{ g{0}.call(this, x); }} "
    "return {{k{0}: x, v: [1, x, a], f: function (c) {{ return c + x; }}}}; }}\n"
)


def generated(megabytes: float) -> str:
    """Return so much code in which every function is another: what a page's own bundle asks of an analysis."""
    return "".join(_FUNCTION.format(number) for number in range(int(megabytes * 1e6 / 158)))


def page(*scripts: str, html: str = "", **fields: Any) -> dict[str, Any]:
    """Make a payload of scripts."""
    listed = [{"code": code} for code in scripts]
    return {"url": URL, "html": html, "scripts": listed, "forms": [], "iframes": [], **fields}
