"""Which processors exist: ours, and those that installed packages name in the group `bullpen.processors`.

A processor is imported only when it is loaded. Each attempt is a process of its own and waits for this, so the metadata
of packages is read without importlib.metadata, which takes 50 ms to import; it is asked when a name was not found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final, TypeAlias

from bullpen_processors.api import Processor

GROUP: Final = "bullpen.processors"
OURS: Final = "bullpen"
"""Name of our own distribution."""

BUILT_IN: Final[Mapping[str, str]] = {
    "http-ingest": "bullpen_processors.http.ingest:HttpIngest",
    "http-resolver": "bullpen_processors.http.resolver:HttpResolver",
    "sast-analyze": "bullpen_processors.sast.analyzer:SastAnalyze",
    "sparql-update": "bullpen_processors.sparql.update:SparqlUpdate",
    "techstack-analyze": "bullpen_processors.techstack.analyze:TechstackAnalyze",
}
"""Name -> `module:class`. pyproject.toml lists the same as entry points; a test holds the two together."""


_Found: TypeAlias = dict[str, dict[str, str]]
"""Name -> package -> `module:class`."""


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
    found = _read().get(name) or _declared().get(name) or {}
    if not found:
        raise UnknownProcessorError(f"no processor is named {name[:80]!r}; there are: {', '.join(names())}")
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


def _declared() -> _Found:
    """Ask importlib.metadata, which knows packages in archives and of other finders too."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 50 ms, and hardly any attempt needs it

    found = _built_in()
    for point in entry_points(group=GROUP):
        if point.dist is not None and point.dist.name != OURS:
            found.setdefault(point.name, {})[point.dist.name] = point.value
    return found


def _read() -> _Found:
    """Read what packages in the folders of sys.path declare: 1 ms, where importlib.metadata takes 60."""
    found, seen = _built_in(), {OURS}
    for folder in (folder for path in sys.path for folder in _metadata_folders(path)):
        package = os.path.basename(folder).partition("-")[0].replace("_", "-")  # noqa: PTH119 - pathlib is slow to import
        if package in seen:
            continue  # Python imports the one that comes first
        seen.add(package)
        for name, target in _points(folder):
            found.setdefault(name, {})[package] = target
    return found


def _built_in() -> _Found:
    return {name: {OURS: target} for name, target in BUILT_IN.items()}


def _metadata_folders(path: str) -> list[str]:
    try:
        with os.scandir(path or ".") as entries:
            return [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
    except OSError:
        return []  # archives, and folders that are gone: Python's path is full of them


def _points(folder: str) -> Iterator[tuple[str, str]]:
    """Yield name and target of each entry point of our group."""
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            text = file.read()
    except OSError:
        return
    _, heading, rest = text.partition(f"[{GROUP}]".encode())
    section = rest.partition(b"\n[")[0] if heading else b""
    for line in section.decode("utf-8", "replace").splitlines():
        name, equals, target = line.partition("=")
        if equals and not name.lstrip().startswith(("#", ";")):
            yield name.strip(), target.partition("[")[0].strip()
