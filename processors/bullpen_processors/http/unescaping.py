r"""The ways in which one text may be read: a payload that is escaped twice is the same payload. Pure, and linear.

Percent, %uXXXX, HTML entities, \xXX and \uXXXX, overlong UTF-8, and control characters that browsers skip are undone.
"""

from __future__ import annotations

import re
from typing import Final

ROUNDS: Final = 3
"""How often a text is unescaped: a server behind a proxy behind a gateway undoes no more."""

_PERCENT: Final = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_OTHER: Final = re.compile(
    r"%u([0-9a-fA-F]{4})|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})"
    r"|&#x0{0,8}([0-9a-f]{1,6});?|&#0{0,8}([0-9]{1,7});?|&([a-z]{2,8});?",
    re.IGNORECASE | re.ASCII,
)
# Overlong forms of . / and \, which careless decoders accept, and full-width ones, which careless folding does
_OVERLONG: Final = {b"\xc0\xae": b".", b"\xc0\xaf": b"/", b"\xc0\x2f": b"/", b"\xc1\x9c": b"\\", b"\xc0\x5c": b"\\"}
_FOLDED: Final = str.maketrans({"\uff0e": ".", "\uff0f": "/", "\uff3c": "\\", "\u2215": "/", "\u2216": "\\"})
_NAMED: Final = {
    "lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'", "colon": ":", "tab": "\t", "newline": "\n",
    "lpar": "(", "rpar": ")", "sol": "/", "bsol": "\\", "equals": "=", "grave": "`", "period": ".", "semi": ";",
    "comma": ",", "num": "#", "nbsp": "\u00a0", "plus": "+", "excl": "!",
}  # fmt: skip
_SKIPPED: Final = re.compile(r"[\x00\t\n\r]+")


def readings(text: str) -> tuple[str, ...]:
    """Return *text*, then what it says when it is unescaped once, twice, ..., then without skipped characters."""
    found = [text]
    for _ in range(ROUNDS):
        plain = unescaped(found[-1])
        if plain == found[-1]:
            break
        found.append(plain)
    squeezed = _SKIPPED.sub("", found[-1])
    return (*found, squeezed) if squeezed != found[-1] else tuple(found)


def unescaped(text: str) -> str:
    """Undo one layer of escapes."""
    if "%" in text:
        text = _PERCENT.sub(_from_percent, text)
    if "&" in text or "\\" in text or "%" in text:
        text = _OTHER.sub(_from_other, text)
    return text.translate(_FOLDED) if not text.isascii() else text


def form_decoded(text: str) -> str:
    """Read + as a blank, as forms do."""
    return text.replace("+", " ")


def _from_percent(escapes: re.Match[str]) -> str:
    data = bytes.fromhex(escapes[0].replace("%", ""))
    for overlong, plain in _OVERLONG.items():
        data = data.replace(overlong, plain)
    return data.decode("utf-8", "replace")


def _from_other(escape: re.Match[str]) -> str:
    *hexadecimal, decimal, name = escape.groups()
    if name is not None:
        return _NAMED.get(name.lower(), escape[0])
    digits = next((digits for digits in hexadecimal if digits), None)
    code = int(digits, 16) if digits else int(decimal)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
