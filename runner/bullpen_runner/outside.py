"""The ports of a Context as the child has them: HTTP by itself, the commons through its supervisor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bullpen_processors.api import AllowPolicy, WebAnswer

LONGEST_ACT_S: Final = 60.0
"""How long what is done within a turn may take: a turn whose holder died is free again after this and the window."""
TEXT_LIMIT: Final = 8 * 1024 * 1024
"""Characters that are kept of one answer: it shares a Redis with queues, which must not be crowded out."""
_LOOK_S: Final = 1.0
"""Between two questions whether there is a turn, at most: turns that end come free earlier than was said."""
_LISTEN_S: Final = 0.25

Ask = Callable[[dict[str, Any]], dict[str, Any]]


class RunnerWeb:
    """`Web` of a pod; what HTTP needs is imported when somebody speaks it."""

    def get(
        self, url: str, *, secret_headers: Mapping[str, str] | None = None, timeout_s: float, limit_bytes: int
    ) -> WebAnswer:
        """Ask once; raises NoAnswerError."""
        from bullpen_runner.web import get  # noqa: PLC0415 - few processors ask

        secrets = {header: os.environ.get(name, "") for header, name in (secret_headers or {}).items()}
        return get(url, secrets, timeout_s=timeout_s, limit_bytes=limit_bytes)

    def fetch(self, url: str, policy: AllowPolicy, *, timeout_s: float, limit_bytes: int) -> WebAnswer:
        """Get what an untrusted address leads to, where *policy* allows it; raises NoAnswerError."""
        from bullpen_runner.fetching import Fetcher  # noqa: PLC0415 - few processors ask

        return Fetcher().fetch(url, policy, timeout_s=timeout_s, limit_bytes=limit_bytes)

    def holds(self, secret: str) -> bool:
        """Tell whether the variable is there and not empty."""
        return bool(os.environ.get(secret))


class WireCommons:
    """`Commons` over questions to whoever holds Redis. Threads of a processor wait for each other."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[str, float]] = {}

    def recall(self, key: str, patience_s: float) -> str | None:
        """Return what was remembered; None: it is for the caller to find out."""
        until = time.monotonic() + patience_s
        while True:
            told = self._asked({"do": "recall", "key": key})
            if told["text"] is not None or told["mine"] or time.monotonic() >= until:
                text: str | None = told["text"]
                return text
            time.sleep(_LISTEN_S)

    def remember(self, key: str, text: str | None, seconds: float = 0) -> None:
        """Keep it, or let others try."""
        kept = text if text and len(text) <= TEXT_LIMIT else None
        self._asked({"do": "remember", "key": key, "text": kept, "ms": int(seconds * 1000)})

    def take_turn(self, name: str, limit: int, window_s: float, patience_s: float) -> bool:
        """Wait for a turn; False when none came in time."""
        until = time.monotonic() + patience_s
        token = os.urandom(16).hex()
        longest_ms = int((LONGEST_ACT_S + window_s) * 1000)
        while True:
            told = self._asked({"do": "take", "name": name, "token": token, "limit": limit, "longest_ms": longest_ms})
            wait_s = told["wait_ms"] / 1000
            if not wait_s:
                self._turns[name] = (token, window_s)
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(wait_s, _LOOK_S, left))

    def end_turn(self, name: str) -> None:
        """End the turn that was taken last."""
        token, window_s = self._turns.pop(name, ("", 0.0))
        if token:
            self._asked({"do": "end", "name": name, "token": token, "window_ms": int(window_s * 1000)})

    def hold_off(self, name: str, seconds: float) -> None:
        """Let nobody have a turn for so long."""
        self._asked({"do": "hold", "name": name, "ms": int(seconds * 1000)})

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return self._ask(question)


class OneProcess:
    """What answers a WireCommons where there is no Redis: the same, for one process alone."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._until: dict[str, dict[str, float]] = {}

    def __call__(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer one question."""
        doing = asked["do"]
        if doing == "recall":
            return {"text": self._known.get(asked["key"]), "mine": True}
        if doing == "remember":
            if asked["text"] is not None:
                self._known[asked["key"]] = asked["text"]
            return {}
        return {"wait_ms": self._turn(doing, asked)}

    def _turn(self, doing: str, asked: dict[str, Any]) -> int:
        now = time.monotonic() * 1000
        turns = {token: until for token, until in self._until.get(asked["name"], {}).items() if until > now}
        self._until[asked["name"]] = turns
        if doing == "end":
            turns[asked["token"]] = now + asked["window_ms"]
        elif doing == "hold":
            turns["hold"] = max(turns.get("hold", 0.0), now + asked["ms"])
        elif "hold" in turns or len(turns) >= asked["limit"]:
            return max(1, int(turns.get("hold", min(turns.values())) - now))
        else:
            turns[asked["token"]] = now + asked["longest_ms"]
        return 0
