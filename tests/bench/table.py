"""A table of measures: each beside its target and what was measured."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    measure: str
    target: str
    measured: str
    met: bool


def timed(measure: str, times: Sequence[float], p50_ms: float | None, p99_ms: float | None) -> Row:
    """Give p50 and p99 of milliseconds, beside what they should be."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    targets = [f"{name} <= {ms:g} ms" for name, ms in (("p50", p50_ms), ("p99", p99_ms)) if ms is not None]
    met = (p50_ms is None or cuts[49] <= p50_ms) and (p99_ms is None or cuts[98] <= p99_ms)
    measured = f"p50 {cuts[49]:.0f}, p99 {cuts[98]:.0f} ms of {len(times)}"
    return Row(measure, ", ".join(targets) or "-", measured, met)


def told(row: Row, load: str) -> str:
    """Render a line."""
    return f"{row.measure:56} | {row.target:26} | {row.measured}{'' if row.met else '   MISSED'} | {load}"


def load() -> str:
    """Say how busy this host has been over a minute: others may share it."""
    return f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"


HEADER: Final = told(Row("measure", "target", "measured", met=True), "load")
