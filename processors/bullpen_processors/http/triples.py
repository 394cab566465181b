"""An HTTP exchange as triples of OntoWeb-PT's ontology. Pure; every node is named by an IRI below the request's.

The order of the triples is fixed, and no IRI holds text that was not percent-encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyoxigraph as ox

from bullpen_processors.http.cookies import cookie_domain, cookie_name, is_set_cookie
from bullpen_processors.http.exchange import Exchange, Header, Parameter, Response, Uri
from bullpen_processors.ontoweb.iris import method_term
from bullpen_processors.ontoweb.javascript import number_text, trim
from bullpen_processors.ontoweb.terms import Triple, literal
from bullpen_processors.ontoweb.vocabulary import SEE_ALSO, TYPE, XML_LITERAL, XSD_INT, Vocabulary

_PAYLOAD: Final = frozenset({
    "content-type", "content-length", "content-encoding", "content-language", "content-location", "content-md5",
    "content-range",
})  # fmt: skip
_REQUEST_REPRESENTATION: Final = frozenset({
    "accept", "accept-language", "accept-encoding", "accept-charset", "accept-datetime",
})  # fmt: skip
_RESPONSE_REPRESENTATION: Final = frozenset({
    "vary", "accept-ranges", "etag", "last-modified", "cache-control", "expires",
})  # fmt: skip

_XML_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


def exchange_triples(exchange: Exchange, iri: str, vocabulary: Vocabulary) -> Iterator[Triple]:
    """Yield the triples of a checked exchange; *iri* is its request's."""
    ex, request, uri = vocabulary.ex, ox.NamedNode(iri), ox.NamedNode(f"{iri}:uri")
    yield request, TYPE, ex["Request"]
    yield request, ex["id"], literal(exchange.id or "")
    yield request, ex["uriRequest"], uri
    yield request, ex["mthd"], method_term(ex, exchange.method or "")
    yield from _message(request, exchange, vocabulary)
    if exchange.connection_authority is not None:
        connection = ox.NamedNode(f"{iri}:conn")
        yield connection, TYPE, ex["Connection"]
        yield connection, ex["connectionAuthority"], literal(exchange.connection_authority)
        yield request, SEE_ALSO, connection
    yield from _uri(uri, exchange.uri, iri, vocabulary)
    for index, header in enumerate(exchange.headers):
        node = ox.NamedNode(f"{iri}:hdr:{index}")
        yield from _header(request, node, header, _request_class(header.name), vocabulary)
    if exchange.response is not None:
        response = ox.NamedNode(f"{iri}:res")
        yield request, ex["resp"], response
        yield from _response(response, exchange.response, iri, vocabulary)


def _message(node: ox.NamedNode, message: Exchange | Response, vocabulary: Vocabulary) -> Iterator[Triple]:
    if message.http_version is not None:
        yield node, vocabulary.ex["httpVersion"], literal(message.http_version)
    if message.body is not None:
        yield node, vocabulary.ex["body"], literal(message.body, vocabulary.content["ContentAsBase64"])


def _uri(node: ox.NamedNode, uri: Uri, iri: str, vocabulary: Vocabulary) -> Iterator[Triple]:
    ex = vocabulary.ex
    yield node, TYPE, ex["URI"]
    parts = {"uri": uri.full, "scheme": uri.scheme, "authority": uri.authority, "path": uri.path}
    for name, part in (*parts.items(), ("fragment", uri.fragment)):
        if part is not None:
            yield node, ex[name], literal(part)
    query = _query(uri)
    if query is not None:
        yield node, ex["query"], literal(query, XML_LITERAL)
    for index, parameter in enumerate(uri.params):
        if parameter is not None:
            yield from _parameter(node, ox.NamedNode(f"{iri}:param:{index}"), parameter, vocabulary)


def _parameter(uri: ox.NamedNode, node: ox.NamedNode, parameter: Parameter, vocabulary: Vocabulary) -> Iterator[Triple]:
    ex = vocabulary.ex
    yield node, TYPE, ex["Parameter"]
    yield node, ex["nameParameter"], literal(parameter.name)
    if parameter.value is not None:
        yield node, ex["valueParameter"], literal(parameter.value)
    yield uri, ex["param"], node


def _response(node: ox.NamedNode, response: Response, iri: str, vocabulary: Vocabulary) -> Iterator[Triple]:
    ex = vocabulary.ex
    yield node, TYPE, ex["Response"]
    yield from _message(node, response, vocabulary)
    if response.status is not None or response.reason is not None:
        status = ox.NamedNode(f"{iri}:sc")
        yield status, TYPE, ex["StatusCodes"]
        yield node, ex["sc"], status
        if response.status is not None:
            yield status, ex["statusCodeNumber"], literal(number_text(response.status), XSD_INT)
        if response.reason is not None:
            yield status, ex["reasonPhrase"], literal(response.reason)
    for index, header in enumerate(response.headers):
        field = ox.NamedNode(f"{iri}:resh:{index}")
        yield from _header(node, field, header, _response_class(header.name), vocabulary)
        if is_set_cookie(header.name) and header.value is not None:
            yield from _cookie(field, header.value, vocabulary)


def _header(
    message: ox.NamedNode, node: ox.NamedNode, header: Header, kind: tuple[str, str], vocabulary: Vocabulary
) -> Iterator[Triple]:
    ex = vocabulary.ex
    name, link = kind
    yield node, TYPE, ex[name]
    yield node, ex["fieldName"], literal(header.name)
    if header.value is not None:
        yield node, ex["fieldValue"], literal(header.value)
    yield message, ex[link], node


def _cookie(node: ox.NamedNode, cookie: str, vocabulary: Vocabulary) -> Iterator[Triple]:
    name, domain = cookie_name(cookie), cookie_domain(cookie)
    if name is not None:
        yield node, vocabulary.ex["cookieName"], literal(name)
    if domain is not None:
        yield node, vocabulary.ex["cookieDomain"], literal(domain)


def _request_class(name: str) -> tuple[str, str]:
    """Class of a request header, and the property that links it."""
    lower = name.lower()
    if lower in _PAYLOAD:
        return "PayloadHeaders", "payHeader"
    if lower in _REQUEST_REPRESENTATION:
        return "RepresentationHeaders", "repHeader"
    return ("Cookie" if lower == "cookie" else "RequestHeader"), "reqHeader"


def _response_class(name: str) -> tuple[str, str]:
    """Class of a response header, and the property that links it."""
    lower = name.lower()
    if lower in _PAYLOAD:
        return "PayloadHeaders", "payHeader"
    if lower in _RESPONSE_REPRESENTATION:
        return "RepresentationHeaders", "repHeader"
    return ("Set-Cookie" if lower == "set-cookie" else "ResponseHeader"), "resHeader"


def _query(uri: Uri) -> str | None:
    """Return the query as XML text: the first that is not blank of its XML, its raw form, its parameters."""
    if uri.query_xml is not None and trim(uri.query_xml):
        return uri.query_xml
    if uri.query_raw is not None and trim(uri.query_raw):
        return f"<query>{_escaped(uri.query_raw)}</query>"
    if not uri.params:
        return None
    lines = (f'  <param name="{_escaped(p.xml_name)}">{_escaped(p.value or "")}</param>' for p in uri.params if p)
    return "\n".join(["<query>", *lines, "</query>"])


def _escaped(text: str) -> str:
    return text.translate(_XML_ENTITIES)
