"""Score sast-analyze on labelled cases, recall and precision beside the targets; needs `../shared/bench/sast`.

make bench-sast ARGS="--show fn"       # hands options on to the scorer
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bullpen_processors.sast.analyzer import SastAnalyze
from fakes.processing import process
from support import ROOT

BENCH: Final = ROOT.parent / "shared" / "bench" / "sast"
FAMILIES: Final = ("sanitizer", "html", "postmessage", "storage", "misc", "transport")
TARGETS: Final = (
    ("flow, all origins", "tier:flow/flow", 0.82, 0.92),
    ("flow, CodeQL", "origin:codeql/flow/flow", 0.68, 0.86),
    ("flow, firing-range", "origin:firing-range/flow/flow", 0.97, 0.0),
    ("flow, several files", "origin:multifile-domxss/flow/flow", 0.95, 0.0),
    ("audit", "tier:flow/audit", 0.88, 0.92),
    *((family, f"tier:{family}/flow", 0.8, 0.0) for family in FAMILIES[:4]),
    *((f"{family}, audit", f"tier:{family}/audit", 0.8, 0.0) for family in FAMILIES[2:]),
)


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a target is missed, 2 without the cases."""
    if not BENCH.is_dir():
        print("the labelled cases (../shared/bench/sast) are not beside this clone", file=sys.stderr)
        return 2
    scores = Path("/tmp") / "bullpen-bench-sast.json"
    command = [sys.executable, str(BENCH / "score.py"), "--cmd", f"{sys.executable} {__file__} --cases", "--batch"]
    said = subprocess.run([*command, "--json", str(scores), *arguments], capture_output=True, text=True, check=True)
    print(*(line for line in said.stdout.splitlines() if line.startswith(("FN", "FP"))), sep="\n")
    return _table(json.loads(scores.read_text()))


def _table(scores: dict[str, dict[str, Any]]) -> int:
    missed = 0
    print(f"{'measure':24s} {'cases':>5s} {'recall':>7s} {'>=':>5s} {'precision':>9s} {'>=':>5s}  TP/FN/FP")
    for title, key, recall, precision in TARGETS:
        score = scores.get(key)
        if score is None:
            continue
        met = score["recall"] >= recall and score["precision"] >= precision
        missed += not met
        found = "/".join(str(score[name]) for name in ("tp", "fn", "fp"))
        left = f"{title:24s} {score['cases']:5d} {score['recall']:7.2f} {recall:5.2f}"
        print(f"{left} {score['precision']:9.2f} {precision:5.2f}  {found}{'' if met else '  MISSED'}")
    return 1 if missed else 0


def answer() -> int:
    """Answer payloads, one a line, as the scorer asks for them."""
    for line in sys.stdin:
        result = process(SastAnalyze(), json.loads(line)).value()["result"]
        print(json.dumps({"findings": result["findings"]}))
    return 0


if __name__ == "__main__":
    sys.exit(answer() if sys.argv[1:2] == ["--cases"] else main(sys.argv[1:]))
