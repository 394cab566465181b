"""What sast-analyze reports in libraries that everybody uses: there a flow is almost surely none."""

from __future__ import annotations

import json
from typing import Any, Final

from bench.measuring import run
from bench.sast_cost import JOB, LIBRARIES, payload
from servers.node import installed

FILES: Final = (
    "jquery/dist/jquery.js", "jquery/dist/jquery.min.js", "lodash/lodash.js", "lodash/lodash.min.js",
    "vue/dist/vue.global.js", "vue/dist/vue.global.prod.js", "react-dom/cjs/react-dom-client.production.js",
    "d3/dist/d3.js", "d3/dist/d3.min.js", "angular/angular.js", "angular/angular.min.js", "tinymce/tinymce.min.js",
    "swagger-ui-dist/swagger-ui.js", "echarts/dist/echarts.min.js", "swagger-ui-dist/swagger-ui-bundle.js",
    "three/build/three.core.js", "mermaid/dist/mermaid.min.js", "plotly.js-dist-min/plotly.min.js",
)  # fmt: skip
FLOWS: Final = ("dom-xss", "xss-through-dom", "code-injection", "open-redirect", "resource-url", "css-injection")
FLOWS_PER_MB: Final = 1.0
ANY_PER_MB: Final = 6.0
ANY_PER_FILE: Final = 40


def measure(_show: str | None) -> int:
    """Print findings per file and per megabyte; returns how many targets were missed."""
    modules = installed(LIBRARIES) / "node_modules"
    print(f"{'findings in libraries':46s} {'KB':>6s} {'flows':>6s} {'any':>5s} {'CPU s':>6s} {'MB':>5s}")
    flows = count = size = worst = 0
    for name in FILES:
        code = (modules / name).read_text("utf-8")
        cost = run([*JOB, "--findings"], payload(code, name))
        found = json.loads(cost.output)["result"]["findings"]
        hot = sum(map(_is_flow, found))
        print(
            f"  {name:44s} {len(code) / 1e3:6.0f} {hot:6d} {len(found):5d} {cost.cpu_s:6.2f} {cost.peak_mb:5.0f}",
            flush=True,
        )
        flows, count, size, worst = flows + hot, count + len(found), size + len(code), max(worst, len(found))
    megabytes, missed = size / 1e6, 0
    for title, value, most in (
        ("high or medium flows per MB", flows / megabytes, FLOWS_PER_MB),
        ("findings per MB", count / megabytes, ANY_PER_MB),
        ("findings of a file, the most", worst, ANY_PER_FILE),
    ):
        missed += value > most
        print(f"{title:46s} {value:6.2f} <= {most:g}{'  MISSED' if value > most else ''}")
    return missed


def _is_flow(finding: dict[str, Any]) -> bool:
    grave = finding["severity"] in ("high", "medium") and finding["confidence"] != "low"
    return grave and finding["kind"] in FLOWS
