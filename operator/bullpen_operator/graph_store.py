"""The Store port over HTTP. Requests are few (an outage, an attempt that died), so each has a connection of its own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from bullpen_operator.escaping import safe
from bullpen_operator.ports import StoreRefusedError, StoreUnavailableError
from bullpen_protocol.graph_urls import query_url, update_url

PROBE_TIMEOUT_S: Final = 5.0
UPDATE_TIMEOUT_S: Final = 30.0
ANSWER_LIMIT: Final = 4096
"""Bytes read of an answer: enough for a reason, and no store's to choose."""
ALIKE: Final = 3
"""Failures (5xx) at one update before the store is asked whether it takes another: then it is the update's fault."""

_HARMLESS: Final = "INSERT DATA { GRAPH %s { %s } } ; DELETE DATA { GRAPH %s { %s } }" % (
    ("<urn:bullpen:probe>", "<urn:bullpen:probe> a <urn:bullpen:probe>") * 2
)
_ACCESS: Final = frozenset({401, 403, 404, 405, 407})
_PASSING: Final = frozenset({408, 429})
_SPARQL_UPDATE: Final = {"Content-Type": "application/sparql-update; charset=utf-8", "Accept": "*/*"}
_RESULTS: Final = {"Accept": "application/sparql-results+json, */*;q=0.1"}


class StorePlaceError(ValueError):
    """A place that no store can be at; the end of a sentence that begins with what holds it."""


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a graph store is, and who may ask: what its Secret says."""

    url: str
    update_url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, secret: Mapping[str, str]) -> StorePlace:
        """Read a Secret's values."""
        keys = ("updateUrl", "username", "password")
        return cls(secret["url"].strip(), *((secret.get(key) or "").strip() or None for key in keys))


class HttpStore:
    """One graph store."""

    def __init__(self, place: StorePlace) -> None:
        """Name a store; nothing is sent yet. Raises StorePlaceError."""
        updates = place.update_url or update_url(place.url)
        if updates is None:
            raise StorePlaceError("url does not end in /repositories/NAME, so updateUrl is needed as well")
        self._queries, self._updates = _checked("url", query_url(place.url)), _checked("updateUrl", updates)
        self._headers: dict[str, str] = {}
        if place.username is not None:
            credentials = f"{place.username}:{place.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
        self._failures: dict[str, int] = {}

    async def probe(self) -> None:
        """Ask whether there is nothing, which is true of every store."""
        status, _ = await self._send("GET", self._queries, _RESULTS, PROBE_TIMEOUT_S, params={"query": "ASK {}"})
        if not 200 <= status < 300:
            raise StoreUnavailableError(_said(status))

    async def update(self, text: str) -> None:
        """POST *text*."""
        status, said = await self._post(text)
        if 200 <= status < 300:
            self._failures.pop(text, None)
        elif _may_pass(status):
            raise StoreUnavailableError(_said(status))
        elif status < 500 or await self._chokes_on(text):
            self._failures.pop(text, None)
            raise StoreRefusedError(f"{_said(status)}: {safe(said, 200)}")
        else:
            raise StoreUnavailableError(_said(status))

    async def _chokes_on(self, text: str) -> bool:
        """Whether the store has failed at *text* again and again, and takes another update."""
        self._failures[text] = self._failures.get(text, 0) + 1
        if self._failures[text] < ALIKE:
            return False
        status, _ = await self._post(_HARMLESS)
        return 200 <= status < 300

    async def _post(self, text: str) -> tuple[int, str]:
        return await self._send("POST", self._updates, _SPARQL_UPDATE, UPDATE_TIMEOUT_S, data=text.encode())

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], limit_s: float, **what: Any
    ) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=limit_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.request(method, url, headers=headers, allow_redirects=False, **what) as answer,
            ):
                return answer.status, (await answer.content.read(ANSWER_LIMIT)).decode(errors="replace")
        except TimeoutError as error:
            raise StoreUnavailableError(f"the graph store gave no answer within {limit_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreUnavailableError(f"the graph store gave no answer: {_reason(error)}") from error


def _checked(key: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable:
        raise StorePlaceError(f"{key} is not an http:// or https:// URL")
    if "@" in parts.netloc:
        raise StorePlaceError(f"{key} holds credentials; move them to username and password")
    return url


def _may_pass(status: int) -> bool:
    """Whether the answer says nothing of the update: come again, or the settings are to be mended."""
    return status < 400 or status in _ACCESS or status in _PASSING or status in (502, 503, 504)


def _said(status: int) -> str:
    try:
        words = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = str(status)
    if status < 400 or status in _ACCESS:
        return f"the graph store's URL or credentials are wrong: it answered {words}"
    return f"the graph store answered {words}"


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not known"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it can't be connected to"
    return "the connection broke"
