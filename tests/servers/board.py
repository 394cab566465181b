"""bull-board over a queue, and a headless Chromium that looks at it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.node import FOLDER, NodeProcess, installed
from support import require


@contextmanager
def board(redis_url: str, *queues: str) -> Iterator[str]:
    """Run bull-board on loopback; yields its URL."""
    command = [require("node"), str(FOLDER / "board.js"), redis_url, *queues]
    process = subprocess.Popen(command, cwd=installed(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class Browser(NodeProcess):
    """A Chromium with one page. What is asked of an element waits until there is exactly one that fits."""

    def __init__(self) -> None:
        super().__init__("browser.js", require("chromium"))

    def open(self, url: str) -> None:
        """Load a page."""
        self._do("goto", url)

    def text(self, selector: str) -> str:
        """What one sees of an element."""
        return str(self._do("text", selector))

    def texts(self, selector: str) -> list[str]:
        """What one sees of all that fit now."""
        return list(self._do("texts", selector))

    def click(self, selector: str) -> None:
        """Click an element."""
        self._do("click", selector)

    def see(self, selector: str) -> None:
        """Wait until an element is to be seen."""
        self._do("see", selector)

    def screenshot(self, path: Path) -> None:
        """Keep a picture of what one sees."""
        self._do("screenshot", str(path))

    def complaints(self) -> list[str]:
        """Errors of the page's scripts and answers from 400 on, since the last time."""
        return list(self._do("complaints"))

    def _do(self, method: str, *arguments: Any) -> Any:
        return self.call({"method": method, "args": arguments})
