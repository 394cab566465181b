"""CPU and memory of whole jobs, beside node that only parses the same bytes with acorn, in the same run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.measuring import Cost, run
from servers.node import installed
from support import ROOT, require

LIBRARIES: Final = ROOT / "tests" / "bench" / "libraries"
JOB: Final = [sys.executable, str(ROOT / "tests" / "bench" / "sast_job.py")]
COMMAND: Final = [str(Path(sys.executable).with_name("bullpen")), "process", "sast-analyze"]
PARSE: Final = (
    "require('acorn').parse(require('fs').readFileSync(0, 'utf8'), {ecmaVersion: 'latest', sourceType: 'script'})"
)
ROUNDS: Final = 3
LARGE: Final = (
    ("1.1 MB, echarts.min", "echarts/dist/echarts.min.js", 2.4, 200),
    ("3.6 MB, mermaid.min", "mermaid/dist/mermaid.min.js", 2.1, 420),
)
"""What, file, most times the CPU of acorn, most megabytes."""
SMALL_S: Final = 0.15
_SMALL: Final = "function f{0}(a, b) {{ var x = a.b + b; document.getElementById('q{0}').textContent = x; return x }}\n"


def payload(code: str, src: str = "https://x.test/a.js") -> bytes:
    """Make a page of one script."""
    scripts = [{"src": src, "code": code}]
    return json.dumps(
        {"url": "https://x.test/", "html": "<p>", "scripts": scripts, "forms": [], "iframes": []}
    ).encode()


def measure(_show: str | None) -> int:
    """Print what jobs cost; returns how many targets were missed."""
    heads = ("CPU s", 7), ("beside", 12), ("ratio", 6), ("<=", 5), ("peak MB", 8), ("<=", 5), ("beside", 7)
    print(f"{'whole job, medians of 3':30s}", *(f"{head:>{width}s}" for head, width in heads))
    missed = _small()
    node = require("node")
    packages = installed(LIBRARIES)
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    for title, name, times, megabytes in LARGE:
        code = (packages / "node_modules" / name).read_text("utf-8")
        jobs, parses = _side_by_side([node, "-e", PARSE], packages, code)
        ratio = statistics.median(job.cpu_s / parse.cpu_s for job, parse in zip(jobs, parses, strict=True))
        peak = max(job.peak_mb for job in jobs)
        met = ratio <= times and peak <= megabytes
        missed += not met
        beside = f"acorn {_cpu(parses):6.2f}"
        left = f"{title:30s} {_cpu(jobs):7.2f} {beside:>12s} {ratio:6.2f} {times:5.2f}"
        theirs = max(parse.peak_mb for parse in parses)
        print(f"{left} {peak:8.0f} {megabytes:5d} {theirs:7.0f}{'' if met else '  MISSED'}", flush=True)
    print(f"acorn 8.15.0 on node {version}")
    return missed


def _side_by_side(parse: list[str], packages: Path, code: str) -> tuple[list[Cost], list[Cost]]:
    jobs, parses = list[Cost](), list[Cost]()
    for _ in range(ROUNDS):
        parses.append(run(parse, code.encode(), packages))
        jobs.append(run(JOB, payload(code)))
    assert not any(cost.code for cost in (*jobs, *parses))
    return jobs, parses


def _small() -> int:
    code = "".join(_SMALL.format(number) for number in range(31))
    nothing = [run([sys.executable, "-c", "pass"]) for _ in range(ROUNDS)]
    jobs = [run(JOB, payload(code)) for _ in range(ROUNDS)]
    commands = [run(COMMAND, payload(code)) for _ in range(ROUNDS)]
    met = _cpu(jobs) <= SMALL_S
    beside = f"pass {_cpu(nothing):6.2f}"
    for title, costs, most in (
        ("3 KB page, start to exit", jobs, SMALL_S),
        ("3 KB by `bullpen process`", commands, None),
    ):
        target = "" if most is None else f"{most:.2f} s"
        peak = max(cost.peak_mb for cost in costs)
        verdict = "" if most is None or met else "  MISSED"
        print(f"{title:30s} {_cpu(costs):7.2f} {beside:>12s} {'':6s} {target:>5s} {peak:8.0f}{verdict}")
    return 0 if met else 1


def _cpu(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_s for cost in costs)
