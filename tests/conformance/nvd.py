"""NVD as the recorded jobs met it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from conformance.cases import Case, nvd_items
from fakes.nvd import FakeNvd, Trouble

_LONGEST = 12
"""Requests that a fault lasts at most: more than anybody asks."""


def troubles(case: Case) -> list[Trouble]:
    """Return what each of the first requests meets."""
    return [
        Trouble(0 if fault.status is None else fault.status, fault.body.encode(), delay_s=fault.delay_s)
        for fault in case.nvd
        for _ in range(min(fault.times, _LONGEST))
    ]


@contextmanager
def served(cases: Mapping[str, Case], prefixes: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Serve an NVD for each prefix, which those of its cases fail that say so; yields prefix -> URL."""
    by_prefix: dict[str, list[Trouble]] = {}
    for case, prefix in zip(cases.values(), prefixes, strict=True):
        by_prefix.setdefault(prefix, []).extend(troubles(case))
    items = nvd_items()
    with ExitStack() as stack:
        fakes = {
            prefix: stack.enter_context(FakeNvd(items, troubles=met).served()) for prefix, met in by_prefix.items()
        }
        yield {prefix: nvd.url for prefix, nvd in fakes.items()}
        assert {prefix: nvd.refused for prefix, nvd in fakes.items() if nvd.refused} == {}
