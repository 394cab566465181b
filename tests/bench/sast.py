"""Measure sast-analyze and print each measure beside its target: what it finds, what it makes up, what it costs.

    make bench-sast                          # everything that this machine has the parts for
    make bench-sast ARGS="--only cost"       # scores, cost, noise or hostile
    make bench-sast ARGS="--show fn"         # and the labelled cases that were missed (fp: made up)

A part that needs what is not here is skipped by name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Final

from _pytest.outcomes import Failed, Skipped

from bench import sast_cost, sast_hostile, sast_noise, sast_scores

PARTS: Final[Mapping[str, Callable[[str | None], int]]] = {
    "scores": sast_scores.measure,
    "cost": sast_cost.measure,
    "noise": sast_noise.measure,
    "hostile": sast_hostile.measure,
}
"""Part -> what prints it and returns how many targets were missed; may skip."""


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="make bench-sast")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--show", choices=("fn", "fp"))
    given = parser.parse_args(arguments)
    missed, skipped = 0, list[str]()
    for name, measure in PARTS.items():
        if given.only in (None, name):
            try:
                missed += measure(given.show)
            except (Skipped, Failed) as why:
                skipped.append(f"{name}: {why.msg}")
            print(flush=True)
    print(*(f"skipped {line}" for line in skipped), sep="\n")
    print(f"{missed} targets missed, {len(skipped)} parts skipped")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
