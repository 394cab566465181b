"""The ports of a Context in tests: a Web that answers what it was given, a Commons that writes down what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bullpen_processors.api import AllowPolicy, Context, NoAnswerError, WebAnswer
from fakes.processing import Remembering

Answer = Callable[[Mapping[str, str]], WebAnswer | Exception]
"""The query of a request -> what comes of it."""


@dataclass
class PlayedWeb:
    """A `Web` that is told what comes."""

    answer: Answer
    secrets: Mapping[str, str] = field(default_factory=dict)
    queries: list[dict[str, str]] = field(default_factory=list)
    sent: list[Mapping[str, str]] = field(default_factory=list)
    """Names of the secrets that went along, by header."""
    pages: Mapping[str, WebAnswer] = field(default_factory=dict)
    """What fetched addresses answer; others do not."""
    fetched: list[str] = field(default_factory=list)

    def get(self, url: str, /, *, secret_headers: Mapping[str, str] | None = None, **_how: Any) -> WebAnswer:
        """Answer."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.queries.append(query)
        self.sent.append(secret_headers or {})
        came = self.answer(query)
        if isinstance(came, Exception):
            raise came
        return came

    def fetch(self, url: str, policy: AllowPolicy, /, *, timeout_s: float, limit_bytes: int) -> WebAnswer:
        """Answer an address that it has, in time and up to the limit."""
        assert timeout_s > 0
        self.fetched.append(url)
        page = self.pages.get(url)
        if page is None or len(page.body) > limit_bytes:
            raise NoAnswerError(f"no answer over {'/'.join(policy.schemes)} within {limit_bytes} bytes")
        return page

    def holds(self, secret: str, /) -> bool:
        """Tell."""
        return secret in self.secrets


@dataclass
class PlayedCommons:
    """A `Commons` in memory, in which time passes by itself."""

    clock: list[float]
    known: dict[str, str] = field(default_factory=dict)
    kept_s: dict[str, float] = field(default_factory=dict)
    turns: list[tuple[str, int, float]] = field(default_factory=list)
    ended: int = 0
    held: list[float] = field(default_factory=list)
    refuses: bool = False

    def recall(self, key: str, _patience_s: float, /) -> str | None:
        """Recall."""
        return self.known.get(key)

    def remember(self, key: str, text: str | None, seconds: float = 0, /) -> None:
        """Remember."""
        if text is not None:
            self.known[key] = text
            self.kept_s[key] = seconds

    def take_turn(self, name: str, limit: int, window_s: float, _patience_s: float, /) -> bool:
        """Give a turn, unless told otherwise."""
        self.turns.append((name, limit, window_s))
        return not self.refuses

    def end_turn(self, _name: str, /) -> None:
        """Count."""
        self.ended += 1

    def hold_off(self, _name: str, seconds: float, /) -> None:
        """Let the time pass."""
        self.held.append(seconds)
        self.clock[0] += seconds


@dataclass
class Outside:
    """A Context with its ports, to look into afterwards."""

    web: PlayedWeb
    commons: PlayedCommons
    report: Remembering
    context: Context


def outside(answer: Answer, *, secrets: Mapping[str, str] | None = None, **settings: Any) -> Outside:
    """Make one; its time begins at 1,700,000,000 s."""
    clock = [1_700_000_000.0]
    web, commons, report = PlayedWeb(answer, secrets or {}), PlayedCommons(clock), Remembering()
    return Outside(web, commons, report, Context("test", report, settings, web, commons, lambda: clock[0]))


NOWHERE: Answer = lambda _query: NoAnswerError("there is no network here")  # noqa: E731 - a constant of a kind of its own
