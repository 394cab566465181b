"""Records of NVD, cut down to what is judged. Pure.

Source: schema of NVD's CVE API 2.0 (cve_api_json_2.0): `metrics`, `configurations`, `vulnStatus`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bullpen_processors.api import Json
from bullpen_processors.ontoweb.findings import SEVERITIES
from bullpen_processors.ontoweb.javascript import is_number, items, member
from bullpen_processors.techstack.cpe import Criterion, criteria

METRICS: Final = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
"""Newest first: the first that a record has counts."""
_ID: Final = re.compile(r"CVE-\d{4}-\d{1,19}", re.ASCII | re.IGNORECASE)
_ORDER: Final = {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 2, "LOW": 3, "INFO": 4, "UNKNOWN": 5}
TEXT_LIMIT: Final = 4_000
"""Characters of a description that are kept; NVD's own limit is 4,096."""


@dataclass(frozen=True, slots=True)
class Record:
    """One CVE."""

    id: str
    severity: str = "UNKNOWN"
    score: float | None = None
    rejected: bool = False
    text: str = ""
    """Its English description."""
    criteria: tuple[Criterion, ...] = ()

    @property
    def order(self) -> tuple[int, float, str]:
        """Sort by this: the worst first, then by score, then by id."""
        return _ORDER[self.severity], -(self.score or 0.0), self.id

    @property
    def cve_id(self) -> str | None:
        """The id where it has the form of one."""
        return self.id.upper() if _ID.fullmatch(self.id) else None


def trimmed(item: Json) -> Json | None:
    """Cut an entry of `vulnerabilities` down to what a Record is made of; None for one without an id."""
    cve = member(item, "cve")
    if not isinstance(member(cve, "id"), str) or not cve["id"]:
        return None
    kept = {name: cve[name] for name in ("id", "vulnStatus", "configurations") if cve.get(name)}
    metrics = member(cve, "metrics")
    blocks = {name: metrics[name] for name in METRICS if items(member(metrics, name))}
    description = next((d for d in items(member(cve, "descriptions")) if member(d, "lang") == "en"), None)
    value = member(description, "value")
    return kept | {"metrics": blocks, "text": value[:TEXT_LIMIT] if isinstance(value, str) else ""}


def records(kept: Json) -> Iterator[Record]:
    """Make records of trimmed entries."""
    for cve in items(kept):
        severity, score = _rating(member(cve, "metrics"))
        text = member(cve, "text") or ""
        yield Record(
            id=cve["id"],
            severity=severity,
            score=score,
            rejected=member(cve, "vulnStatus") == "Rejected" or text.startswith(("** REJECT **", "Rejected reason:")),
            text=text,
            criteria=tuple(criteria(member(cve, "configurations"))),
        )


def _rating(metrics: Json) -> tuple[str, float | None]:
    """Return severity and score of the newest CVSS; NVD's own rating goes before those of others."""
    for name in METRICS:
        blocks = items(member(metrics, name))
        block = next((one for one in blocks if member(one, "type") == "Primary"), blocks[0] if blocks else None)
        if block is not None:
            data = member(block, "cvssData")
            # version 2 keeps its severity beside the data, the others in it
            severity = member(data, "baseSeverity") or member(block, "baseSeverity")
            return _severity(severity), _score(member(data, "baseScore"))
    return "UNKNOWN", None


def _severity(value: Json) -> str:
    severity = value.upper() if isinstance(value, str) else ""
    if severity == "NONE":  # CVSS 3 and 4: a score of 0
        return "INFO"
    return severity if severity in SEVERITIES else "UNKNOWN"


def _score(value: Json) -> float | None:
    """Read a score of 0 to 10; 0 is one."""
    return value if is_number(value) and 0 <= value <= 10 else None
