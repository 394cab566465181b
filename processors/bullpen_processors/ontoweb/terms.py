"""Terms from text of any origin: they are built, never written as text, so that nothing can break out of one."""

from __future__ import annotations

from typing import TypeAlias

import pyoxigraph as ox

from bullpen_processors.ontoweb.javascript import well_formed

Triple: TypeAlias = tuple[ox.NamedNode, ox.NamedNode, ox.NamedNode | ox.Literal]


def literal(value: str, datatype: ox.NamedNode | None = None) -> ox.Literal:
    """Return a literal; half a surrogate pair becomes U+FFFD, all else is kept."""
    try:
        return ox.Literal(value, datatype=datatype)
    except ValueError:
        return ox.Literal(well_formed(value), datatype=datatype)
