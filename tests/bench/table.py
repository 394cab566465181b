"""A table of measures: each beside its target and what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


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


def table(rows: Sequence[Row]) -> None:
    """Print what was measured beside what it should be."""
    for row in (Row("measure", "target", "measured", met=True), *rows):
        print(f"{row.measure:56} | {row.target:26} | {row.measured}{'' if row.met else '   MISSED'}")


@contextmanager
def shown(rows: Sequence[Row]) -> Iterator[None]:
    """Print the table at the end, also when a part broke off."""
    try:
        yield
    finally:
        table(rows)
