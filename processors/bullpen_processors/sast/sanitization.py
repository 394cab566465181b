"""Home-made sanitizers that miss something: replacements that stop after the first, escapes that forget the backslash,
lists of dangerous schemes that are too short.

The classes follow CodeQL's queries js/incomplete-sanitization, js/incomplete-multi-character-sanitization,
js/incomplete-html-attribute-sanitization and js/incomplete-url-scheme-check, as their documentation describes them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import tree_sitter

from bullpen_processors.sast.flows import Flows
from bullpen_processors.sast.graph import Node
from bullpen_processors.sast.scopes import Call
from bullpen_processors.sast.spots import HARMLESS, Spot
from bullpen_processors.sast.units import Unit

SCHEMES: Final = ("javascript", "data", "vbscript")
_SCHEME: Final = re.compile(r"\b(javascript|data|vbscript)\b", re.IGNORECASE)
_SCHEME_TEXT: Final = re.compile(r"^(javascript|data|vbscript):?$", re.IGNORECASE)
_META: Final = re.compile(r"(?:[^\w\s@#]|%[0-9a-fA-F]{2}){1,4}|/\.\./|\.\./")
_DANGEROUS: Final = re.compile(
    r"<\W{0,12}(?:!--|s?cript|iframe|object|embed|style|svg|img|\w|\.\*)|<!--|<\.\*cript|\bon\\w|on\[|<\(script|<\[|-->"
)
_BACKSLASH_DONE: Final = re.compile(r"replace(?:All)?\(\s*(?:/\[?\\\\\]?/|['\"]\\\\['\"])|JSON\.stringify\(")
_ATTRIBUTE: Final = re.compile(r"([\w-]*)\s*=\s*([\"'])(?:[^\"'<>]*(?:\\[\"'])?[^\"'<>]*)$|([\w-]+)=([\"'])[^>]*$")


class Sanitization:
    """Judges calls of `replace` and checks for schemes."""

    def __init__(self, flows: Flows, units: list[Unit]) -> None:
        self.page = flows.page
        self.units = units
        self._chained: dict[Node, Call] = {call.receiver: call for call in self.page.calls if call.name == "replace"}

    def spots(self) -> Iterator[Spot]:
        """Yield every spot."""
        for call in self.page.calls:
            if call.name == "replace" and call.syntax.type == "call_expression" and len(call.arguments) > 1:
                yield from self._replacement(call)
        yield from self._attributes()
        yield from self._schemes()

    def pattern(self, call: Call, index: int = 0) -> tuple[str, str] | None:
        """Return the pattern of an argument and its flags: a string is a pattern of itself that matches once."""
        text = call.texts[index] if index < len(call.texts) else None
        if text is not None:
            return re.escape(text), ""
        return self._regex(call.arguments[index]) if index < len(call.arguments) else None

    def _regex(self, value: Node) -> tuple[str, str] | None:
        variable = self.page.reads.get(value)
        if variable is not None and len(variable.values) == 1:
            value = variable.values[0]
        literal = self.page.regexes.get(value)
        if literal is not None:
            body, _, flags = literal[1:].rpartition("/")
            return body, flags
        made = self.page.results.get(value)
        if made is not None and made.path == "RegExp" and made.texts and made.texts[0] is not None:
            given = made.texts[1] if len(made.texts) > 1 else ""
            return made.texts[0], "g?" if given is None else given
        return None

    def _replacement(self, call: Call) -> Iterator[Spot]:
        found = self.pattern(call)
        if found is None:
            return
        body, flags = found
        replacement = call.texts[1]
        plain = call.texts[0]
        reason = ""
        if "g" not in flags:
            if not self._is_meta(body, plain) or replacement is None:
                return
            if call.in_loop or self._repeated(call, body):
                reason = HARMLESS
        elif replacement and "\\" in replacement and _quotes_only(body) and flags != "g?":
            if self._backslash_before(call):
                reason = HARMLESS
        elif replacement == "" and plain is None and _DANGEROUS.search(body) and not _single(body):
            pass
        else:
            return
        yield self._spot("incomplete-sanitization", call.unit, call.syntax, reason)

    def _is_meta(self, body: str, plain: str | None) -> bool:
        if plain is not None:
            return _META.fullmatch(plain) is not None
        if body.startswith("^") or (body.endswith("$") and not body.endswith("\\$")):
            return False
        text = re.sub(r"\\(.)", r"\1", body)
        if _DANGEROUS.search(body) and not _single(body):
            return True
        if "(" in text and _SCHEME.search(text):
            return False
        inner = text[1:-1] if text.startswith("[") and text.endswith("]") and not text.startswith("[^") else text
        return (
            _META.fullmatch(inner.replace("(", "").replace(")", "").replace("|", "")[:4] or "a") is not None
            and len(inner) <= 8
        )

    def _repeated(self, call: Call, body: str) -> bool:
        """Tell whether the same replacement comes twice in a chain: both quotes around a text are removed so."""
        before = self.page.results.get(call.receiver)
        if before is not None and before.name == "replace" and self.pattern(before) == (body, ""):
            return True
        after = self._chained.get(call.result)
        return after is not None and self.pattern(after) == (body, "")

    def _backslash_before(self, call: Call) -> bool:
        tree = self.units[call.unit].tree
        function = call.function.syntax
        start = function.start_byte if function is not None else 0
        text = tree.source[max(start, call.syntax.end_byte - 4000) : call.syntax.end_byte].decode("utf-8", "replace")
        return _BACKSLASH_DONE.search(text) is not None

    def _attributes(self) -> Iterator[Spot]:
        """`'a="' + x.replace(/[<>]/g, "")`: the quote that ends the attribute is let through."""
        for value, parts in self.page.sums.items():
            unit, operands = parts
            tree = self.units[unit].tree
            head = ""
            for operand, node in operands:
                if not node:
                    text = tree.source[operand.start_byte + 1 : operand.end_byte - 1][-200:].decode("utf-8", "replace")
                    head += text.replace("\\'", "'").replace('\\"', '"')
                    continue
                open_ = _open_attribute(head)
                if open_ is not None:
                    removed = self._removed(node)
                    if removed is not None and "<" in removed and not _enough(removed, *open_):
                        yield self._spot("incomplete-sanitization", unit, operand, "")
                head += "x"
            _ = value

    def _removed(self, value: Node) -> set[str] | None:
        """Return the characters that a chain of replacements removes; None if there is no such chain."""
        removed: set[str] = set()
        known = False
        for _ in range(20):
            variable = self.page.reads.get(value)
            if variable is not None and len(variable.values) == 1:
                value = variable.values[0]
            call = self.page.results.get(value)
            if call is None:
                break
            if call.name == "replace":
                found = self.pattern(call)
                if found is None:
                    return None
                if "g" in found[1]:
                    known = True
                    removed |= _characters(found[0])
            elif call.name in ("encodeURIComponent", "escape"):
                return None
            value = call.receiver
        return removed if known else None

    def _schemes(self) -> Iterator[Spot]:
        """Collect per function what its checks for schemes name, and report those that miss some."""
        found: dict[int, list[tuple[int, tree_sitter.Node, set[str]]]] = defaultdict(list)
        for call in self.page.calls:
            named = self._named_by(call)
            if named:
                found[id(call.function)].append((call.unit, call.syntax, named))
        for unit, syntax, text, function in self.page.scheme_texts:
            found[id(function)].append((unit, syntax, {text}))
        for checks in found.values():
            every = set().union(*(names for _, _, names in checks))
            if "javascript" in every and len(every) < len(SCHEMES):
                yield self._spot("url-scheme-check", checks[0][0], checks[0][1], "")

    def _named_by(self, call: Call) -> set[str]:
        if call.name in ("startsWith", "indexOf", "includes") and call.texts and call.texts[0]:
            match = _SCHEME_TEXT.match(call.texts[0].strip())
            return {match[1].lower()} if match else set()
        if call.name in ("includes", "indexOf", "has"):
            return self._listed(call.receiver)
        if call.name in ("test", "exec"):
            found = self._regex(call.receiver)
        elif call.name in ("match", "replace", "search"):
            found = self._regex(call.arguments[0]) if call.arguments else None
        else:
            return set()
        if found is None or not re.search(r"javascript\b|javascript", found[0]) or "<" in found[0]:
            return set()
        return {match.lower() for match in _SCHEME.findall(found[0].replace("\\s*", ""))}

    def _listed(self, value: Node) -> set[str]:
        variable = self.page.reads.get(value)
        for node in variable.values if variable is not None else (value,):
            texts = self.page.lists.get(node)
            if texts and len(texts) < 40:
                return {match[1].lower() for match in map(_SCHEME_TEXT.match, texts) if match}
        return set()

    def _spot(self, rule: str, unit: int, syntax: tree_sitter.Node, reason: str) -> Spot:
        at = syntax.start_byte
        if syntax.type == "call_expression":
            callee = syntax.named_children[0]
            at = callee.named_children[-1].start_byte if callee.named_children else at
        return Spot(rule, unit, syntax.start_byte, syntax.end_byte, "CallExpression", at, reason, "medium")


def _quotes_only(body: str) -> bool:
    text = re.sub(r"\\(.)", r"\1", body)
    return bool(text) and all(char in "'\"`[]()|" for char in text)


def _single(body: str) -> bool:
    """Tell whether a pattern matches one character at a time."""
    return re.fullmatch(r"\[(?:[^\]\\]|\\.)*\]|\\?.|(?:\\?.\|)+\\?.", body) is not None


def _characters(body: str) -> set[str]:
    """Return which of the characters that matter in markup a pattern matches, one at a time."""
    if not (_single(body) or re.fullmatch(r"\(?(?:\[(?:[^\]\\]|\\.)*\])\)?\+?", body)):
        return set()
    try:
        pattern = re.compile(body.rstrip("+"))
    except re.error:
        return set()
    return {char for char in "<>\"'&" if pattern.fullmatch(char)}


def _open_attribute(head: str) -> tuple[str, str] | None:
    """Return name and quote of the attribute that a text of markup ends in."""
    tail = head[-200:]
    match = re.search(r"([\w-]*)=([\"'])([^\"'<>]*|[^\"<>]*'[^\"<>]*)$", tail)
    return (match[1], match[2]) if match else None


def _enough(removed: set[str], name: str, quote: str) -> bool:
    if name.lower().startswith("on"):
        return quote in removed and "&" in removed if quote == '"' else quote in removed
    return quote in removed
