"""What is known of APIs: rules that were read from data, indexed by the last name of what they are about."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from bullpen_processors.sast.graph import ALL, BITS, PREFIX, SCHEME, START

BUILT_IN: Final = Path(__file__).parent / "rules" / "compiled.json"
"""The rules of the folder beside it, checked and in one file that is read in a millisecond; `make check` compares."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from that somebody else writes."""

    rule: str
    pattern: str
    gives: int
    origin: str
    """url, name, referrer, message, storage, cookie, dom, network: who writes it."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A source that is handed to a function of the page."""

    rule: str
    pattern: str
    gives: int
    origin: str
    first: tuple[str, ...]
    argument: int
    parameter: int
    field: str


@dataclass(frozen=True, slots=True)
class Sink:
    """Where values do harm."""

    rule: str
    pattern: str
    needs: int
    kind: str
    audit: str
    """Id of the rule that reports it without a known source; "": none does."""
    arguments: tuple[int, ...]
    """Of a call; empty: all; negative ones count from the last."""
    names: tuple[str, ...]
    """Literals one of which the first argument has to be: names of attributes."""
    receivers: tuple[str, ...]
    tags: tuple[str, ...]
    field: str
    """The field of an argument that counts."""
    most: int
    """Arguments at most; 0: any number."""


@dataclass(frozen=True, slots=True)
class Propagator:
    """What a call makes of its input."""

    rule: str
    pattern: str
    inputs: tuple[str, ...]
    """`receiver`, `callee`, `arguments` or numbers."""
    output: str
    """`result`, `receiver`, or `callback`."""
    keep: int
    how: str
    """copy, text, piece, flat, element, stored."""


Rule = TypeVar("Rule", Source, Callback, Sink, Propagator)


class Index(Generic[Rule]):
    """Rules by the last name of their patterns."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_name: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            self._by_name[rule.pattern.rpartition(".")[2]].append(rule)

    def __iter__(self) -> Iterator[Rule]:
        """Yield every rule."""
        return (rule for rules in self._by_name.values() for rule in rules)

    def may_know(self, path: str) -> bool:
        """Tell whether a rule may be about a path: most paths are no rule's."""
        return path.rpartition(".")[2] in self._by_name or path.startswith(("localStorage.", "sessionStorage."))

    def find(self, path: str) -> Iterator[Rule]:
        """Yield the rules about a path."""
        for rule in self._by_name.get(path.rpartition(".")[2], ()):
            if matches(rule.pattern, path):
                yield rule
        for rule in self._by_name.get("*", ()):
            if path.startswith(rule.pattern[:-1]) and path[len(rule.pattern) - 1 :] not in _OF_STORAGE:
                yield rule


_OF_STORAGE: Final = frozenset(
    {name + call for name in ("length", "key", "getItem", "setItem", "removeItem", "clear") for call in ("", "()")}
)
"""Members of Storage that are no keys."""


def matches(pattern: str, path: str) -> bool:
    """Tell whether a path is what a pattern describes: `location.hash` is exact, `*.value` ends so."""
    return path.endswith(pattern[1:]) if pattern.startswith("*.") else path == pattern


@dataclass(frozen=True, slots=True)
class Models:
    """All rules about flows."""

    sources: Index[Source]
    callbacks: Index[Callback]
    handlers: Index[Callback]
    """Callbacks that are assigned."""
    calls: Index[Sink]
    assignments: Index[Sink]
    propagators: Index[Propagator]
    sanitizers: Index[Propagator]
    words: frozenset[str]
    """Every name in a pattern."""

    @classmethod
    def from_json(cls, families: Sequence[Mapping[str, Any]]) -> Models:
        """Make them from checked families of rules."""
        every = [(rule, entry, sort) for family in families for rule in family["rules"] for sort in _SORTS
                 for entry in rule.get(sort, ())]  # fmt: skip

        def of(sort: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
            for rule, entry, found in every:
                if found == sort:
                    for pattern in _listed(
                        entry.get("read") or entry.get("call") or entry.get("assign") or entry.get("at")
                    ):
                        yield rule["id"], entry, pattern

        return cls(
            sources=Index(Source(rule, at, _bits(e.get("gives")), e["from"]) for rule, e, at in of("sources")),
            callbacks=Index(_callback(rule, e, at) for rule, e, at in of("callbacks") if "call" in e),
            handlers=Index(_callback(rule, e, at) for rule, e, at in of("callbacks") if "assign" in e),
            calls=Index(_sink(rule, e, at) for rule, e, at in of("sinks") if "call" in e),
            assignments=Index(_sink(rule, e, at) for rule, e, at in of("sinks") if "assign" in e),
            propagators=Index(_propagator(rule, e, at) for rule, e, at in of("propagators")),
            sanitizers=Index(_sanitizer(rule, e, at) for rule, e, at in of("sanitizers")),
            words=_words(every),
        )


_SORTS: Final = ("sources", "callbacks", "sinks", "propagators", "sanitizers")


_OUR_WORDS: Final = frozenset(
    {"localStorage", "sessionStorage", "document", "cookie", "postMessage", "domain", "replace", "useState", "setState",
     "prototype", "appendChild", "createElement", "createTextNode", "createElementNS", "createDocumentFragment",
     "cloneNode", "defaultProps", "require", "useCallback", "debounce", "throttle", "memoize", "once", "partial",
     "curry", "memo", "forwardRef", "observer", "useMemo", "useReducer", "useRef", "html", "css", "svg", "0", "1",
     "$sceProvider", "$sanitizeProvider", "$compileProvider", "$cookies", "$cookieStore",
     "$templateCache", "$cacheFactory", "Cookies"}
)  # fmt: skip
"""Names that code speaks of instead of rules."""


def _words(rules: Iterable[tuple[Any, Mapping[str, Any], str]]) -> frozenset[str]:
    """Return every name in patterns and in what says which objects a rule is about."""
    texts = (text for _, entry, _ in rules for key in _PLACES for text in _listed(entry.get(key)))
    return _OUR_WORDS | {word for text in texts for word in _WORD.findall(text)}


_PLACES: Final = ("read", "call", "assign", "receivers")
_WORD: Final = re.compile(r"[\w$]+")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _bits(names: Sequence[str] | None) -> int:
    return ALL if names is None else sum(BITS[name] for name in set(names))


def _callback(rule: str, entry: Mapping[str, Any], pattern: str) -> Callback:
    return Callback(
        rule, pattern, _bits(entry.get("gives")), entry["from"], tuple(_listed(entry.get("first"))),
        entry.get("argument", 0), entry.get("parameter", 0), entry.get("field", ""),
    )  # fmt: skip


def _sink(rule: str, entry: Mapping[str, Any], pattern: str) -> Sink:
    return Sink(
        rule, pattern, _bits(entry.get("needs")), entry["kind"], entry.get("audit", ""),
        tuple(entry.get("arguments", ())),
        tuple(_listed(entry.get("names"))), tuple(_listed(entry.get("receivers"))), tuple(_listed(entry.get("tags"))),
        entry.get("field", ""), entry.get("most", 0),
    )  # fmt: skip


def _propagator(rule: str, entry: Mapping[str, Any], pattern: str) -> Propagator:
    inputs = tuple(str(item) for item in _listed(entry.get("inputs", "arguments")))
    return Propagator(rule, pattern, inputs, entry.get("output", "result"), ALL, entry.get("how", "text"))


def _sanitizer(rule: str, entry: Mapping[str, Any], pattern: str) -> Propagator:
    clears = _bits(entry.get("clears"))
    keep = ALL & ~(clears | SCHEME | START if clears & PREFIX else clears)
    return Propagator(
        rule, pattern, tuple(str(i) for i in _listed(entry.get("inputs", "arguments"))), "result", keep, "text"
    )


@cache
def built_in() -> tuple[Mapping[str, Any], ...]:
    """Read our own rules."""
    return tuple(json.loads(BUILT_IN.read_bytes()))


@cache
def built_in_models() -> Models:
    """Return our own rules, indexed."""
    return Models.from_json(built_in())
