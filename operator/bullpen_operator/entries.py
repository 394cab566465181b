"""The JobQueues that the operator knows of, and which of several on one queue serves it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from bullpen_operator.model import JobQueueSpec

Key = tuple[str, str]
"""Namespace and name of a JobQueue."""

CONFLICT: Final = "Conflict"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a JobQueue or its Secrets: `reason` of the condition, and one sentence."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the API server said of the pods of a JobQueue; `code` and `sentence` are of the first that it refused."""

    accepted: bool
    code: str = ""
    sentence: str = ""


@dataclass
class Entry:
    """One JobQueue as it was last seen."""

    namespace: str
    name: str
    generation: int = 0
    uid: str = ""
    created: str = ""
    """creationTimestamp: of two on one queue the older serves it."""
    fault: Fault | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    """As the API server last showed it, or as it was last written."""
    given_back_before: int = 0
    """Give-backs that the status counted when this operator first saw it."""
    put: tuple[object, ...] | None = field(default=None, repr=False)
    """What the engine serves: generation, URL and CA of Redis, stores."""
    notice: Fault | None = None
    """What troubles a JobQueue that is served."""
    rehearsed: Rehearsed | None = None
    """None: not yet, or the API server could not tell."""
    identity: str = ""
    """The queue it is for, wherever it lives; empty while that is not known."""

    @property
    def full_name(self) -> str:
        """`<namespace>/<name>`, as the engine calls it."""
        return f"{self.namespace}/{self.name}"

    @property
    def seniority(self) -> tuple[str, str]:
        """Less is older."""
        return self.created, self.full_name


def entry_of(key: Key, body: Mapping[str, Any]) -> Entry:
    """Make the entry of a JobQueue that was not known before."""
    metadata, before = body.get("metadata") or {}, (body.get("status") or {}).get("giveBacks")
    return Entry(
        *key,
        uid=str(metadata.get("uid") or ""),
        created=str(metadata.get("creationTimestamp") or ""),
        given_back_before=before if isinstance(before, int) else 0,
    )


def replaced(entry: Entry, metadata: Mapping[str, Any]) -> bool:
    """Whether *metadata* is of another JobQueue of the same name: one was deleted, another was created."""
    return str(metadata.get("uid") or "") != entry.uid


def belated(entry: Entry, metadata: Mapping[str, Any]) -> bool:
    """Whether *metadata* is of the one that was deleted: kopf keeps order for each object, not between two of them."""
    return str(metadata.get("creationTimestamp") or "") < entry.created


def invalid_spec(error: ValidationError) -> Fault:
    """Say what is wrong with a spec: the first problem, its field and what was expected."""
    first = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return Fault("InvalidSpec", f"spec{where}: {first['msg'].removeprefix('Value error, ')}")


def identity(url: str, spec: JobQueueSpec) -> str:
    """Tell one queue from all others, as far as the URL of its Redis does: two names of one server are not known."""
    parts = urlsplit(url)
    place = f"{parts.netloc.rpartition('@')[2].lower()}/{parts.path.strip('/') or '0'}?{parts.query}"
    return f"{place} {spec.prefix}:{spec.queue}"


def conflict(entry: Entry, others: Iterable[Entry]) -> Fault | None:
    """Say which older JobQueue serves the queue of *entry*; None: there is none."""
    older = [one for one in _rivals(entry, others) if one.seniority < entry.seniority]
    if not older:
        return None
    first = min(older, key=lambda one: one.seniority)
    sentence = f"JobQueue {first.full_name} serves this queue of this Redis already; delete one of the two"
    return Fault(CONFLICT, sentence)


def younger_rivals(entry: Entry, others: Iterable[Entry]) -> list[Entry]:
    """Find those that have to stop serving because *entry* does."""
    return [one for one in _rivals(entry, others) if one.seniority > entry.seniority and one.put is not None]


def _rivals(entry: Entry, others: Iterable[Entry]) -> Iterator[Entry]:
    return (one for one in others if one is not entry and one.identity and one.identity == entry.identity)
