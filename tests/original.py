"""What OntoWeb-PT's own worker did with a job (`../shared/oracle`), what ours does, and which differences are meant.

The cases are data for tests and no part of this repository; what needs them is skipped where they are absent.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyoxigraph as ox

from bullpen_processors import registry
from bullpen_processors.api import Quads, Result, UnusableInputError, UpdateText
from bullpen_processors.ontoweb.javascript import items, member, text, well_formed
from fakes.processing import process
from support import ROOT

CASES: Final = ROOT.parent / "shared" / "oracle" / "cases"
ATTEMPTS: Final = 5
"""What every recorded job was given."""
HTTP_GRAPH: Final = "http://localhost/graphs/http-requests"
EX: Final = "http://localhost/onto/ontowebpt#"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to."""

    state: str
    attempts: int | None
    """None where the store's faults decide it: that is compared on a real queue, not here."""
    reason: str | None = None
    value: Any = None
    quads: frozenset[str] = frozenset()
    refused_by_store: bool = False

    def differences(self, other: Outcome) -> set[str]:
        """Name the fields in which two outcomes differ."""
        named = {"state", "reason", "value", "quads"} | ({"attempts"} if other.attempts and self.attempts else set())
        return {name for name in named if getattr(self, name) != getattr(other, name)}


class Case:
    """One recorded job."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._recorded = json.loads(path.read_text())
        self.name = f"{path.parent.name}/{path.stem}"
        self.job_name: str = self._recorded["input"]["jobName"]
        self.data = self._unpacked(self._recorded["input"]["data"])

    @property
    def answers(self) -> list[int]:
        """Statuses that the store gave instead of working, in order."""
        failures = self._recorded.get("conditions", {}).get("graphdb", {}).get("fail", [])
        return [failure["status"] for failure in failures for _ in range(failure["times"])]

    @property
    def seed(self) -> str:
        """Update that filled the store before."""
        return str(self._recorded.get("conditions", {}).get("graphdb", {}).get("seed", ""))

    @property
    def items(self) -> list[Any]:
        """The items of an ingest job that has a list of them."""
        payload = member(self.data, "payload")
        return items(payload) or items(member(payload, "items")) or [payload]

    def theirs(self) -> Outcome:
        """What the original did."""
        failed = self._recorded["state"] == "failed"
        return Outcome(
            state=self._recorded["state"],
            attempts=None if self.answers else self._recorded["attemptsMade"],
            reason=self._recorded["failedReason"] if failed else None,
            value=self._unpacked(self._recorded["returnvalue"]),
            quads=frozenset(self._unpacked(self._recorded["nquads"])),
            refused_by_store=failed and any(update["status"] >= 300 for update in self._updates()),
        )

    def ours(self) -> Outcome:
        """What our processor does, in front of a store that answers as the recorded one did."""
        store = ox.Store()
        if self.seed:
            store.update(self.seed)
        try:
            processed = process(registry.load(self.job_name), self.data)
            status = _write(store, processed.result, self.answers)
        except UnusableInputError as error:
            return Outcome("failed", 1, str(error))
        except _StoreRefusedError as error:
            return Outcome("failed", None if self.answers else 1, str(error), refused_by_store=True)
        wrote_quads = isinstance(processed.result.write, Quads) and status == 204
        quads = processed.stored() if wrote_quads else _dump(store)
        return Outcome("completed", None if self.answers else 1, value=processed.value(status), quads=frozenset(quads))

    def _updates(self) -> list[Any]:
        updates = self._unpacked(self._recorded["updates"])
        return list(updates)

    def _unpacked(self, value: Any) -> Any:
        if isinstance(value, dict) and "$gz" in value:
            return json.loads(gzip.decompress((self._folder / value["$gz"]).read_bytes()))
        return value


class _StoreRefusedError(Exception):
    pass


def _write(store: ox.Store, result: Result, answers: list[int]) -> int:
    """Write as a job would over its attempts; returns the store's status."""
    for status in answers[:ATTEMPTS]:
        if 200 <= status < 300:
            return status
    if len(answers) >= ATTEMPTS:
        raise _StoreRefusedError(f"the store said {answers[-1]}")
    if isinstance(result.write, UpdateText):
        try:
            store.update(result.write.text)
        except SyntaxError as error:
            raise _StoreRefusedError(f"the store said 400: {error.msg}") from error
    return 204


def _dump(store: ox.Store) -> list[str]:
    text = store.dump(format=ox.RdfFormat.N_QUADS)
    assert text is not None
    return [line for line in text.decode().split("\n") if line]


def cases(kind: str) -> Iterator[Case]:
    """Yield the cases of a job type, and those of invalid jobs that are for it."""
    paths = [*CASES.glob(f"{kind}/*.json"), *CASES.glob(f"invalid/{kind}-*.json")]
    yield from (Case(path) for path in sorted(paths))


@dataclass(frozen=True, slots=True)
class Difference:
    """A way in which ours is meant to differ: of a kind, never of one case."""

    name: str
    source: str
    """I-number or point of JUDGEMENT.md, both of ../shared; § is a section of its ONTOWEBPT.md."""
    fields: frozenset[str]
    is_meant: Callable[[Case, Outcome, Outcome], bool]
    """(case, theirs, ours): this difference is there, and ours is what it should be."""


def unexplained(case: Case, theirs: Outcome, ours: Outcome) -> tuple[set[str], list[str]]:
    """Return the fields whose difference nothing explains, and the names of what explained the others."""
    left = ours.differences(theirs)
    explained_by = []
    for difference in DIFFERENCES:
        if left & difference.fields and difference.is_meant(case, theirs, ours):
            left -= difference.fields
            explained_by.append(difference.name)
    return left, explained_by


def _fails_at_once(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    return (theirs.state, theirs.attempts) == (ours.state, ATTEMPTS) == ("failed", ATTEMPTS) and ours.attempts == 1


def _graph_is_no_iri(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    graphs = [member(item, "graph") for item in case.items]
    wrong = [index for index, graph in enumerate(graphs) if graph and not _is_iri(text(graph))]
    return bool(wrong) and ours.reason == f"Invalid graph: that of item {wrong[0]} is not an absolute IRI"


def _method_is_no_iri(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    methods = {text(member(item, "method")).upper() for item in case.items}
    stored = [line.split(" ")[2] for line in ours.quads if f" <{EX}mthd> " in line]
    return (
        any(not _is_iri(EX + method) for method in methods)
        and ours.state == "completed"
        and len(stored) == len(case.items)
        and all(method.startswith(f"<{EX}") for method in stored)
    )


def _id_comes_again(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    keys = Counter((text(member(item, "graph") or HTTP_GRAPH), text(item["id"])) for item in case.items)
    again = [f"<urn:req:{_encoded(key)}" for (_, key), times in keys.items() if times > 1]
    own = tuple(start + end for start in again for end in (">", ":"))
    return ours.quads < theirs.quads and all(line.startswith(own) for line in theirs.quads - ours.quads)


def _id_is_half_a_pair(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    ids = [text(member(item, "id")) for item in case.items]
    return any(well_formed(key) != key for key in ids) and theirs.reason == "URI malformed" and ours.reason is None


def _update_is_no_text(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    no_text = not isinstance(member(case.data, "sparqlUpdate"), str)
    return no_text and theirs.state == ours.state and ours.reason == "Invalid sparqlUpdate: expected text"


def _store_says_why(case: Case, theirs: Outcome, ours: Outcome) -> bool:
    return ours.refused_by_store and theirs.refused_by_store


def _is_iri(text: str) -> bool:
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return True


def _encoded(key: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - an encoder other than ours

    return quote(key, safe="!*'()")


ALL: Final = frozenset({"state", "attempts", "reason", "value", "quads"})

DIFFERENCES: Final = (
    Difference("an id that comes again in a batch", "I1", frozenset({"quads"}), _id_comes_again),
    Difference("a graph that is no IRI", "I18", ALL, _graph_is_no_iri),
    Difference("a method that is no IRI", "I18", ALL, _method_is_no_iri),
    Difference("an id with half a surrogate pair", "§0", ALL, _id_is_half_a_pair),
    Difference("a sparqlUpdate that is no text", "JUDGEMENT 2", frozenset({"reason"}), _update_is_no_text),
    Difference("the store's own words", "I24", frozenset({"reason"}), _store_says_why),
    Difference("no second try where none can help", "JUDGEMENT 2", frozenset({"attempts"}), _fails_at_once),
)
"""docs/compatibility.md lists them; a test holds the two together."""
