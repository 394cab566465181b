"""What a write would leave in an empty store, as canonical N-Quads. No network, whatever the write asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Final

import pyoxigraph as ox

from bullpen_processors.api import Quads, RdfGraph, UpdateText
from bullpen_runner.graph_update import UnwritableError, prepare, rdflib_quads

_TOKENS: Final = re.compile(
    r"""
      \"\"\" (?: [^"\\] | \\. | "(?!"") )*+ (?: \"\"\" | \Z )
    | ''' (?: [^'\\] | \\. | '(?!'') )*+ (?: ''' | \Z )
    | " (?: [^"\\\n\r] | \\. )*+ "?
    | ' (?: [^'\\\n\r] | \\. )*+ '?
    | < [^<>"{}|^`\\\s]*+ >
    | \# [^\n\r]*+
    | (?<! [?$@:A-Za-z_-] ) (?P<network> LOAD | SERVICE ) (?! [\w:-] )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""Literals, IRIs and comments of SPARQL, skipped in one pass, so that what is left may be a keyword."""


class NetworkUpdateError(ValueError):
    """The update reads from the network, which nothing does here."""


class RefusedWriteError(ValueError):
    """Every store would refuse the write, each time."""


def n_quads(write: Quads | UpdateText | RdfGraph | None) -> list[str]:
    """Return the lines, sorted, each once; raises NetworkUpdateError, RefusedWriteError.

    What rdflib has outside of named graphs, and a runner puts into the job's own, is in the default graph here.
    """
    if write is None:
        return []
    if isinstance(write, UpdateText):
        return _after_update(write.text)
    try:
        prepare(write)  # says what the runner would: a blank node, a replaced resource whose IRI is wrong
    except UnwritableError as error:
        raise RefusedWriteError(str(error)) from error
    return _lines(write.quads if isinstance(write, Quads) else rdflib_quads(write))


def _after_update(text: str) -> list[str]:
    if any(match["network"] for match in _TOKENS.finditer(text)):
        raise NetworkUpdateError("the update has LOAD or SERVICE, which needs a store and a network")
    store = ox.Store()
    try:
        store.update(text)
    except SyntaxError as error:
        raise RefusedWriteError(f"not a SPARQL update: {error.msg}") from None
    dataset = ox.Dataset(store)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return _lines(dataset)


def _lines(quads: Iterable[ox.Quad]) -> list[str]:
    output = BytesIO()
    ox.serialize(quads, output, ox.RdfFormat.N_QUADS)
    # not splitlines(): N-Quads escapes LF and CR, but U+2028 and others stand as they are
    return sorted({line for line in output.getvalue().decode().split("\n") if line})
