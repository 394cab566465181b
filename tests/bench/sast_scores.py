"""What sast-analyze finds of what is labelled, and what it finds besides; needs the cases of `../shared/bench/sast`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bullpen_processors.sast.analyzer import SastAnalyze
from fakes.processing import process
from support import ROOT, skip_without

BENCH: Final = ROOT.parent / "shared" / "bench" / "sast"
SMALL: Final = ("html", "postmessage", "storage", "misc", "transport")
"""Families with few cases: at most one miss in each."""
TARGETS: Final = (
    ("flow, all origins", "tier:flow/flow", 0.82, 0.92),
    ("flow, CodeQL", "origin:codeql/flow/flow", 0.68, 0.86),
    ("flow, firing-range", "origin:firing-range/flow/flow", 0.97, 0.0),
    ("flow, several files", "origin:multifile-domxss/flow/flow", 0.95, 0.0),
    ("audit", "tier:flow/audit", 0.88, 0.92),
    ("sanitizer", "tier:sanitizer/flow", 0.80, 0.0),
)


def measure(show: str | None) -> int:
    """Print recall and precision; returns how many targets were missed."""
    if not BENCH.is_dir():
        skip_without("../shared/bench/sast", "the labelled cases, beside this clone")
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder) / "scores.json"
        command = [sys.executable, str(BENCH / "score.py"), "--cmd", f"{sys.executable} {__file__}", "--batch"]
        command += ["--json", str(scores), *(("--show", show) if show else ())]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        print(*(line for line in said.stdout.splitlines() if line.startswith(("FN", "FP"))), sep="\n")
        return _table(json.loads(scores.read_text()))


def _table(scores: dict[str, dict[str, Any]]) -> int:
    heads = ("cases", 5), ("recall", 7), (">=", 5), ("precision", 9), (">=", 5)
    print(f"{'labelled cases':42s}", *(f"{head:>{width}s}" for head, width in heads), " TP/FN/FP")
    missed = 0
    for title, key, recall, precision in TARGETS:
        if score := scores.get(key):
            met = score["recall"] >= recall and score["precision"] >= precision
            missed += not met
            _line(title, score, f"{recall:5.2f}", f"{precision:5.2f}", "" if met else "  MISSED")
    missed += _small(scores)
    for sort, title in (("origin", "by origin, family/tier"), ("kind", "kinds with misses, kind/tier")):
        print(title)
        for key, score in scores.items():
            if key.startswith(sort) and (sort == "origin" or score["fn"]):
                _line(f"  {key.partition(':')[2]}", score)
    return missed


def _small(scores: dict[str, dict[str, Any]]) -> int:
    missed = 0
    for family in SMALL:
        tiers = [score for tier in ("flow", "audit") if (score := scores.get(f"tier:{family}/{tier}"))]
        met = sum(score["fn"] for score in tiers) <= 1
        missed += not met
        for score in tiers:
            _line(f"{family}: at most one miss", score, verdict="" if met else "  MISSED")
    return missed


def _line(title: str, score: dict[str, Any], recall: str = "", precision: str = "", verdict: str = "") -> None:
    left = f"{title:42s} {score['cases']:5d} {score['recall']:7.2f} {recall:>5s}"
    print(f"{left} {score['precision']:9.2f} {precision:>5s}  {_found(score)}{verdict}")


def _found(score: dict[str, Any]) -> str:
    return "/".join(str(score[name]) for name in ("tp", "fn", "fp"))


def answer() -> None:
    """Answer payloads, one a line, as the scorer asks for them."""
    for line in sys.stdin:
        result = process(SastAnalyze(), json.loads(line)).value()["result"]
        print(json.dumps({"findings": result["findings"]}))


if __name__ == "__main__":
    answer()
