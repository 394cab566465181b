"""A log server for tests: Socket.IO's namespace /logs, which sends every entry on to all its clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import socketio  # type: ignore[import-untyped]
from aiohttp import web

from servers.redis import free_port

PATIENCE_S: Final = 60.0


class LogServer:
    """May be stopped and started again on the same port; `entries` is what has come so far."""

    def __init__(self) -> None:
        self.port = free_port()
        self.entries: list[dict[str, Any]] = []
        self.clients = 0
        """Connected so far, those that left included."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """As LOGS_WS_URL."""
        return f"http://127.0.0.1:{self.port}/logs"

    def start(self) -> Self:
        """Return when it listens."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE_S)
        return self

    def stop(self) -> None:
        """Break every connection and listen no more."""
        if self._thread is not None:
            assert self._loop is not None
            assert self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE_S)
            self._thread = None

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of *condition*, which is looked at with each event."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            found = self._changed.wait_for(condition, deadline - time.monotonic())
        assert found, f"{what} did not happen within {PATIENCE_S:g} s; there are {self.entries}"
        return found

    def texts(self, **wanted: Any) -> list[str]:
        """Texts of the entries that have the keys and values of *wanted*."""
        found = [entry for entry in self.entries if all(entry.get(key) == value for key, value in wanted.items())]
        return [entry["msg"] if isinstance(entry["msg"], str) else entry["msg"][0] for entry in found]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = socketio.AsyncServer(async_mode="aiohttp")
        server.on("connect", self._came, namespace="/logs")

        async def log(_sid: str, entry: dict[str, Any]) -> None:
            with self._changed:
                self.entries.append(entry)
                self._changed.notify_all()
            await server.emit("log", entry, namespace="/logs")

        server.on("log", log, namespace="/logs")
        app = web.Application()
        server.attach(app)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        ready.set()
        await self._stop.wait()
        await server.shutdown()
        await runner.cleanup()

    def _came(self, _sid: str, _environ: dict[str, Any]) -> None:
        with self._changed:
            self.clients += 1
            self._changed.notify_all()
