"""Requests and replies of an RDF endpoint, and which format goes over the wire; knows neither sockets nor the store."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from tempfile import SpooledTemporaryFile
from typing import Final, TypeAlias, TypeVar
from urllib.parse import parse_qs

import pyoxigraph as ox

FORM: Final = "application/x-www-form-urlencoded"

TRIPLES: Final = {
    form.media_type: form
    for form in (ox.RdfFormat.TURTLE, ox.RdfFormat.N_TRIPLES, ox.RdfFormat.RDF_XML, ox.RdfFormat.N3)
}
"""Media type -> format of triples; the first is the default."""

DATASETS: Final = {form.media_type: form for form in (ox.RdfFormat.N_QUADS, ox.RdfFormat.TRIG, ox.RdfFormat.JSON_LD)}
"""Media type -> format of quads; the first is the default."""

RESULTS: Final = {
    form.media_type.partition(";")[0]: form
    for form in (
        ox.QueryResultsFormat.JSON,
        ox.QueryResultsFormat.XML,
        ox.QueryResultsFormat.CSV,
        ox.QueryResultsFormat.TSV,
    )
} | {"application/json": ox.QueryResultsFormat.JSON, "application/xml": ox.QueryResultsFormat.XML}
"""Media type -> format of a query's rows or its yes or no; the first is the default."""

_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024

Term: TypeAlias = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple
_Format = TypeVar("_Format")


class RequestError(Exception):
    """A request that is answered with an error status; the message is the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; names of headers in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body in the charset it names, else in UTF-8 (Tomcat takes ISO-8859-1 then, and stores mojibake)."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        try:
            return self.body.decode(message.get_content_charset("utf-8"))
        except (LookupError, UnicodeDecodeError) as error:
            raise RequestError(400, f"the body is not in its charset: {error}"[:200]) from error

    def parameters(self) -> Mapping[str, Sequence[str]]:
        """Parameters of the URL and, if the body is a form, of the body."""
        body = self.text if self.media_type == FORM else ""
        return parse_qs("&".join(filter(None, (self.query, body))), keep_blank_values=True, max_num_fields=1000)

    def choose(self, offered: Mapping[str, _Format]) -> _Format:
        """Return what the client likes best; the first that is offered if it does not say."""
        for wanted in _by_liking(self.headers.get("accept", "*/*")):
            prefix = wanted.removesuffix("*")
            for media_type, form in offered.items():
                if wanted in {"*/*", media_type} or (prefix.endswith("/") and media_type.startswith(prefix)):
                    return form
        raise RequestError(406, f"not acceptable; there is {', '.join(offered)}")

    def rdf_format(self) -> ox.RdfFormat:
        """Format of the body; raises RequestError 415."""
        form = ox.RdfFormat.from_media_type(self.media_type)
        if form is None:
            raise RequestError(415, f"Content-Type {self.media_type[:100]!r} is not one of RDF or SPARQL")
        return form


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back. The body is complete before the first byte goes out, so an error is still a status."""

    status: int
    media_type: str = ""
    body: io.BytesIO | SpooledTemporaryFile[bytes] = field(default_factory=io.BytesIO)

    @classmethod
    def of_text(cls, status: int, text: str) -> Reply:
        """Plain text."""
        return cls(status, "text/plain; charset=utf-8", io.BytesIO(text.encode(errors="replace")))


def filled(write: Callable[[SpooledTemporaryFile[bytes]], object]) -> SpooledTemporaryFile[bytes]:
    """Return a file with what *write* wrote: in memory while it is small."""
    body = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - whoever sends the reply closes it
    try:
        write(body)
    except BaseException:
        body.close()
        raise
    return body


def term_of(text: str) -> Term:
    """Read a term in N-Triples syntax, as RDF4J's parameters have it."""
    try:
        quad = next(ox.parse(f"<urn:s> <urn:p> {text} .", format=ox.RdfFormat.N_TRIPLES))
    except (SyntaxError, StopIteration) as error:
        raise RequestError(400, f"not a term in N-Triples syntax: {text[:100]!r}") from error
    value: Term = quad.object
    return value


def _by_liking(accept: str) -> list[str]:
    weighed = []
    for entry in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in entry.split(";"))
        weights = [parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q=")]
        if weight := _weight(weights):
            weighed.append((-weight, media_type))
    return [media_type for _, media_type in sorted(weighed, key=lambda pair: pair[0])]


def _weight(texts: list[str]) -> float:
    try:
        return float(texts[0]) if texts else 1.0
    except ValueError:
        return 0.0
