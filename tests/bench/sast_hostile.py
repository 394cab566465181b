"""Pages that stall or crash parsers: each comes to an end in time, and hides nothing of what stands around it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any, Final

from bench.measuring import run
from bench.sast_cost import JOB
from bench.sast_scores import BENCH
from fakes.pages import generated, page

CPU_S: Final = 6.0
AROUND: Final = ("e.innerHTML = location.hash", "document.write(name)")
"""Stand before and after the hostile script; each is a flow."""


def pages() -> Iterator[tuple[str, str, str]]:
    """Yield name, markup and script of each."""
    archive = BENCH / "pathological.tar.xz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            for entry in sorted(tar.getnames()):
                if (held := tar.extractfile(entry)) is not None and entry.endswith(".js"):
                    yield entry.rpartition("/")[2], "", held.read().decode("utf-8", "replace")
    yield "540 kB of `<form `", "<form " * 90_000, ""
    yield "100k nested tags", "<div>" * 100_000, ""
    yield "4 MB generated script", "", generated(4)


def measure(_show: str | None) -> int:
    """Print what each took; returns how many missed the target."""
    missed = 0
    if not (BENCH / "pathological.tar.xz").exists():
        print("skipped pathological.tar.xz: not beside this clone")
    print(f"{'hostile pages':30s} {'KB':>6s} {'CPU s':>7s} {'<=':>4s} {'peak MB':>8s}  end, flows around it")
    for name, html, script in pages():
        cost = run([*JOB, "--findings"], json.dumps(page(AROUND[0], script, AROUND[1], html=html)).encode())
        kept = _kept(cost.output) if cost.code == 0 else 0
        met = cost.code == 0 and cost.cpu_s <= CPU_S and kept == len(AROUND)
        missed += not met
        size = (len(html) + len(script)) / 1e3
        end = f"{cost.code:3d}, {kept} of {len(AROUND)}{'' if met else '  MISSED'}"
        print(f"{name:30s} {size:6.0f} {cost.cpu_s:7.2f} {CPU_S:4.1f} {cost.peak_mb:8.0f}  {end}", flush=True)
    return missed


def _kept(output: bytes) -> int:
    found: list[Any] = json.loads(output)["result"]["findings"]
    files = {finding["file"] for finding in found if finding["ruleId"] == "taint-flow"}
    return len(files & {"inline-script[#0]", "inline-script[#2]"})
