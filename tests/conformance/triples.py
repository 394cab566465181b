"""A store in memory that keeps numbers as they were written, and what it holds as canonical N-Quads."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import pyoxigraph as ox

XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_HIDDEN: Final = "urn:exact:"
RELATIVE: Final = "http://relative.invalid/"
"""What relative IRIs are read against: the original wrote `<undefined>`, which its store refused."""
PROVENANCE: Final = "<urn:bullpen:"
"""How the names of the graphs begin that Bullpen writes beside the results."""


class Triples:
    """An oxigraph store, and one beside it that can't normalise numbers: it does not know their datatypes."""

    def __init__(self, seed: str = "") -> None:
        self._by_value, self._exact = ox.Store(), ox.Store()
        if seed:
            self.update(seed)

    def update(self, text: str) -> None:
        """Run an update, all of it or nothing; raises SyntaxError."""
        self._by_value.update(text)
        self._exact.update(text.replace(XSD, _HIDDEN))

    def load(self, n_quads: str) -> None:
        """Add quads."""
        self._by_value.load(n_quads, format=ox.RdfFormat.N_QUADS)
        self._exact.load(n_quads.replace(XSD, _HIDDEN), format=ox.RdfFormat.N_QUADS)

    def lines(self, *, exact: bool) -> frozenset[str]:
        """Give all quads but those in graphs of Bullpen's own."""
        if not exact:
            return canonical(_dump(self._by_value))
        return canonical(_dump(self._exact).replace(_HIDDEN, XSD))


def canonical(n_quads: str) -> frozenset[str]:
    """Return quads as canonical lines, blank nodes named by RDFC-1.0; those in graphs of Bullpen's own are left out."""
    dataset = ox.Dataset(ox.parse(n_quads, format=ox.RdfFormat.N_QUADS))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    kept = [quad for quad in dataset if not str(quad.graph_name).startswith(PROVENANCE)]
    text = ox.serialize(kept, format=ox.RdfFormat.N_QUADS)
    assert text is not None
    return frozenset(line for line in text.decode().split("\n") if line)


def stored_by(seed: str, update: str, *, exact: bool) -> frozenset[str] | None:
    """What an update leaves in a store; None when it can't be read, even with relative IRIs allowed."""
    store = Triples(seed)
    try:
        store.update(f"BASE <{RELATIVE}>\n{update}")
    except SyntaxError:
        return None
    return store.lines(exact=exact)


def _dump(store: ox.Store) -> str:
    text = store.dump(format=ox.RdfFormat.N_QUADS)
    assert text is not None
    return text.decode()


def is_iri(text: str) -> bool:
    """Tell whether a store takes *text* for an absolute IRI."""
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return True


def encoded(key: str) -> str:
    """Encode as encodeURIComponent does, by an encoder that is not ours."""
    return quote(key.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), safe="!*'()")
