"""What can go wrong between a runner and its graph store, and how it is said: one sentence, never the query.

A store's own words reach people (failedReason, events, logs), so what it echoes of our request is cut out of them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import pyoxigraph as ox

from bullpen_runner.graph_update import to_ascii

MESSAGE_LIMIT: Final = 300
"""Characters kept of a store's own words."""

ECHO_LENGTH: Final = 24
"""A run of this many characters that also stands in the request is payload, not explanation."""

SHACL: Final = "http://www.w3.org/ns/shacl#"

AWAY: Final = frozenset({408, 429, 502, 503, 504})
"""The store, or what stands before it, asks to come again."""

ACCESS: Final = frozenset({401, 403, 404, 405, 407})
"""Wrong credentials or a wrong URL; so is every 3xx, since a moved endpoint is a setting to mend."""


class StoreError(Exception):
    """Base of all errors of the graph store; the message is one sentence for people."""


class StoreAwayError(StoreError):
    """The store gave no answer, or one that says nothing of this write: try again later. It may have been done."""


class StoreFaultError(StoreAwayError):
    """The store answered 5xx of its own: it may be in trouble, or choke on this write whenever it sees it.

    GraphDB answers 500 to a wrong IRI. `GraphStore.write` tells the two apart.
    """


class StoreAccessError(StoreError):
    """URL or credentials of the store are wrong: a fault of the configuration, which never costs a job."""


class StoreRefusedError(StoreError):
    """The store will never take this write (4xx, SHACL, a bad term): the job is unrecoverable."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A store's answer: status, media type, the first bytes of the body, and where a new thing was made."""

    status: int
    media_type: str = ""
    body: bytes = b""
    location: str = ""

    @property
    def ok(self) -> bool:
        """Whether the request was carried out: stores answer 200, 201 or 204 for the same thing."""
        return 200 <= self.status < 300


def error_of(answer: Answer, sent: bytes) -> StoreError:
    """Translate an answer that is not 2xx."""
    said = explain(answer, sent)
    status = f"{answer.status} {_phrase(answer.status)}".rstrip()
    if answer.status in ACCESS or answer.status < 400:
        return StoreAccessError(f"the graph store's URL or credentials are wrong: it answered {status}{said}")
    if answer.status in AWAY:
        return StoreAwayError(f"the graph store could not take the write now: it answered {status}{said}")
    if answer.status >= 500:
        return StoreFaultError(f"the graph store failed at the write: it answered {status}{said}")
    return StoreRefusedError(f"the graph store refused the write: it answered {status}{said}")


def explain(answer: Answer, sent: bytes) -> str:
    """Return `: ` and what the store says, bounded and without echoes of *sent*; empty if it says nothing."""
    if "shacl-validation-report" in answer.media_type:
        said = _shacl(answer) or "the results break its SHACL shapes"
    else:
        said = without_echoes(_message(answer), sent)
    said = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return f": {said[:MESSAGE_LIMIT].rstrip('. ')}" if said else ""


def without_echoes(text: str, sent: bytes) -> str:
    """Replace by `…` every run of ECHO_LENGTH characters or more that *sent* holds as well."""
    text = text[: 2 * MESSAGE_LIMIT]
    kept, position = "", 0
    while position < len(text):
        end = position + ECHO_LENGTH
        if end > len(text) or not _stands_in(text[position:end], sent):
            kept += text[position]
            position += 1
            continue
        while end < len(text) and _stands_in(text[end + 1 - ECHO_LENGTH : end + 1], sent):
            end += 1
        kept, position = kept + "…", end
    return kept


def _stands_in(piece: str, sent: bytes) -> bool:
    # our own text is escaped to ASCII, a user's update text is UTF-8
    return piece.encode(errors="replace") in sent or to_ascii(piece) in sent


def _message(answer: Answer) -> str:
    text = answer.body.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip()[:1] == "<" else text  # a proxy's or Tomcat's HTML page explains nothing
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else text


def _shacl(answer: Answer) -> str:
    """Name the first violation of a validation report: constraint, path and focus node, no values."""
    facts: dict[str, dict[str, str]] = {}
    with suppress(SyntaxError, ValueError, OSError):  # a long report is cut off in the middle of a line
        for quad in ox.parse(answer.body, format=_report_format(answer.media_type)):
            facts.setdefault(str(quad.subject), {})[str(quad.predicate)] = str(quad.object)
    results = [fact for fact in facts.values() if f"<{SHACL}sourceConstraintComponent>" in fact]
    if not results:
        return ""
    first = min(results, key=lambda fact: sorted(fact.items()))
    constraint, path, focus = (
        first.get(f"<{SHACL}{name}>", "?")[:120] for name in ("sourceConstraintComponent", "resultPath", "focusNode")
    )
    constraint = constraint.removeprefix(f"<{SHACL}").removesuffix(">")
    return f"{len(results)} SHACL violation(s), first {constraint} of {path} at {focus}"


def _report_format(media_type: str) -> ox.RdfFormat:
    _, _, suffix = media_type.partition("+")
    found = ox.RdfFormat.from_media_type(f"application/{suffix}") or ox.RdfFormat.from_media_type(f"text/{suffix}")
    return found or ox.RdfFormat.TURTLE


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
