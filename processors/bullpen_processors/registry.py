"""Which processors exist: ours, and those that installed packages name in the group `bullpen.processors`.

A processor is imported only when it is loaded. Ours are found without importlib.metadata, which costs 50 ms to import:
each attempt is a process of its own, and waits for this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from bullpen_processors.api import Processor

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "bullpen.processors"
OURS: Final = "bullpen"
"""Name of our own distribution."""

BUILT_IN: Final[Mapping[str, str]] = {
    "http-ingest": "bullpen_processors.http.ingest:HttpIngest",
    "sparql-update": "bullpen_processors.sparql.update:SparqlUpdate",
}
"""Name -> `module:class`. pyproject.toml lists the same as entry points; a test holds the two together."""


class RegistryError(LookupError):
    """No processor can be had by a name; one sentence says why."""


class UnknownProcessorError(RegistryError):
    """No package has a processor of this name."""


class AmbiguousProcessorError(RegistryError):
    """Two packages have a processor of this name: neither is chosen."""


class UnloadableProcessorError(RegistryError):
    """The entry point can't be imported, or what it names is no processor."""


def load(name: str) -> Processor:
    """Import the processor *name* and make it; raises RegistryError."""
    if name in BUILT_IN and not _others_declare():
        return _make(name, BUILT_IN[name], OURS)
    found = _declared().get(name, {})
    if not found:
        raise UnknownProcessorError(f"no processor is named {name[:80]!r}; there are: {', '.join(sorted(names()))}")
    if len(found) > 1:
        raise AmbiguousProcessorError(
            f"processor {name!r} is in {len(found)} packages, {' and '.join(sorted(found))}: remove all but one"
        )
    [(package, target)] = found.items()
    return _make(name, target, package)


def names() -> dict[str, tuple[str, ...]]:
    """Return each name with the packages that have it, ours included; nothing is imported."""
    return {name: tuple(sorted(found)) for name, found in sorted(_declared().items())}


def _make(name: str, target: str, package: str) -> Processor:
    module, _, attribute = target.partition(":")
    try:
        processor = getattr(import_module(module), attribute)()
    except Exception as error:
        raise UnloadableProcessorError(
            f"processor {name!r} of package {package} can't be loaded from {target}: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(processor, "process", None)):
        raise UnloadableProcessorError(f"processor {name!r} of package {package} has no method process: {target}")
    return processor  # type: ignore[no-any-return]


def _declared() -> dict[str, dict[str, str]]:
    """Return name -> package -> target."""
    declared = {name: {OURS: target} for name, target in BUILT_IN.items()}
    for package, point in _entry_points():
        if package != OURS:
            declared.setdefault(point.name, {})[package] = point.value
    return declared


def _entry_points() -> Iterator[tuple[str, EntryPoint]]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 50 ms, and most attempts don't need it

    for point in entry_points(group=GROUP):
        if point.dist is not None:
            yield point.dist.name, point


def _others_declare() -> bool:
    """Tell whether a package besides ours seems to name processors: 1 ms, where asking importlib.metadata takes 60."""
    return any(_mentions_group(folder) for path in sys.path for folder in _metadata_folders(path))


def _metadata_folders(path: str) -> Iterator[str]:
    try:
        with os.scandir(path or ".") as entries:
            yield from (
                entry.path
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info")) and not entry.name.startswith(f"{OURS}-")
            )
    except OSError:
        return  # zip files and folders that are gone: Python's path is full of them


def _mentions_group(folder: str) -> bool:
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - pathlib takes longer than all this
            return f"[{GROUP}]".encode() in file.read()
    except OSError:
        return False
