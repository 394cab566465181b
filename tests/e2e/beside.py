"""Scenarios that mostly wait: those of a module that carry the marker `beside` run at once, each in a thread.

Their fixtures may only be those of the whole session: none is set up or torn down around one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

AT_ONCE = 8
"""Two nodes on two cores start so many pods before their waits are for each other."""


class Beside:
    """Hands each scenario what its thread came to."""

    def __init__(self, timed: Callable[[str, float], None]) -> None:
        """*timed* is told a scenario's name and for how long it ran."""
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="scenario")
        self._running: dict[str, Future[None]] = {}
        self._timed = timed

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Begin all of the module with the first of them, and wait for this one."""
        if pyfuncitem.get_closest_marker("beside") is None:
            return None
        if pyfuncitem.nodeid not in self._running:
            self._begin(pyfuncitem)
        self._running.pop(pyfuncitem.nodeid).result()
        return True

    def pytest_sessionfinish(self) -> None:
        """Begin none of those that nobody waits for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, first: pytest.Function) -> None:
        for item in first.session.items:
            if isinstance(item, pytest.Function) and item.path == first.path and item.get_closest_marker("beside"):
                self._running[item.nodeid] = self._pool.submit(self._run, item, first.funcargs)

    def _run(self, item: pytest.Function, fixtures: dict[str, object]) -> None:
        names = item._fixtureinfo.argnames
        given = fixtures | (item.callspec.params if hasattr(item, "callspec") else {})
        began = time.monotonic()
        try:
            item.obj(**{name: given[name] for name in names})
        finally:
            self._timed(f"beside {item.name}", time.monotonic() - began)
