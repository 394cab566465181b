"""Questions to a graph store through SPARQLWrapper, which needs three remedies: charset, redirects, a bound."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final

from SPARQLWrapper import JSON, POST, POSTDIRECTLY, TURTLE, SPARQLWrapper

from bullpen_cli.ending import CannotAskError
from bullpen_operator.local import running
from bullpen_runner.graph_errors import Answer, explain
from bullpen_runner.graph_http import Endpoint
from bullpen_runner.graph_update import to_ascii

TIMEOUT_S: Final = 60
ANSWER_LIMIT_BYTES: Final = 64 << 20

Row = Mapping[str, str]
"""Variable -> value; unbound variables are left out."""


@dataclass(frozen=True, slots=True)
class GraphPlace:
    """Where the store is, as the options say."""

    url: str | None = None
    query_url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    state_folder: Path = Path(".bullpen")

    @classmethod
    def given(cls, url: str | None, query_url: str | None, username: str | None, state_folder: Path) -> GraphPlace:
        """Add the password, which has a variable and no option: the arguments of a process are no secret."""
        return cls(url, query_url, username, os.environ.get("BULLPEN_GRAPH_PASSWORD"), state_folder)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Credentials are for the store that was named; one that has moved is a setting to mend."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Wrapper(SPARQLWrapper):
    """Names the charset, which Tomcat otherwise takes for ISO-8859-1; follows nobody; asks no proxy."""

    _opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)

    def _createRequest(self) -> urllib.request.Request:  # noqa: N802 - SPARQLWrapper's name
        request = super()._createRequest()
        request.full_url = self.endpoint  # without the parameters that name a format in the ways of old stores
        request.add_header("Content-Type", "application/sparql-query; charset=utf-8")
        return request

    def _query(self) -> tuple[HTTPResponse, str]:
        return self._opener.open(self._createRequest(), timeout=self.timeout), self.returnFormat


@dataclass(frozen=True, slots=True)
class Store:
    """A store that answers queries; raises CannotAskError when it does not."""

    url: str
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, place: GraphPlace) -> Store:
        """Find the store; raises CannotAskError."""
        url = place.query_url or place.url or running.graph_url(place.state_folder)
        if url is None:
            raise CannotAskError(
                f"which graph store? None runs in the state folder {place.state_folder}: "
                "give --graph-url (or BULLPEN_GRAPH_URL), or start `bullpen local`"
            )
        try:
            return cls(url, Endpoint.of(url, place.username, place.password).authorization)
        except ValueError as error:
            raise CannotAskError(f"the URL of the graph store {error}") from error

    def rows(self, query: str) -> list[Row]:
        """Carry out a SELECT."""
        try:
            bindings = json.loads(self._ask(query, JSON))["results"]["bindings"]
            return [{name: term["value"] for name, term in row.items()} for row in bindings]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CannotAskError("what answers at the URL of the graph store is no SPARQL store") from error

    def turtle(self, query: str) -> bytes:
        """Carry out a CONSTRUCT."""
        return self._ask(query, TURTLE)

    def _ask(self, query: str, form: str) -> bytes:
        text = to_ascii(query)  # right whatever charset a server assumes
        wrapper = self._wrapper(text.decode(), form)
        try:
            with wrapper.query().response as response:
                body: bytes = response.read(ANSWER_LIMIT_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise CannotAskError(_refused(error, text)) from error
        except (OSError, HTTPException) as error:
            raise CannotAskError(f"the graph store gave no answer: {_reason(error)}") from error
        if len(body) > ANSWER_LIMIT_BYTES:
            raise CannotAskError("the graph store's answer is larger than 64 MiB: ask for less with --limit")
        return body

    def _wrapper(self, query: str, form: str) -> SPARQLWrapper:
        wrapper = _Wrapper(self.url, agent="bullpen")
        wrapper.setTimeout(TIMEOUT_S)
        wrapper.setMethod(POST)
        wrapper.setRequestMethod(POSTDIRECTLY)
        wrapper.setReturnFormat(form)
        wrapper.setQuery(query)
        if self.authorization is not None:
            wrapper.addCustomHttpHeader("Authorization", self.authorization)
        return wrapper


def _refused(error: urllib.error.HTTPError, sent: bytes) -> str:
    said = explain(Answer(error.code, error.headers.get("Content-Type", ""), error.read(64 << 10)), sent)
    if error.code in (401, 403, 404, 405) or error.code < 400:
        return f"the URL or credentials of the graph store are wrong: it answered {error.code}{said}"
    return f"the graph store refused the query: it answered {error.code}{said}"


def _reason(error: OSError | HTTPException) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"nothing came within {TIMEOUT_S} s"
    if isinstance(cause, ConnectionRefusedError):
        return "it refused the connection"
    return str(getattr(cause, "strerror", None) or type(cause).__name__)[:100]
