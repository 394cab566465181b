"""Fuzz sast-analyze: pages, scripts and rules that nobody would write, until the time is over.

make fuzz-sast ARGS="--minutes 30"      # and --seed N for the inputs of another run

What goes wrong is made small and kept in tests/fuzz/corpus, which `make test` reads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzz.inputs import CORPUS, Input, made, seeds
from fuzz.judging import Judge

SHRINK_S: Final = 60.0
"""How long an input is made smaller."""


def main(arguments: list[str]) -> int:
    """Return 1 when something went wrong."""
    parser = argparse.ArgumentParser(prog="make fuzz-sast")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args(arguments)
    random, kept, judge = Random(given.seed), seeds(), Judge()
    until, kinds, wrongs = time.monotonic() + given.minutes * 60, Counter[str](), dict[str, Input]()
    try:
        while time.monotonic() < until:
            tried = made(random, kept)
            kinds["rules" if "rules" in tried else "page"] += 1
            wrong = judge(tried)
            if wrong and _sort(wrong) not in wrongs:
                print(wrong, flush=True)
                wrongs[_sort(wrong)] = tried
                path = _keep(tried)
                _write(path, smaller(tried, _fails_like(judge, wrong)))
                print(f"  kept as {path.name}", flush=True)
    finally:
        judge.close()
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    print(f"{told} in {given.minutes:g} minutes, seed {given.seed}; {len(kept)} seeds; {len(wrongs)} went wrong")
    return 1 if wrongs else 0


def _sort(wrong: str) -> str:
    """Return what is common to failures of one cause."""
    return wrong.partition(" for ")[0][:12] if wrong.startswith("took") else wrong.rpartition("(")[2] or wrong


def _fails_like(judge: Judge, wrong: str) -> Callable[[Input], bool]:
    return lambda tried: _sort(judge(tried)) == _sort(wrong)


def smaller(given: Input, fails: Callable[[Input], bool]) -> Input:
    """Take away what is not needed to make it fail."""
    until = time.monotonic() + SHRINK_S
    while time.monotonic() < until:
        following = next((less for less in _less(given) if time.monotonic() > until or fails(less)), None)
        if following is None or time.monotonic() > until:
            break
        given = following
    return given


def _less(value: Any) -> Iterator[Any]:
    """Yield smaller values, the smallest first."""
    if isinstance(value, dict):
        yield from ({other: value[other] for other in value if other != name} for name in value if len(value) > 1)
        yield from ({**value, name: less} for name, inner in value.items() for less in _less(inner))
    elif isinstance(value, list):
        yield from (value[:index] + value[index + 1 :] for index in range(len(value)))
        yield from ([*value[:at], less, *value[at + 1 :]] for at, inner in enumerate(value) for less in _less(inner))
    elif isinstance(value, str):
        steps = (len(value) >> shift for shift in range(len(value).bit_length()))
        yield from (value[:at] + value[at + step :] for step in steps for at in range(0, len(value), step))


def _keep(given: Input) -> Path:
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    path = CORPUS / f"found-{digest[:8]}.json"
    _write(path, given)
    return path


def _write(path: Path, given: Input) -> None:
    path.write_text(json.dumps(given, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
