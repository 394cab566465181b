"""What is forwarded, and where to: an entry's shape and the two variables that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit

URL_VARIABLE: Final = "LOGS_WS_URL"
WINDOW_VARIABLE: Final = "LOG_COALESCE_WINDOW_MS"
VARIABLES: Final = (URL_VARIABLE, WINDOW_VARIABLE)
"""What an operator hands on to its runners."""

DEFAULT_NAMESPACE: Final = "/logs"
DEFAULT_WINDOW_MS: Final = 3_000
LONGEST_WINDOW_MS: Final = 3_600_000


class LogEntry(TypedDict):
    """One line of a log: `{"ts": "2026-01-01T12:00:00.123Z", "level": "info", "ns": "runner", "msg": ...}`.

    `level` is error, warn, info or debug; `msg` a text, or a list of a text and an object with what belongs to it.
    """

    ts: str
    level: str
    ns: str
    msg: Any


class ForwardingError(ValueError):
    """A variable is wrong: one sentence says which, and what was expected."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where entries go, and for how long equal ones are held back."""

    url: str
    """http, https, ws or wss; never with a user or password, so it may be shown."""
    namespace: str = DEFAULT_NAMESPACE
    """The URL's path, as Socket.IO's own client has it."""
    window_s: float = DEFAULT_WINDOW_MS / 1000
    """0: every entry is sent."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Target | None:
        """Read both variables; None when no log server is named. Raises ForwardingError."""
        url = environment.get(URL_VARIABLE, "").strip()
        if not url:
            return None
        return cls(url, _namespace(url), _window_s(environment.get(WINDOW_VARIABLE, "").strip()))

    def to_environment(self) -> dict[str, str]:
        """Name the variables that `from_environment` reads."""
        return {URL_VARIABLE: self.url, WINDOW_VARIABLE: f"{self.window_s * 1000:.0f}"}


def _namespace(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https", "ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:
        raise ForwardingError(_expected("is no URL")) from None
    if not usable:
        raise ForwardingError(_expected("is no URL of a log server"))
    if parts.username is not None or parts.password is not None:
        raise ForwardingError(f"{URL_VARIABLE} holds a user or password; log servers are asked without: leave it out")
    return parts.path.rstrip("/") or DEFAULT_NAMESPACE


def _expected(what: str) -> str:
    return f"{URL_VARIABLE} {what}; expected http(s)://host:port{DEFAULT_NAMESPACE}"  # not shown: it may hold a secret


def _window_s(text: str) -> float:
    if not text:
        return DEFAULT_WINDOW_MS / 1000
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= LONGEST_WINDOW_MS):
        raise ForwardingError(f"{WINDOW_VARIABLE} is {text[:40]!r}; expected milliseconds, 0 to {LONGEST_WINDOW_MS}")
    return int(text) / 1000
