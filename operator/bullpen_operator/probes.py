"""/healthz and /metrics: healthy is an operator whose loops turn, not one whose process answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from bullpen_operator.metrics import Metrics

Ages = Callable[[], Mapping[str, float]]
"""Seconds since each loop last turned, by name."""


class Probes:
    """A small HTTP server of its own, so that nothing of kopf or the engine has to work for it to answer."""

    def __init__(self, metrics: Metrics, ages: Ages, stale_after_s: float) -> None:
        self._metrics = metrics
        self._ages = ages
        self._stale_after_s = stale_after_s
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._text)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, port: int, host: str | None = None) -> int:
        """Listen on *port* (0: any) of all interfaces; return the port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the server."""
        await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        ages = self._ages()
        stale = {name: age for name, age in ages.items() if age > self._stale_after_s}
        text = "".join(f"{name} {'stale' if name in stale else 'ok'} {age:.0f}s\n" for name, age in ages.items())
        return web.Response(text=text, status=503 if stale else 200)

    async def _text(self, _request: web.Request) -> web.Response:
        for name, age in self._ages().items():
            self._metrics.loop(name, age)
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.text(), headers=headers)
