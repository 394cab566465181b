"""The code of scripts that a payload only names: from the address itself, or over the network where that is allowed."""

from __future__ import annotations

import codecs
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes, urljoin

from bullpen_processors.api import AllowPolicy, Json, NoAnswerError, Web
from bullpen_processors.ontoweb.javascript import member
from bullpen_processors.sast.units import is_script

OFF: Final = "scripts are not fetched (setting sast.fetch)"
_NO_SCRIPT: Final = re.compile(r"(?:image|audio|video|font)/|text/(?:html|css|csv)\b|multipart/", re.IGNORECASE)
"""Answers that are no scripts: what browsers refuse as one (Fetch, "blocked due to its MIME type"), and pages."""
_CHARSET: Final = re.compile(
    r"charset\s*=\s*[\"']?(utf-16(?:le|be)?|iso-8859-(?:1[013-6]?|[2-9])|windows-125[0-8]|koi8-[ru]|gbk|gb2312|gb18030|big5"
    r"|shift_jis|euc-(?:jp|kr))\b",
    re.IGNORECASE,
)
"""Encodings of the Encoding standard that Python calls the same; anything else is read as UTF-8."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What may be fetched for one page, and where from."""

    policy: AllowPolicy = field(default_factory=AllowPolicy)
    timeout_s: float = 5.0
    """For one script, redirects included."""
    total_s: float = 30.0
    limit_bytes: int = 4_000_000
    """Of one script, unpacked."""
    total_bytes: int = 6_000_000
    count: int = 100
    """Addresses that are asked: a page must not make its analysis a flood for somebody else."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A script without code, and why it has none."""

    index: int
    src: str
    reason: str

    def as_json(self) -> Json:
        """Return it as the job's value shows it; addresses may be long."""
        return {"index": self.index, "src": self.src[:500], "reason": self.reason}


@dataclass(slots=True)
class Codes:
    """The code of scripts that came without, by their place in the payload."""

    found: dict[int, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def codes_of(scripts: Sequence[Json], base: str, fetch: Callable[[str], str]) -> Codes:
    """Find the code of each script that came without, one fetch for each address; *fetch* raises NoAnswerError."""
    codes, known = Codes(), dict[str, str | NoAnswerError]()
    for index, src in _without_code(scripts):
        came: str | NoAnswerError | None = _from_data(src)
        if came is None:
            address = resolved(src, base)
            if address not in known:
                known[address] = _tried(fetch, address)
            came = known[address]
        if isinstance(came, NoAnswerError):
            codes.missing.append(Missing(index, src, str(came)))
        else:
            codes.found[index] = came
    return codes


def _without_code(scripts: Sequence[Json]) -> Iterator[tuple[int, str]]:
    """Yield index and address of scripts that a browser would load."""
    for index, script in enumerate(scripts):
        src = member(script, "src")
        if isinstance(src, str) and src and not member(script, "code") and is_script(member(script, "type")):
            yield index, src


def resolved(src: str, base: str) -> str:
    """Resolve the address of a script against the page's; one that can't be is left as it is."""
    try:
        return urljoin(base, src.strip())
    except ValueError:
        return src


def base_of(url: str, hrefs: Sequence[str]) -> str:
    """Return what addresses of a page are relative to: its own, or what the first `<base href>` says (HTML, 4.2.3)."""
    return resolved(hrefs[0], url) if hrefs else url


def _tried(fetch: Callable[[str], str], address: str) -> str | NoAnswerError:
    try:
        return fetch(address)
    except NoAnswerError as error:
        return error


def not_fetched(_address: str) -> str:
    """Fetch nothing."""
    raise NoAnswerError(OFF)


class Budget:
    """Fetches for one page until its time or its bytes are spent."""

    def __init__(self, web: Web, limits: FetchLimits, now: Callable[[], float]) -> None:
        self._web, self._limits, self._now = web, limits, now
        self._until = now() + limits.total_s
        self._bytes, self._count = limits.total_bytes, limits.count

    def __call__(self, address: str) -> str:
        """Return the code that an address leads to; raises NoAnswerError."""
        limits, left_s = self._limits, self._until - self._now()
        if not self._count:
            raise NoAnswerError(f"the page's {limits.count} requests for scripts were made")
        if left_s <= 0:
            raise NoAnswerError(f"the page's {limits.total_s:g} s for scripts were over")
        limit = min(limits.limit_bytes, self._bytes)
        if limit <= 0:
            raise NoAnswerError(f"the page's {limits.total_bytes:,} bytes of scripts were spent")
        self._count -= 1
        answer = self._web.fetch(address, limits.policy, timeout_s=min(limits.timeout_s, left_s), limit_bytes=limit)
        if answer.status != 200:
            raise NoAnswerError(f"the server answered {answer.status}")
        if _NO_SCRIPT.match(answer.content_type.strip()):
            raise NoAnswerError(f"the server answered with {answer.content_type.partition(';')[0].strip()[:60]}")
        self._bytes -= len(answer.body)
        return decoded(answer.body, answer.content_type)


def decoded(body: bytes, content_type: str) -> str:
    """Read a script as browsers do: by its byte order mark, what the server says, or UTF-8."""
    for mark, name in _MARKS.items():
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    said = _CHARSET.search(content_type)
    return body.decode(said[1] if said else "utf-8", "replace")


_MARKS: Final[Mapping[bytes, str]] = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def _from_data(src: str) -> str | None:
    """Decode a `data:` address (RFC 2397); None for any other, and for one that is broken."""
    head, comma, body = src.partition(",")
    if not comma or not head.strip().lower().startswith("data:"):
        return None
    try:
        plain = unquote_to_bytes(body)
        return (b64decode(plain) if head.rstrip().lower().endswith(";base64") else plain).decode("utf-8", "replace")
    except ValueError:
        return None
