"""Recorded jobs: what one was given and what the original worker made of it. Data for tests, read-only.

Those of the original are in `../shared/oracle`, which is no part of this repository; a few of our own, in the same
format, are in own/ beside this module.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from bullpen_processors.ontoweb.javascript import items, member, text
from conformance.triples import stored_by
from support import ROOT

ORIGIN: Final = ROOT.parent / "shared" / "oracle" / "fixtures" / "origin"
ORIGIN_HOST: Final = "127.0.0.1:17202"
"""Where the site was that the original fetched scripts from."""
NVD: Final = ROOT.parent / "shared" / "oracle" / "fixtures" / "nvd.json"
RECORDED: Final = ROOT.parent / "shared" / "oracle" / "cases"
OWN: Final = Path(__file__).parent / "own"

QUEUES: Final[Mapping[str, tuple[str, ...]]] = {
    "http-requests-writes": ("http-ingest", "http-resolver"),
    "sparql-writes": ("sparql-update",),
    "techstack-analyze": ("techstack-analyze",),
    "analyzer-writes": ("sast-analyze",),
}
"""The original's queues that are served, with their job types. A new row brings all recorded jobs of its queue."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the store does instead of working, `times` requests long."""

    status: int | None
    """None: the connection is cut."""
    body: str = ""
    media_type: str = "text/plain"
    delay_s: float = 0.0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to, as BullMQ's clients and readers of the store see it."""

    state: str
    attempts: int
    value: Any = None
    reason: str | None = None
    quads: frozenset[str] = frozenset()
    """Canonical N-Quads, a line each."""


@dataclass(frozen=True)
class Case:
    """One recorded job. It does not know its name: no difference can be excused by it."""

    queue: str
    job_name: str
    data: Any
    options: Mapping[str, Any]
    theirs: Outcome
    """What the original made of it."""
    faults: tuple[Fault, ...] = ()
    nvd: tuple[Fault, ...] = ()
    """What NVD did instead of answering."""
    seed: str = ""
    """SPARQL update that filled the store before."""
    updates: tuple[str, ...] = ()
    """What the original sent to the store, in order."""
    statuses: tuple[int | None, ...] = ()
    """What the store answered to each; None: nothing."""
    exact: bool = True
    """Whether numbers were recorded as they were written, or as oxigraph keeps them (by value)."""

    @property
    def items(self) -> list[Any]:
        """The exchanges of an HTTP job, whichever shape they came in."""
        payload = member(self.data, "payload")
        return items(member(self.data, "list")) or items(payload) or items(member(payload, "items")) or [payload]

    @property
    def is_known(self) -> bool:
        """Whether the queue serves jobs of this name."""
        return self.job_name in QUEUES[self.queue]

    @property
    def was_stored(self) -> bool:
        """Whether the store took what the original sent, or was sent nothing."""
        return not self.statuses or _is_ok(self.statuses[-1])

    @cached_property
    def meant(self) -> frozenset[str]:
        """What the original would have left in the store, had that taken its last update."""
        if self.was_stored:
            return self.theirs.quads
        return stored_by(self.seed, self.updates[-1], exact=self.exact) or self.theirs.quads


def recorded(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield name and case of each recorded job of a queue that is served."""
    for path in sorted(folder.glob("*/[!_]*.json")):
        record = json.loads(path.read_bytes())
        if record["input"]["queue"] in QUEUES:
            yield f"{path.parent.name}/{path.stem}", _case(record, path.parent)


def _case(record: Mapping[str, Any], folder: Path) -> Case:
    given, conditions = record["input"], record.get("conditions") or {}
    store, nvd = conditions.get("graphdb", {}), conditions.get("nvd", {})
    updates = _unpacked(record["updates"], folder)
    return Case(
        queue=given["queue"],
        job_name=given["jobName"],
        data=with_codes(_unpacked(given["data"], folder), _origin_scripts()),
        options={name: record["opts"][name] for name in ("attempts", "backoff")},
        theirs=Outcome(
            state=record["state"],
            attempts=record["attemptsMade"],
            value=_unpacked(record["returnvalue"], folder),
            reason=record["failedReason"],
            quads=frozenset(_unpacked(record["nquads"], folder)),
        ),
        faults=tuple(map(_fault, store.get("fail", []))),
        nvd=tuple(map(_fault, nvd.get("fail", []))),
        seed=store.get("seed", ""),
        updates=tuple(update["update"] for update in updates),
        statuses=tuple(update["status"] for update in updates),
        exact=record["nquadsExact"],
    )


def _fault(said: Mapping[str, Any]) -> Fault:
    return Fault(
        status=None if said.get("drop") else said["status"],
        body=said.get("body", "injected failure"),
        media_type=said.get("ctype", "text/plain"),
        delay_s=said.get("delayMs", 0) / 1000,
        times=said.get("times", 1),
    )


@cache
def _origin_scripts() -> Mapping[str, str]:
    found = {f"//{ORIGIN_HOST}/{path.relative_to(ORIGIN)}": path.read_text() for path in ORIGIN.rglob("*.js")}
    return found | {f"http:{address}": code for address, code in found.items()}


def with_codes(data: Any, codes: Mapping[str, str]) -> Any:
    """Hand over the scripts of a page that were on the recording's own site: ours has no network."""
    scripts = member(data, "scripts")
    if not isinstance(scripts, list):
        return data
    return {**data, "scripts": [_with_code(script, codes) for script in scripts]}


def _with_code(script: Any, codes: Mapping[str, str]) -> Any:
    code = None if member(script, "code") else codes.get(text(member(script, "src")))
    return script if code is None else {**script, "code": code}


def nvd_items() -> list[Any]:
    """Return the records that NVD had when the original asked it."""
    return json.loads(NVD.read_bytes()) if NVD.is_file() else []


def _unpacked(value: Any, folder: Path) -> Any:
    """Read what was too large for the record from the file beside it."""
    if isinstance(value, dict) and "$gz" in value:
        return json.loads(gzip.decompress((folder / value["$gz"]).read_bytes()))
    return value


def _is_ok(status: int | None) -> bool:
    return status is not None and 200 <= status < 300
