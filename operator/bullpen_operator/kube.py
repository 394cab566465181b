"""The API server over the official client's asyncio half: JSON objects in and out, every answer or error ours.

The client's generated models are left alone: they cost most of its memory and time, and refuse what they don't know.
Nothing here retries: whoever asks knows what an unknown answer means to it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

PAGE: Final = 500
REQUEST_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
WATCH_S: Final = 300
"""After this the server ends a watch, and we begin the next where it ended."""
SILENCE_S: Final = 75.0
"""A watch on which not even a bookmark came for so long is dead: the server sends one a minute."""
MESSAGE_LIMIT: Final = 300
"""Characters of an answer that an error keeps: bodies may hold what users wrote."""

_TOKEN_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_MERGE_PATCH: Final = "application/merge-patch+json"

Json = dict[str, Any]


class KubeError(Exception):
    """The API server refused, or could not be asked."""


class KubeRefusedError(KubeError):
    """An answer other than 2xx. `status` is HTTP's, `reason` and the message are the API server's."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message[:MESSAGE_LIMIT])
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """The same request may well be answered later: throttled, overloaded, or the server's own trouble."""
        return self.status in (408, 429) or self.status >= 500


class KubeAwayError(KubeError):
    """No answer: not reachable, timed out, cut off. What was asked may have been done."""


class KubeApi:
    """The few requests that Bullpen makes; every method may raise KubeError."""

    def __init__(self, client: ApiClient, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._client = client
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)

    @classmethod
    async def connect(cls) -> KubeApi:
        """Log in with the pod's service account, else with the kubeconfig."""
        configuration = Configuration()
        if _TOKEN_FILE.exists():
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str) -> Json | None:
        """Read one object from the source; None: there is none."""
        try:
            return await self._ask("GET", path)
        except KubeRefusedError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Json) -> Json:
        """POST *body*."""
        return await self._ask("POST", path, body=body)

    async def delete(self, path: str, propagation: str = "Foreground") -> bool:
        """Delete with the objects that it owns; whether it was there. Foreground: it stays until they have ended."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        try:
            await self._ask("DELETE", path, body=options)
        except KubeRefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def patch(self, path: str, body: Json) -> bool:
        """Apply a merge patch; whether the object was there."""
        try:
            await self._ask("PATCH", path, body=body, content_type=_MERGE_PATCH)
        except KubeRefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def pages(self, path: str, selector: str = "") -> AsyncIterator[Json]:
        """List as the API server's pages, each with its items and the list's resourceVersion."""
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        following = ""
        while True:
            page = await self._ask("GET", path, query=query | ({"continue": following} if following else {}))
            yield page
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return

    async def objects(self, path: str, selector: str = "") -> list[Json]:
        """List completely, or raise: a part is never returned."""
        return [item async for page in self.pages(path, selector) for item in page.get("items") or ()]

    async def watch(
        self, path: str, selector: str, version: str, *, silence_s: float = SILENCE_S
    ) -> AsyncIterator[Json]:
        """Stream events from *version* on, bookmarks included, until the server ends it or stays silent too long."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
            "labelSelector": selector,
            "resourceVersion": version,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s)
        response = await self._send("GET", path, query=query, timeout=timeout)
        try:
            while line := await response.content.readline():
                yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise KubeAwayError(f"watch of {path} broke: {error or type(error).__name__}") from error
        finally:
            response.close()

    async def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """Read a Secret's values as text; None: there is none."""
        found = await self.get(core(namespace, "secrets", name))
        if found is None:
            return None
        data = found.get("data") or {}
        return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        timeout = self._timeout
        response = await self._send(method, path, query=query, body=body, content_type=content_type, timeout=timeout)
        try:
            return json.loads(await response.read()) or {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise KubeAwayError(f"{method} {path}: the answer broke off: {error or type(error).__name__}") from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, per phase of a request
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        verb, url, headers, data, _ = request
        try:
            answer = await self._client.call_api(verb, url, headers, data, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeAwayError(f"{method} {path}: no answer: {error or type(error).__name__}") from error
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 300:
            raise await _refusal(response)
        return response


def core(namespace: str, kind: str, name: str = "") -> str:
    """Path of a core/v1 collection or object."""
    return _path(f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}", name)


def batch(namespace: str, name: str = "") -> str:
    """Path of the KubeJobs of a namespace, or of one."""
    return _path(f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs", name)


def jobqueues(namespace: str, name: str = "", subresource: str = "") -> str:
    """Path of the JobQueues of a namespace, of one, or of its status."""
    path = _path(f"/apis/bullpen.dev/v1alpha1/namespaces/{quote(namespace, safe='')}/jobqueues", name)
    return f"{path}/{subresource}" if subresource else path


def _path(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, safe='')}" if name else collection


async def _refusal(response: aiohttp.ClientResponse) -> KubeRefusedError:
    try:
        text = (await response.read()).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError):
        text = ""
    try:
        status = json.loads(text)
        reason, message = str(status["reason"]), str(status["message"])
    except (ValueError, KeyError, TypeError):
        reason, message = str(response.reason), text or f"HTTP {response.status}"
    return KubeRefusedError(response.status, reason, message, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    # An HTTP date is allowed too; the API server sends seconds.
    return float(text) if text is not None and text.isdigit() else None
