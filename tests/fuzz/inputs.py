"""Inputs of sast-analyze that nobody would write. Equal random numbers make equal inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from bullpen_processors.sast.models import BUILT_IN, built_in

Input = dict[str, Any]
"""`page`: a payload; or `rules`: the text of a file of rules."""

CORPUS: Final = Path(__file__).parent / "corpus"
SCRIPTS: Final[Sequence[str]] = [
    rule[name] for family in built_in() for rule in family["rules"] for name in ("bad", "good")
]
RULES: Final[Sequence[str]] = [path.read_text("utf-8") for path in sorted(BUILT_IN.parent.glob("*.yaml"))]
PAGES: Final[Sequence[str]] = [
    '<base href="//a.test/"><a href="javascript:f(location.hash)" target=_blank onclick="eval(name)">x</a>',
    '<form method=get action="http://b.test/"><input name=q></form><iframe srcdoc="&lt;script>eval(name)&lt;/script>">',
    "<!-- <a onclick='f()'> --><svg><script>e.innerHTML = location.hash</script></svg><math><mi><table><td>",
    '<script src="//cdn.test/a.js" integrity="x"></script><template><script>eval(name)</script></template>',
    '<body style="width: expression(a)" onload=f()><p title="redirect=http://a.test/">&amp;&#x6a;&notin;<plaintext>',
]
_WORDS: Final[Sequence[str]] = json.loads((Path(__file__).parent / "words.json").read_text("utf-8"))
_ODD: Final = "\x00\t\r\n\x0b\u2028\ufeff\ud83d\udc00\U0001f600éa0'\"<>&%\\\x7f"


def seeds() -> list[Input]:
    """Return what is kept in the corpus."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(CORPUS.glob("*.json"))]


def made(random: Random, kept: Sequence[Input]) -> Input:
    """Make an input: most are pages, some are rules, and some grow out of what is kept."""
    if kept and random.random() < 0.15:
        return _changed_input(random, random.choice(kept))
    if random.random() < 0.15:
        return {"rules": _changed(random, random.choice(RULES))}
    return {"page": _page(random)}


def _changed_input(random: Random, given: Input) -> Input:
    if "rules" in given:
        return {"rules": _changed(random, given["rules"])}
    return {"page": _changed_json(random, given["page"])}


def _changed_json(random: Random, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _changed_json(random, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed_json(random, inner) for inner in value]
    if isinstance(value, str) and random.random() < 0.5:
        return _changed(random, value)
    return _loose(random) if random.random() < 0.05 else value


def _page(random: Random) -> Any:
    fields = {
        "url": random.choice(["https://shop.example/p", "", "//[", "javascript:x", "http://a@b:99999/"]),
        "html": _text(random, PAGES),
        "scripts": [_script(random) for _ in range(random.randrange(4))],
        "forms": [{"action": _text(random, PAGES)[:50], "inputs": [_loose(random)]}] if random.random() < 0.3 else [],
        "iframes": [{"src": _loose(random)}] if random.random() < 0.2 else [],
        "includeSnippets": random.random() < 0.5,
    }
    if random.random() < 0.2:
        fields[random.choice(list(fields))] = _loose(random)
    return fields


def _script(random: Random) -> Any:
    script = {"code": _text(random, SCRIPTS)}
    if random.random() < 0.3:
        script["src"] = random.choice(
            ["/a.ts", "b.tsx", "//x/y.js", "data:,eval(name)", "data:;base64,%%%", "[", _odd(random)]
        )
    if random.random() < 0.2:
        script["type"] = random.choice(["module", "text/typescript", "application/json", "jsx", _odd(random)])
    return script


def _loose(random: Random) -> Any:
    return random.choice([None, 5, -1.5, True, [], {}, [[]], {"a": 1}, "", [None], _odd(random)])


def _odd(random: Random) -> str:
    return "".join(random.choice(_ODD) for _ in range(random.randrange(6)))


def _text(random: Random, sources: Sequence[str]) -> str:
    """Put two or three sources together, or none, and change the whole."""
    return _changed(random, "\n".join(random.choice(sources) for _ in range(random.randrange(4))))


def _changed(random: Random, text: str) -> str:
    for _ in range(random.choice([0, 1, 1, 2, 3, 8, 20])):
        text = random.choice(_CHANGES)(random, text)[:_LARGEST]
    return text


_LARGEST: Final = 16_000
"""Characters: recovery from errors takes memory that may grow with the square of a script (docs/sast.md)."""


def _spot(random: Random, text: str) -> int:
    return random.randrange(len(text) + 1)


def _insert(random: Random, text: str) -> str:
    at = _spot(random, text)
    return text[:at] + random.choice(_WORDS) + text[at:]


def _insert_odd(random: Random, text: str) -> str:
    at = _spot(random, text)
    return text[:at] + _odd(random) + text[at:]


def _cut(random: Random, text: str) -> str:
    at = _spot(random, text)
    return text[:at] + text[at + random.randrange(1, 30) :]


def _double(random: Random, text: str) -> str:
    """Repeat a piece: what nests, nests deep."""
    at = _spot(random, text)
    piece = text[at : at + random.randrange(1, 40)] or random.choice(_WORDS)
    return text[:at] + piece * random.choice([2, 3, 50, 2000]) + text[at:]


def _deep(random: Random, text: str) -> str:
    at = _spot(random, text)
    return text[:at] + random.choice(_WORDS) * random.choice([10, 300, 5000]) + text[at:]


def _swap(random: Random, text: str) -> str:
    at, to = sorted((_spot(random, text), _spot(random, text)))
    return text[to:] + text[at:to] + text[:at]


def _splice(random: Random, text: str) -> str:
    at, other = _spot(random, text), random.choice(SCRIPTS)
    return text[:at] + other[_spot(random, other) :] + text[at:]


_CHANGES: Final[Sequence[Callable[[Random, str], str]]] = (
    _insert, _insert, _insert, _insert_odd, _cut, _cut, _double, _deep, _swap, _splice, _splice,
)  # fmt: skip
