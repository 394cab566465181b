"""Whether a record of NVD is about a product in a version, and if not, why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bullpen_processors.techstack.cpe import Criterion
from bullpen_processors.techstack.products import Product, plain
from bullpen_processors.techstack.reasons import Reason
from bullpen_processors.techstack.records import Record
from bullpen_processors.techstack.versions import Version

HIGH: Final = "high"
"""NVD names the product and this version."""
LOW: Final = "low"
"""Found by words, of a version that is not known exactly, or of a package that its distribution may have mended."""

_LEAST: Final = 4
"""Letters by which a name is recognised in another."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A technology or firewall as it was detected."""

    name: str
    version: str | None
    product: Product | None
    is_waf: bool = False

    @property
    def parsed(self) -> Version | None:
        """Its version, where it has one that can be compared."""
        return None if self.version is None else Version.of(self.version)


@dataclass(frozen=True, slots=True)
class Match:
    """A record that is about it."""

    record: Record
    confidence: str
    criteria: tuple[Criterion, ...] = ()
    """What of the record is about it; empty where only its words are."""


@dataclass(frozen=True, slots=True)
class NoMatch:
    """A record that is not."""

    record: Record
    reason: Reason
    because: str


def judge(asked: Asked, record: Record, *, by_words: bool) -> Match | NoMatch:
    """Judge one record; *by_words*: a search for words brought it."""
    if record.rejected:
        return NoMatch(record, Reason.REJECTED, "the record was rejected")
    own = [one for one in record.criteria if _is_listed(asked, one)]
    sure = bool(own)
    if by_words and not own:
        own = [one for one in record.criteria if _looks_like(asked, plain(one.cpe.vendor), plain(one.cpe.product))]
    vulnerable = [one for one in own if one.vulnerable]
    if vulnerable:
        return _by_version(asked, record, vulnerable, sure=sure)
    if own:
        return NoMatch(record, Reason.PRODUCT, "it only runs on this")
    if record.criteria or not by_words:
        return NoMatch(record, Reason.PRODUCT, "the record names other products")
    return _by_text(asked, record)


def _by_version(asked: Asked, record: Record, named: Sequence[Criterion], *, sure: bool) -> Match | NoMatch:
    version = asked.parsed
    if version is None:
        if asked.version is None:
            return Match(record, LOW, tuple(named))
        return NoMatch(record, Reason.VERSION, f"{asked.version[:40]!r} is no version")
    hit = tuple(one for one in named if one.has(version))
    if hit:
        return Match(record, HIGH if sure and not version.packaged else LOW, hit)
    close = tuple(one for one in named if one.may_have(version))
    if close and not sure:
        return Match(record, LOW, close)
    return NoMatch(record, Reason.VERSION, f"it names {', '.join(map(str, named[:3]))}")


def _by_text(asked: Asked, record: Record) -> Match | NoMatch:
    """Judge a record that nobody has analysed yet by its words: it has to name the product and the version."""
    text = record.text.casefold()
    named = asked.name.casefold() in text
    if named and (asked.version is None or _has_word(text, asked.version.casefold())):
        return Match(record, LOW)
    return NoMatch(record, Reason.VERSION if named else Reason.PRODUCT, "its words do not name it")


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w]|\.\d)", text) is not None


def _is_listed(asked: Asked, criterion: Criterion) -> bool:
    """Tell whether a CPE is of the product that the table has."""
    pairs = asked.product.pairs if asked.product is not None else ()
    return any((criterion.cpe.vendor, criterion.cpe.product) == _unescaped(pair) for pair in pairs)


def _unescaped(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[0].replace("\\", ""), pair[1].replace("\\", "")


def _looks_like(asked: Asked, vendor: str, product: str) -> bool:
    """Tell whether a CPE may be of a product that the table does not have."""
    name = plain(asked.name)
    if name in (product, vendor + product) or (len(product) >= _LEAST and product in name):
        return True
    return asked.is_waf and name == vendor and ("waf" in product or "firewall" in product)


def worst_first(matches: Iterable[Match]) -> list[Match]:
    """Sort by severity, so that a cut takes the least."""
    return sorted(matches, key=lambda match: match.record.order)
