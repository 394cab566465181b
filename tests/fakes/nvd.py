"""NVD's CVE API 2.0 as far as it is asked: keywordSearch, virtualMatchString, pages, and a rate limit that counts.

Its records are given; those of `records` below are invented or shortened. It fails on purpose where a test says so.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

PATH: Final = "/rest/json/cves/2.0"
WINDOW_S: Final = 30.0
LIMITS: Final = {False: 5, True: 50}
"""Without and with a key."""


@dataclass(frozen=True)
class Trouble:
    """What NVD does instead of answering."""

    status: int | None = None
    """None: the records, after `delay_s`; 0: the connection is cut."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the answer; with `drips`, between two of its bytes."""
    drips: bool = False


@dataclass
class FakeNvd:
    """NVD behind a port of loopback. Requests are counted when they arrive."""

    items: Sequence[Any]
    key: str = "the-key"
    troubles: list[Trouble] = field(default_factory=list)
    """One for each request that is still to meet one."""
    asks_for_key: bool = False
    """Whether a request without the right key is refused, as NVD refuses wrong ones."""
    window_s: float = WINDOW_S
    arrivals: list[tuple[float, bool]] = field(default_factory=list)
    """When, and whether with the right key."""
    queries: list[dict[str, str]] = field(default_factory=list)
    refused: int = 0
    """Requests beyond the limit."""
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def busiest(self) -> int:
        """Return the most requests that arrived within any window."""
        times = sorted(when for when, _ in self.arrivals)
        return max((sum(start <= when < start + self.window_s for when in times) for start in times), default=0)

    @contextmanager
    def served(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeNvd]:
        """Serve until the block ends."""
        server = ThreadingHTTPServer((host, port), type("Handler", (_Handler,), {"nvd": self}))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}{PATH}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def take(self, query: dict[str, str], key: str | None) -> Trouble:
        """Count a request, and say what becomes of it."""
        with self._lock:
            now = time.monotonic()
            self.arrivals.append((now, key == self.key))
            self.queries.append(query)
            recent = sum(now - when < self.window_s for when, _ in self.arrivals)
            if recent > LIMITS[key == self.key]:
                self.refused += 1
                return Trouble(403, b"<html><body>Request forbidden by administrative rules.</body></html>")
            if self.asks_for_key and key != self.key:
                return Trouble(404)
            trouble = self.troubles.pop(0) if self.troubles else Trouble()
        if trouble.status is not None or trouble.body:
            return trouble
        return Trouble(200, json.dumps(self._page(query)).encode(), delay_s=trouble.delay_s, drips=trouble.drips)

    def _page(self, query: Mapping[str, str]) -> Any:
        hits = [item for item in self.items if _hits(item, query)]
        start, size = int(query.get("startIndex", 0)), int(query.get("resultsPerPage", 2000))
        shown = [{name: value for name, value in item.items() if name == "cve"} for item in hits[start : start + size]]
        return {
            "resultsPerPage": len(shown), "startIndex": start, "totalResults": len(hits), "format": "NVD_CVE",
            "version": "2.0", "timestamp": "2026-01-01T00:00:00.000", "vulnerabilities": shown,
        }  # fmt: skip


def _hits(item: Any, query: Mapping[str, str]) -> bool:
    cve = item["cve"]
    if "virtualMatchString" in query:
        wanted = query["virtualMatchString"].split(":")[2:5]
        return any(criteria.split(":")[2:5] == wanted for criteria in re.findall(r"cpe:2\.3:[^\"]*", json.dumps(cve)))
    text = " ".join(entry["value"] for entry in cve.get("descriptions", ())).lower()
    tokens = [token.strip(".") for token in re.findall(r"[^\s,;()]+", text)]
    return all(any(token.startswith(word) for token in tokens) for word in query["keywordSearch"].lower().split())


class _Handler(BaseHTTPRequestHandler):
    nvd: FakeNvd

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        answer = self.nvd.take(query, self.headers.get("apiKey"))
        self.close_connection = True
        if not answer.drips:
            time.sleep(answer.delay_s)
        if answer.status == 0:
            return
        self.send_response(answer.status or 200)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for byte in answer.body if answer.drips else ():
                self.wfile.write(bytes([byte]))
                time.sleep(answer.delay_s)
            if not answer.drips:
                self.wfile.write(answer.body)
        except OSError:
            pass  # the client has had enough

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        pass


def record(
    cve_id: str,
    text: str = "",
    *criteria: Any,
    status: str = "Analyzed",
    metrics: Any = None,
    configurations: Any = None,
) -> Any:
    """Return an item of `vulnerabilities`; *criteria* are CPEs, or objects of `cpeMatch`."""
    matches = [{"vulnerable": True, "criteria": one} if isinstance(one, str) else one for one in criteria]
    cve = {
        "id": cve_id,
        "vulnStatus": status,
        "descriptions": [{"lang": "es", "value": "no"}, {"lang": "en", "value": text}],
        "metrics": v31(7.5, "HIGH") if metrics is None else metrics,
        "configurations": configurations or [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": matches}]}],
    }
    return {"cve": cve if criteria or configurations else {**cve, "configurations": []}}


def v31(score: float, severity: str) -> Any:
    """Return metrics with one CVSS 3.1."""
    return {"cvssMetricV31": [{"type": "Primary", "cvssData": {"baseScore": score, "baseSeverity": severity}}]}


def cpe(vendor: str, product: str, version: str = "*", **bounds: str) -> Any:
    """Return an object of `cpeMatch`."""
    return {"vulnerable": True, "criteria": f"cpe:2.3:a:{vendor}:{product}:{version}:*:*:*:*:*:*:*", **bounds}
