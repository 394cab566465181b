"""An exchange as rules look at it: what is derived from it, each computed once and only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final

from bullpen_processors.http.bodies import Body, body_of
from bullpen_processors.http.cookies import Moment, SetCookie, is_set_cookie, joined, lines, moment
from bullpen_processors.http.evidence import Hit
from bullpen_processors.http.exchange import Exchange, Header
from bullpen_processors.http.inputs import Field, body_fields, query_fields
from bullpen_processors.http.markup import Tag, tags
from bullpen_processors.http.urls import host_of, host_of_authority, path_of, query_of, scheme_of
from bullpen_processors.ontoweb.javascript import trim

_HTML: Final = ("text/html", "application/xhtml+xml")


class View:
    """What rules ask of an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._headers = exchange.response.headers if exchange.response else ()

    @cached_property
    def url(self) -> str:
        """The URL; empty without one."""
        return self.exchange.uri.full or ""

    @cached_property
    def scheme(self) -> str:
        """The URL's scheme in lower case."""
        return scheme_of(self.url)

    @cached_property
    def host(self) -> str:
        """The host that was asked, in lower case; empty where nothing names it."""
        authority = self.exchange.uri.authority
        return host_of_authority(authority or "") or host_of(self.url) or host_of_authority(self.request_header("host"))

    @cached_property
    def path(self) -> str:
        """The path, from the URL where the producer gave none."""
        return self.exchange.uri.path or path_of(self.url)

    @cached_property
    def status(self) -> int | float | None:
        """The response's status, where it is a number."""
        return self.exchange.response.status if self.exchange.response else None

    def request_header(self, name: str) -> str:
        """Return the first value of a request header; empty without."""
        values = (header.shown for header in self.exchange.headers if header.name.lower() == name and header.shown)
        return trim(next(values, ""))

    def response_header(self, name: str) -> str:
        """Return the first value of a response header; empty without."""
        return trim(next((header.shown for _, header in self.response_headers(name) if header.shown), ""))

    def response_headers(self, *names: str) -> Iterator[tuple[Hit, Header]]:
        """Yield the response headers of these names, in order."""
        for node, header in enumerate(self._headers):
            if header.name.lower() in names:
                shown = {"where": "response", "index": header.given, "name": header.name, "value": header.shown}
                yield Hit(shown, f"resh:{node}"), header

    @cached_property
    def media_type(self) -> str:
        """The response's media type in lower case; empty without."""
        return self.response_header("content-type").partition(";")[0].rstrip().lower()

    @cached_property
    def is_html(self) -> bool:
        """The response says that it is a page."""
        return self.media_type in _HTML

    @cached_property
    def response_body(self) -> Body:
        """What came back, as text."""
        response = self.exchange.response
        return body_of(response.body, self.response_header("content-encoding")) if response else Body("")

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """The tags of the response, taken for a page."""
        return tuple(tags(self.response_body.text))

    @cached_property
    def request_body(self) -> Body:
        """What was sent, as text."""
        return body_of(self.exchange.body, self.request_header("content-encoding"))

    @cached_property
    def params(self) -> list[tuple[Hit, Field]]:
        """The parameters that the producer took apart itself."""
        return [
            (Hit({"index": index, "name": param.name, "value": param.value or ""}, f"param:{index}"),
             Field.of(param.name, param.value or ""))
            for index, param in enumerate(self.exchange.uri.params)
            if param is not None
        ]  # fmt: skip

    @cached_property
    def raw_query(self) -> str:
        """The query as it was sent: the producer's, else that of the URL where the producer took none apart."""
        given = self.exchange.uri.query_raw
        return given if given is not None else "" if self.exchange.uri.params else query_of(self.url)

    @cached_property
    def query(self) -> list[Field]:
        """The fields of the raw query."""
        return query_fields(self.raw_query)

    @cached_property
    def form(self) -> list[Field]:
        """The fields of the request's body."""
        return body_fields(self.request_body.text, self.request_header("content-type"))

    @cached_property
    def cookies(self) -> list[tuple[Hit, SetCookie]]:
        """The cookies that the response sets, but for those that it deletes."""
        return [(hit, cookie) for hit, cookie in self._set_cookies() if not cookie.deletes(self._now)]

    @cached_property
    def _now(self) -> Moment | None:
        return moment(self.response_header("date"))

    def _set_cookies(self) -> Iterator[tuple[Hit, SetCookie]]:
        counts: dict[int, int] = {}
        for node, header in enumerate(self._headers):
            if not is_set_cookie(header.name):
                continue
            for raw in (cookie for line in lines(header.shown) for cookie in joined(line)):
                index = counts[header.given] = counts.get(header.given, -1) + 1
                yield _cookie_hit(node, header, index, SetCookie.parse(raw))


def _cookie_hit(node: int, header: Header, index: int, cookie: SetCookie) -> tuple[Hit, SetCookie]:
    shown = {
        "where": "response",
        "headerIndex": header.given,
        "headerName": header.name,
        "cookieIndex": index,
        "name": cookie.name,
        "value": cookie.value,
        "attributes": {
            "secure": cookie.secure,
            "httpOnly": cookie.http_only,
            "sameSite": cookie.same_site,
            "domain": cookie.domain,
            "path": cookie.path,
        },
        "raw": cookie.raw,
    }
    return Hit(shown, f"resh:{node}"), cookie
