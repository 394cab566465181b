"""Where a script speaks of what rules are about. Functions without such a word wait until a value reaches them.

A word is no proof: it only decides what is looked at first. What a pattern of several words is about counts where they
stand near each other.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from bullpen_processors.sast.models import Models, Sink

NEAR: Final = 600
"""Bytes on either side in which the other words of a pattern have to stand."""
_TOKEN: Final = re.compile(rb"[\w$]{3,}|\$(?=\()|ws(?=://)")
_WORD: Final = re.compile(r"[\w$-]+")
_CALLED: Final = re.compile(rb"\s*(?:\?\.)?\s*[(`]")
_ASSIGNED: Final = re.compile(rb"[\"']?\]?\s*(?:\+|\|\||\?\?)?=(?!=)")
_TAGS: Final = frozenset({"input", "textarea", "param", "script", "style"})
_QUOTES: Final = (b'"', b"'", b"`")
_KEYS: Final = (b'["', b"['", b"[`")
_ROOTS: Final = (b"window.", b"self.", b"top.", b"parent.", b"globalThis.")
_PLACES: Final = frozenset({
    "eval", "Function", "innerHTML", "outerHTML", "insertAdjacentHTML", "write", "writeln", "appendChild",
    "createElement", "open", "assign", "postMessage", "cookie", "domain", "localStorage", "sessionStorage", "http",
    "ftp", "ws", "replace", "javascript", "vbscript", "data", "enabled", "enableSvg", "location", "message", "setItem",
    "$cookies", "$cookieStore", "$templateCache", "$cacheFactory", "Cookies", "bypassSecurityTrustHtml", "trustAsHtml",
    "execUnsafeLocalFunction", "imgSrcSanitizationWhitelist", "aHrefSanitizationWhitelist",
    "imgSrcSanitizationTrustedUrlList", "aHrefSanitizationTrustedUrlList",
})  # fmt: skip
"""Words of places that are reported without a flow."""


class Mention(NamedTuple):
    """How a word has to stand to be about a rule."""

    beside: frozenset[bytes] = frozenset()
    """What stands near it."""
    after: re.Pattern[bytes] | None = None
    """What follows it."""
    before: tuple[bytes, ...] = ()
    """One of these precedes it."""
    is_read: bool = False
    """It is a name or a field, and no text."""
    is_global: bool = False
    """It is no field of anything but the window, and no key."""


class Spots:
    """The places in one script, in order."""

    def __init__(self, places: Iterable[int]) -> None:
        self._places = sorted(places)

    def any_within(self, start: int, end: int) -> bool:
        """Tell whether there is one in a range of bytes."""
        at = bisect_left(self._places, start)
        return at < len(self._places) and self._places[at] < end


class Vocabulary:
    """The words of all rules."""

    def __init__(self, models: Models, *, places: bool) -> None:
        self._mentions: dict[bytes, list[Mention]] = defaultdict(list)
        for pattern, mention in _patterns(models):
            self._add(pattern, mention)
        for word in _PLACES if places else ():
            self._mentions[word.encode()] = [Mention()]

    def _add(self, pattern: str, mention: Mention) -> None:
        words = _WORD.findall(pattern.removeprefix("import:").removeprefix("new ").removeprefix("element<"))
        if not words:
            return
        anchor = words[-1] if len(words[-1]) > 2 or words[-1] == "$" else max(words, key=len)
        is_last = anchor == words[-1]
        of_jquery = is_last and pattern.startswith(("$.", "jQuery."))
        made = Mention(
            mention.beside | {_needle(word) for word in words if word != anchor},
            mention.after if is_last else None,
            (b"$.", b"jQuery.") if of_jquery else mention.before,
            is_read=mention.is_read,
            is_global=len(words) == 1 and mention.is_read,
        )
        self._mentions[anchor.encode()].append(made)

    def spots(self, source: bytes) -> Spots:
        """Find them."""
        mentions: Mapping[bytes, list[Mention]] = self._mentions
        return Spots(
            token.start()
            for token in _TOKEN.finditer(source)
            if token[0] in mentions and any(_stands(source, token, one) for one in mentions[token[0]])
        )


def _stands(source: bytes, token: re.Match[bytes], mention: Mention) -> bool:
    start, end = token.span()
    if mention.after is not None and mention.after.match(source, end) is None:
        return False
    before = source[max(0, start - 12) : start]
    if mention.before and not before.endswith(mention.before):
        return False
    if mention.is_read and before.endswith(_QUOTES) and not before.endswith(_KEYS):
        return False
    if mention.is_global and before.endswith(b".") and not before.endswith(_ROOTS):
        return False
    if mention.is_global and source[end : end + 1] == b":":
        return False
    low, high = max(0, start - NEAR), end + NEAR
    return all(source.find(word, low, high) >= 0 for word in mention.beside)


def _needle(word: str) -> bytes:
    """Return how a word of a pattern is looked for near another: alone, short ones are in any text."""
    if word == "$":
        return b"$("
    if word in _TAGS:
        return f'"{word}"'.encode()
    return word.encode() if len(word) > 2 else f".{word}".encode()


def _patterns(models: Models) -> Iterator[tuple[str, Mention]]:
    """Yield each pattern, and how its last word stands where it is meant."""
    for source in models.sources:
        yield source.pattern, Mention(is_read=True)
    for callback in (*models.callbacks, *models.handlers):
        for first in callback.first:
            yield f"{callback.pattern}.{first}", Mention(before=_QUOTES)
        if not callback.first:
            yield callback.pattern, Mention()
    for sink in models.calls:
        yield from _of_call(sink)
    for sink in models.assignments:
        tag = frozenset({f'"{sink.tags[0]}"'.encode()}) if len(sink.tags) == 1 and sink.tags[0] else frozenset[bytes]()
        yield sink.pattern, Mention(tag, None if sink.pattern.startswith("jsx<") else _ASSIGNED)


def _of_call(sink: Sink) -> Iterator[tuple[str, Mention]]:
    """A sink may want a literal among its arguments, a receiver near it, a field of an argument."""
    if sink.names:
        names = "|".join(re.escape(name) for name in sink.names).encode()
        shape = rb"\s*\((?:[^,()]{0,80},)?\s*[\"'`](?:%b)[\"'`]" % names
        yield sink.pattern, Mention(after=re.compile(shape, re.IGNORECASE))
        return
    if sink.field:
        yield sink.field, Mention(frozenset(map(_needle, _WORD.findall(sink.pattern)[-1:])))
        return
    for receiver in sink.receivers or ("",):
        words = _WORD.findall(receiver.removeprefix("import:").removeprefix("new "))
        yield sink.pattern, Mention(frozenset(map(_needle, words)), _CALLED)
