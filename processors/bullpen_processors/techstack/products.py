"""Which CPE a technology has: a table that is data (products.toml), beside this module."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("products.toml")
_WORDS: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Product:
    """A product as NVD names it."""

    pairs: tuple[tuple[str, str], ...]
    """Vendor and product; the first is asked for, the others are older or parallel names of the same."""
    part: str = "a"

    @property
    def match_string(self) -> str:
        """`virtualMatchString` of NVD's API: every version of the product."""
        vendor, product = self.pairs[0]
        return f"cpe:2.3:{self.part}:{vendor}:{product}:*:*:*:*:*:*:*:*"


def product_of(name: str) -> Product | None:
    """Look a technology up, however it is written: `Apache HTTP Server`, `apache-http-server`."""
    return _table().get(plain(name))


def plain(name: str) -> str:
    """Return a name without case, blanks and signs; `C#` and `C++` stay what they are."""
    signs = name.replace("#", "sharp").replace("++", "plusplus")
    return "".join(_WORDS.findall(signs)).casefold()


@cache
def _table() -> dict[str, Product]:
    found = {}
    for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["product"]:
        pairs = tuple((vendor, product) for vendor, _, product in (pair.partition(":") for pair in row["cpe"]))
        for name in row["names"]:
            found[plain(name)] = Product(pairs, row.get("part", "a"))
    return found
