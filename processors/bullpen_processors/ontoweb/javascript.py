"""JSON values as JavaScript sees them: OntoWeb-PT's formats were born there, and stored data depends on it. Pure."""

from __future__ import annotations

from typing import Final, TypeGuard

from bullpen_processors.api import Json

WHITESPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What String.prototype.trim removes. Python's str.strip() takes U+001C..U+001F and U+0085 as well, but not U+FEFF."""

_UNESCAPED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
_ENCODED: Final = [chr(byte) if byte in _UNESCAPED else f"%{byte:02X}" for byte in range(256)]

_SAFE_INTEGER: Final = 2**53


def truthy(value: Json) -> bool:
    """Tell whether *value* counts as present: an empty list or object does, an empty string or 0 does not."""
    return bool(value) or isinstance(value, list | dict)


def is_number(value: Json) -> TypeGuard[int | float]:
    """Tell whether *value* was a number in the JSON; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def member(value: Json, name: str) -> Json:
    """Read a property of anything: None where there is no object, or no such property."""
    return value.get(name) if isinstance(value, dict) else None


def items(value: Json) -> list[Json]:
    """Return *value* if it is a list, else an empty one: looser producers send anything."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str:
    """Return what String(value) gives."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return _joined(value) if isinstance(value, list) else "[object Object]"


def _joined(value: list[Json]) -> str:
    """Join a list by commas, lists inside it too; null is nothing in it. No recursion: the depth is the producer's."""
    parts: list[str] = []
    waiting: list[Json] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            for index in range(len(item) - 1, -1, -1):
                waiting += (item[index],) if index == 0 else (item[index], _COMMA)
        elif item is _COMMA:
            parts.append(",")
        elif item is not None:
            parts.append(text(item))
    return "".join(parts)


_COMMA: Final = object()


def number_text(number: float) -> str:
    """Write a number as JavaScript does: 10 for 10.0, 1e+21, 1e-7, 12345678901234567000.

    Source: ECMA-262, Number::toString.
    """
    if isinstance(number, int) and abs(number) < _SAFE_INTEGER:
        return str(number)
    sign, digits, point = _decimal(number)
    if not digits.isdigit():
        return sign + digits
    length = len(digits)
    if length <= point <= 21:
        return sign + digits + "0" * (point - length)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if length > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _decimal(number: float) -> tuple[str, str, int]:
    """Split into sign, shortest digits, and where the point is: 0.DIGITS times ten to that power."""
    try:
        value = float(number)
    except OverflowError:
        return ("-" if number < 0 else ""), "Infinity", 0
    sign = "-" if value < 0 else ""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        return sign, "Infinity" if sign or value > 0 else "NaN", 0
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    zeros = len(whole + fraction) - len(digits)
    stripped = digits.rstrip("0")
    if not stripped:
        return "", "0", 1
    return sign, stripped, len(whole) - zeros + int(exponent or 0)


def trim(value: str) -> str:
    """Return what String.prototype.trim gives."""
    return value.strip(WHITESPACE)


def well_formed(value: str) -> str:
    """Replace each half of a surrogate pair by U+FFFD: no encoding carries it, and no store accepts it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def encode_component(value: str) -> str:
    """Return what encodeURIComponent gives; half a surrogate pair, where that raises, is replaced."""
    return "".join([_ENCODED[byte] for byte in well_formed(value).encode()])
