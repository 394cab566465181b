"""CPE 2.3 names and what a record of NVD says about them. Pure.

Source: NISTIR 7695, 6.2 (formatted strings); NVD's CVE API 2.0, `configurations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.javascript import items, member
from bullpen_processors.techstack.versions import Version

_FIELD: Final = re.compile(r"(?:\\.|[^:\\])*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NOTHING: Final = frozenset({"*", "-", ""})
_BOUNDS: Final = {
    "versionStartIncluding": ">=", "versionStartExcluding": ">",
    "versionEndIncluding": "<=", "versionEndExcluding": "<",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cpe:
    """The fields of a name that are looked at, unescaped and in lower case."""

    part: str
    vendor: str
    product: str
    version: str
    update: str

    @classmethod
    def of(cls, text: str) -> Cpe | None:
        """Take a formatted string apart; None for anything else."""
        if not text.startswith("cpe:2.3:"):
            return None
        fields = [_ESCAPE.sub(r"\1", field).lower() for field in _split(text[8:])]
        return cls(*(fields + ["*"] * 5)[:5])


def _split(text: str) -> list[str]:
    fields: list[str] = []
    at = 0
    while at <= len(text) and len(fields) < 11:
        found = _FIELD.match(text, at)
        assert found is not None
        fields.append(found[0])
        at = found.end() + 1
    return fields


@dataclass(frozen=True, slots=True)
class Criterion:
    """One `cpeMatch`: a name, perhaps a range of versions, and whether it is what is vulnerable or what it runs on."""

    text: str
    """`criteria` as it came."""
    cpe: Cpe
    bounds: tuple[tuple[str, str], ...] = ()
    """Sign and version: (">=", "7.4.0")."""
    vulnerable: bool = True

    @classmethod
    def of(cls, match: Json) -> Criterion | None:
        """Read one; None where it has no name that can be read."""
        text = member(match, "criteria")
        cpe = Cpe.of(text) if isinstance(text, str) else None
        if cpe is None:
            return None
        bounds = [(sign, member(match, name)) for name, sign in _BOUNDS.items()]
        given = tuple((sign, version) for sign, version in bounds if isinstance(version, str) and version)
        return cls(text, cpe, given, member(match, "vulnerable") is not False)

    def __str__(self) -> str:
        """Say it with its range, for people."""
        return " ".join([self.text, *(f"{sign} {version}" for sign, version in self.bounds)])

    @property
    def head(self) -> str:
        """The name up to its product, as it came."""
        return ":".join(["cpe:2.3", *_split(self.text[8:])[:3]])

    @property
    def names_one(self) -> bool:
        """Whether it names one version, and not all or a range of them."""
        return self.cpe.version not in _NOTHING

    def has(self, version: Version) -> bool:
        """Tell whether *version* is among those that it names."""
        if self.names_one:
            return self._is(version)
        if self.cpe.version == "-":
            return False  # "no version": the product has none, or nobody said
        return all(_within(version, sign, bound) for sign, bound in self.bounds)

    def may_have(self, version: Version) -> bool:
        """Tell whether it names one version that *version* is the beginning of."""
        exact = Version.of(self.cpe.version) if self.names_one else None
        return exact is not None and version.begins(exact)

    def _is(self, version: Version) -> bool:
        exact = Version.of(self.cpe.version)
        if exact is None:
            return False
        if self.cpe.update in _NOTHING:
            return version.compare(exact) == 0
        updated = Version.of(f"{self.cpe.version}-{self.cpe.update}")
        if updated is None or updated.is_prerelease:
            return updated is not None and version.compare(updated) == 0
        return 0 in (version.compare(updated), version.compare(exact))


def _within(version: Version, sign: str, bound: str) -> bool:
    limit = Version.of(bound)
    if limit is None:
        return False
    order = version.compare(limit)
    return {">=": order >= 0, ">": order > 0, "<=": order <= 0, "<": order < 0}[sign]


def criteria(configurations: Json) -> Iterator[Criterion]:
    """Yield what all nodes of a record name, nested ones too.

    Whether a site has the platform that an AND asks for can't be seen from outside; it is taken to have it.
    """
    waiting = list(items(configurations))[::-1]
    while waiting:
        node = waiting.pop()
        for match in items(member(node, "cpeMatch")):
            criterion = Criterion.of(match)
            if criterion is not None and member(node, "negate") is not True:
                yield criterion
        waiting += [*items(member(node, "nodes")), *items(member(node, "children"))][::-1]
