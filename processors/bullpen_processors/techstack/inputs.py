"""The payload, read as loosely as the original reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bullpen_processors.api import Json, UnusableInputError
from bullpen_processors.ontoweb.javascript import member, text, trim, truthy
from bullpen_processors.techstack.matching import Asked
from bullpen_processors.techstack.products import product_of

_NULL: Final = "Cannot read properties of null (reading '{}')"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a site was seen to have."""

    technologies: tuple[Asked, ...]
    waf: tuple[Asked, ...]
    headers: tuple[Json, ...]
    cookies: tuple[Json, ...]
    main_domain: Json

    @classmethod
    def of(cls, given: Json) -> Payload:
        """Read it; raises UnusableInputError, in JavaScript's own words where the original failed with them."""
        technologies = member(given, "technologies")
        if not isinstance(technologies, list):
            raise UnusableInputError("Invalid technologies payload")
        return cls(
            technologies=tuple(_asked(technologies, is_waf=False)),
            waf=tuple(_asked(_iterable(given, "waf", "wafList"), is_waf=True)),
            headers=tuple(_objects(_iterable(given, "secureHeaders", "secureHeaders"), "header")),
            cookies=tuple(_objects(_iterable(given, "cookies", "cookies"), "secure")),
            main_domain=member(given, "mainDomain"),
        )

    @property
    def site(self) -> str:
        """The main domain as text; empty where there is none."""
        return text(self.main_domain) if truthy(self.main_domain) else ""


def _iterable(given: Any, name: str, called: str) -> list[Json]:
    """Return a list that may be missing; text is a list of characters, which have no properties."""
    value = given.get(name, [])
    if value is None:
        raise UnusableInputError(_NULL.format("length"))
    if not isinstance(value, list | str):
        raise UnusableInputError(f"{called} is not iterable")
    return list(value)


def _objects(entries: list[Json], first: str) -> Iterator[Json]:
    for entry in entries:
        if entry is None:
            raise UnusableInputError(_NULL.format(first))
        yield entry


def _asked(entries: list[Json], *, is_waf: bool) -> Iterator[Asked]:
    """Yield those that have a name."""
    for entry in _objects(entries, "name"):
        name, version = (_said(member(entry, key)) for key in ("name", "version"))
        if name:
            yield Asked(name, version or None, product_of(name), is_waf)


def _said(value: Json) -> str:
    return "" if value is None else trim(text(value))
