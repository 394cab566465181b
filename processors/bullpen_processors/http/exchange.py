"""One recorded HTTP exchange, typed: what a producer sent, read as the original reads it, however loose it is.

A text that is None was absent: missing, null, false, 0 or an empty string. Nothing is checked here and nothing raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bullpen_processors.api import Json
from bullpen_processors.http.cookies import is_set_cookie, lines
from bullpen_processors.ontoweb.javascript import is_number, items, member, text, truthy


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter; an empty value is a value, None is none."""

    name: str
    value: str | None
    xml_name: str
    """The name as the query's XML has it: there, a name of 0 or false is written out (producers send such)."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header field; an empty value is a value, None is none."""

    name: str
    value: str | None
    given: int
    """Position in the producer's own list: several cookies of one response header share it."""
    shown: str
    """The value as findings have it: there, a value of null, 0 or false is empty."""


@dataclass(frozen=True, slots=True)
class Uri:
    """Where a request went; `params` hold None where the producer's list holds null."""

    full: str | None
    scheme: str | None
    authority: str | None
    path: str | None
    fragment: str | None
    query_xml: str | None
    query_raw: str | None
    params: tuple[Parameter | None, ...]

    @classmethod
    def from_json(cls, uri: Json) -> Self:
        """Read the `uri` of an item."""
        return cls(
            full=_present(member(uri, "full")),
            scheme=_present(member(uri, "scheme")),
            authority=_present(member(uri, "authority")),
            path=_present(member(uri, "path")),
            fragment=_present(member(uri, "fragment")),
            query_xml=_present(member(uri, "queryXml")),
            query_raw=_present(member(uri, "queryRaw")),
            params=tuple(_parameter(entry) for entry in items(member(uri, "params"))),
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int | float | None
    """None unless it was a number: "200" is none."""
    reason: str | None
    http_version: str | None
    body: str | None
    """Base64, as it was given."""
    headers: tuple[Header, ...]
    """Without entries that have no name of type string, and with one Set-Cookie per cookie: as they are numbered."""

    @classmethod
    def from_json(cls, response: Json) -> Self:
        """Read the `response` of an item."""
        status = member(response, "status")
        return cls(
            status=status if is_number(status) else None,
            reason=_present(member(response, "reason")),
            http_version=_present(member(response, "httpVersion")),
            body=_present(member(response, "bodyBase64")),
            headers=_expanded(items(member(response, "headers"))),
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One item of an ingest or resolver job: a request and, if there was one, its response."""

    id: str | None
    method: str | None
    uri: Uri
    http_version: str | None
    body: str | None
    """Base64, as it was given."""
    headers: tuple[Header, ...]
    connection_authority: str | None
    graph: str | None
    response: Response | None
    given: Json
    """The item itself: findings repeat its id, method, URL, status and graph as they came, numbers as numbers."""

    @classmethod
    def from_json(cls, item: Json) -> Self:
        """Read an item, whatever it is."""
        authority, response = member(member(item, "connection"), "authority"), member(item, "response")
        return cls(
            id=_present(member(item, "id")),
            method=_present(member(item, "method")),
            uri=Uri.from_json(member(item, "uri")),
            http_version=_present(member(item, "httpVersion")),
            body=_present(member(item, "bodyBase64")),
            headers=tuple(_header(entry, index) for index, entry in enumerate(items(member(item, "requestHeaders")))),
            connection_authority=None if authority == "" else _value(authority),
            graph=_present(member(item, "graph")),
            response=Response.from_json(response) if truthy(response) else None,
            given=item,
        )


def _present(value: Json) -> str | None:
    return text(value) if truthy(value) else None


def _value(value: Json) -> str | None:
    return None if value is None else text(value)


def _parameter(entry: Json) -> Parameter | None:
    if entry is None:
        return None
    name = member(entry, "name")
    return Parameter(_present(name) or "", _value(member(entry, "value")), _value(name) or "")


def _header(entry: Json, given: int) -> Header:
    value = member(entry, "value")
    return Header(_present(member(entry, "name")) or "", _value(value), given, _present(value) or "")


def _expanded(entries: list[Json]) -> tuple[Header, ...]:
    headers: list[Header] = []
    for given, entry in enumerate(entries):
        name, value = member(entry, "name"), member(entry, "value")
        if not isinstance(name, str):
            continue
        if is_set_cookie(name) and isinstance(value, str):
            headers += (Header(name, line, given, line) for line in lines(value))
        else:
            headers.append(Header(name, _value(value), given, _present(value) or ""))
    return tuple(headers)
