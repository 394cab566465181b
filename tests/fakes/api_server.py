"""An API server small enough to misbehave on request: it lists in pages, watches with history, and fails as told."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

_KINDS = "jobs|pods|events|nodes|secrets|namespaces|jobqueues|leases|deployments|customresourcedefinitions"
_COLLECTION = re.compile(rf"(/.*/(?:{_KINDS}))(?:/([^/]+))?(/status|/log|/scale)?")
Json = dict[str, Any]


class FakeApiServer:
    """Objects by collection path. Trouble: `fail_next`, `compact`, `silent`, `cut_streams`."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = defaultdict(dict)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[Json] = []
        self.fail_next: list[web.Response | None] = []
        self.silent = False
        self.version = {"major": "1", "minor": "34"}
        self.page = 500
        self.logs: dict[str, str] = {}
        """What pods wrote, by name."""
        self.delete_job: Callable[[str], Awaitable[None]] | None = None
        """What deleting a KubeJob does, if something of a job controller is wanted."""
        self.delete_pod: Callable[[str], Awaitable[None]] | None = None
        """What deleting a pod does, if something of a kubelet is wanted."""
        self._version = itertools.count(1)
        self._now = 0
        self._oldest = 0
        self._events: list[tuple[str, int, str, Json]] = []
        self._news = asyncio.Condition()
        self._streams: set[asyncio.Task[Any]] = set()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)

    async def start(self) -> str:
        await self._server.start_server()
        return str(self._server.make_url("/")).rstrip("/")

    async def stop(self) -> None:
        await self.cut_streams()
        await self._server.close()

    def asked(self, method: str, *, watch: bool = False) -> list[tuple[str, str, dict[str, str]]]:
        return [r for r in self.requests if r[0] == method and ("watch" in r[2]) == watch]

    async def put(self, collection: str, item: Json, kind: str | None = None) -> Json:
        name = item["metadata"]["name"]
        known = self.objects[collection]
        kind = kind or ("MODIFIED" if name in known else "ADDED")
        self._now = next(self._version)
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._now)}}
        if kind == "DELETED":
            known.pop(name, None)
        else:
            known[name] = item
        await self._tell(collection, kind, item)
        return item

    async def remove(self, collection: str, name: str, *, unheard: bool = False) -> None:
        if unheard:
            self._now = next(self._version)
            del self.objects[collection][name]
        else:
            await self.put(collection, self.objects[collection][name], "DELETED")

    async def bookmark(self, collection: str) -> None:
        self._now = next(self._version)
        await self._tell(collection, "BOOKMARK", {"metadata": {"resourceVersion": str(self._now)}})

    async def error(self, collection: str, code: int) -> None:
        await self._tell(collection, "ERROR", {"code": code, "reason": "Expired", "message": "too old"})

    def compact(self) -> None:
        """Forget history: a watch from before now gets 410."""
        self._oldest = self._now

    async def cut_streams(self) -> None:
        for stream in list(self._streams):
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _tell(self, collection: str, kind: str, item: Json) -> None:
        async with self._news:
            self._events.append((collection, self._now, kind, item))
            self._news.notify_all()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path, dict(request.query)))
        trouble = self.fail_next.pop(0) if self.fail_next else None
        if trouble is not None:
            return trouble
        if request.path == "/version":
            return web.json_response(self.version)
        match = _COLLECTION.fullmatch(request.path)
        assert match is not None, request.path
        collection, name = match[1], match[2]
        if request.method == "GET" and name is None:
            return await (self._watch if "watch" in request.query else self._list)(request, collection)
        if match[3] == "/log":
            return self._log(name, int(request.query["tailLines"]))
        body = await request.json() if request.can_read_body else {}
        self.bodies.append(body)
        return await self._object(request.method, collection, name, body, dry="dryRun" in request.query)

    def _log(self, name: str, lines: int) -> web.Response:
        if name not in self.logs:
            return status(404, "NotFound")
        return web.Response(text="".join(self.logs[name].splitlines(keepends=True)[-lines:]))

    async def _object(self, method: str, collection: str, name: str | None, body: Json, *, dry: bool) -> web.Response:
        name = name or body["metadata"]["name"]
        found = self.objects[collection].get(name)
        if method == "POST" and dry:
            return web.json_response(body)
        if method == "POST":
            return status(409, "AlreadyExists") if found else web.json_response(await self.put(collection, body))
        if found is None:
            return status(404, "NotFound")
        if method == "DELETE" and self.delete_job is not None and collection.endswith("/jobs"):
            await self.delete_job(name)
        elif method == "DELETE" and self.delete_pod is not None and collection.endswith("/pods"):
            await self.delete_pod(name)
        elif method == "DELETE":
            await self.remove(collection, name)
        elif method in ("PATCH", "PUT"):
            return await self._write(collection, found, body, whole=method == "PUT")
        return web.json_response(found)

    async def _write(self, collection: str, found: Json, body: Json, *, whole: bool) -> web.Response:
        if _outdated(found, body):
            return status(409, "Conflict")
        return web.json_response(await self.put(collection, body if whole else _merge(found, body)))

    async def _list(self, request: web.Request, collection: str) -> web.Response:
        items = [
            i
            for i in self.objects[collection].values()
            if _selected(i, request.query.get("labelSelector", ""))
            and _about(i, request.query.get("fieldSelector", ""))
        ]
        start, limit = int(request.query.get("continue", 0)), min(int(request.query["limit"]), self.page)
        more = str(start + limit) if start + limit < len(items) else ""
        metadata = {"resourceVersion": str(self._now), "continue": more}
        return web.json_response({"metadata": metadata, "items": items[start : start + limit]})

    async def _watch(self, request: web.Request, collection: str) -> web.StreamResponse:
        since = int(request.query["resourceVersion"] or 0)
        if since < self._oldest:
            return status(410, "Expired")
        response = web.StreamResponse()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await self._stream(response, collection, since)
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(task)
        return response

    async def _stream(self, response: web.StreamResponse, collection: str, since: int) -> None:
        sent = 0
        while True:
            async with self._news:
                while self.silent or len(self._events) == sent:
                    await self._news.wait()
                fresh, sent = self._events[sent:], len(self._events)
            for path, version, kind, item in fresh:
                if path == collection and version > since:
                    await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")


async def until(what: Callable[[], bool]) -> None:
    """Wait for what the server was asked, or for what became of its answers."""
    async with asyncio.timeout(5):
        while not what():  # noqa: ASYNC110 - a condition of many parts, none of which can signal
            await asyncio.sleep(0.005)


def status(code: int, reason: str, message: str = "", headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message or reason, "code": code}
    return web.json_response(body, status=code, headers=headers)


def _selected(item: Json, selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, _, value = term.partition("=")
        if key not in labels or (value and labels[key] != value):
            return False
    return True


def _outdated(found: Json, patch: Json) -> bool:
    version = (patch.get("metadata") or {}).get("resourceVersion")
    return version not in (None, found["metadata"].get("resourceVersion"))


def _about(item: Json, selector: str) -> bool:
    """Only what is asked for: `involvedObject.uid`."""
    return not selector or item["involvedObject"]["uid"] == selector.partition("=")[2]


def _merge(old: Json, patch: Json) -> Json:
    merged = dict(old)
    for key, value in patch.items():
        merged[key] = _merge(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
