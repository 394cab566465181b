"""The API server over the official client's asyncio half: JSON objects in and out, every answer or error ours.

The client's generated models are left alone: they cost most of its memory and time, and refuse what they don't know.
Nothing here retries: whoever asks knows what an unknown answer means to it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube_errors import KubeAwayError, KubeError, KubeRefusedError, refusal_from
from bullpen_operator.kube_paths import batch, core, jobqueues, resource_of, verb_of
from bullpen_operator.pacing import Pacer

__all__ = ["KubeApi", "KubeAwayError", "KubeError", "KubeRefusedError", "batch", "core", "jobqueues"]

PAGE: Final = 500
EVENTS: Final = 100
"""Of one object, as many as are looked at: repetitions of one are counted, not kept."""
REQUEST_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
WATCH_S: Final = 300
"""After this the server ends a watch, and we begin the next where it ended."""
SILENCE_S: Final = 75.0
"""A watch on which not even a bookmark came for so long is dead: the server sends one a minute."""
TEXT_LIMIT: Final = 64 * 1024
"""Bytes kept of a log's end: a line of it may be of any length."""

_TOKEN_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_MERGE_PATCH: Final = "application/merge-patch+json"

Json = dict[str, Any]
Count = Callable[[str, str, str], None]
"""Hears of every request that was sent: verb (LIST and WATCH beside HTTP's), resource, status or `none`."""


class KubeApi:
    """The few requests that Bullpen makes; every method may raise KubeError."""

    def __init__(
        self,
        client: ApiClient,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        pacer: Pacer | None = None,
        count: Count = lambda *_: None,
    ) -> None:
        """Ask through *client*; *pacer* says how fast, on the running loop's time: as fast as it goes without one."""
        self._client = client
        self._pacer = pacer
        self._count = count
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)

    @classmethod
    async def connect(cls, pacer: Pacer, count: Count = lambda *_: None) -> KubeApi:
        """Log in with the pod's service account, else with the kubeconfig."""
        configuration = Configuration()
        if _TOKEN_FILE.exists():
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return cls(ApiClient(configuration), pacer=pacer, count=count)

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

    async def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """POST *body*; *dry_run*: have it judged and changed by all that would, and keep nothing."""
        return await self._ask("POST", path, query={"dryRun": "All"} if dry_run else None, body=body)

    async def delete(self, path: str, propagation: str = "Foreground", *, grace_s: int | None = None) -> bool:
        """Delete with the objects that it owns; whether it was there. Foreground: it stays until they have ended.

        *grace_s* is a pod's, in place of its own. A second deletion may shorten it, which kubelets do not heed.
        """
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        options |= {} if grace_s is None else {"gracePeriodSeconds": grace_s}
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

    async def replace(self, path: str, body: Json) -> Json:
        """PUT the whole object; its resourceVersion must be that of what is there."""
        return await self._ask("PUT", path, body=body)

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

    async def each(self, path: str, selector: str = "") -> AsyncIterator[Json]:
        """List object by object, or raise in the middle: as JSON no more than a page of them is in memory at once."""
        async for page in self.pages(path, selector):
            for item in page.get("items") or ():
                yield item

    async def objects(self, path: str, selector: str = "") -> list[Json]:
        """List completely, or raise: a part is never returned. For the few; `each` is for attempts and their pods."""
        return [item async for item in self.each(path, selector)]

    async def events(self, namespace: str, uid: str) -> list[Json]:
        """List the Events about the object *uid*: one page, for an object may have made thousands."""
        query = {"limit": str(EVENTS), "fieldSelector": f"involvedObject.uid={uid}"}
        return (await self._ask("GET", core(namespace, "events"), query=query)).get("items") or []

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

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """Read the end of what is no JSON object (a log): its last TEXT_LIMIT bytes; empty when there is none."""
        try:
            response = await self._send("GET", path, query=query, timeout=self._timeout)
        except KubeRefusedError as error:
            if error.status in (400, 404):  # no such pod, or its container never ran
                return ""
            raise
        kept = b""
        try:
            async for chunk in response.content.iter_chunked(TEXT_LIMIT):
                kept = (kept + chunk)[-TEXT_LIMIT:]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KubeAwayError(f"GET {path}: the answer broke off: {error or type(error).__name__}") from error
        finally:
            response.close()
        return kept.decode("utf-8", "replace")

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
        kind = verb_of(method, path, query or {})
        await self._turn()
        try:
            answer = await self._client.call_api(verb, url, headers, data, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(kind, resource_of(path), "none")
            raise KubeAwayError(f"{method} {path}: no answer: {error or type(error).__name__}") from error
        response: aiohttp.ClientResponse = answer.response
        self._count(kind, resource_of(path), str(response.status))
        if response.status >= 300:
            refusal = await refusal_from(response)
            self._refused(refusal)
            raise refusal
        return response

    async def _turn(self) -> None:
        """Wait for our turn. Whoever waits may be told meanwhile to wait longer, and asks again."""
        if self._pacer is None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._pacer.turn(loop.time())
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = self._pacer.closed_s(loop.time())

    def _refused(self, error: KubeRefusedError) -> None:
        crowded = error.status == 429 or (error.status == 503 and error.retry_after_s is not None)
        if self._pacer is not None and crowded:
            self._pacer.refused(asyncio.get_running_loop().time(), error.retry_after_s)
