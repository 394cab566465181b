"""YAML as data with the line of every field: no tags, no surprises, bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 50

Path = tuple[str | int, ...]

_PLAIN: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_AS_TEXT: Final = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
"""What PyYAML sees in unquoted text and JSON does not know: kept as it is written."""


class YamlError(ValueError):
    """The text is not what we take for YAML. The message is one sentence; `line` counts from 1, 0: unknown."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: plain data, and the line of each of its fields."""

    value: Any
    line: int
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """Line of a field, or of the nearest one around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


def documents(text: bytes) -> Iterator[Document]:
    """Read all documents that are not empty.

    Raises:
        YamlError: it is not YAML, or holds tags, duplicate keys, or more than a manifest ever needs.
    """
    if len(text) > MAX_BYTES:
        raise YamlError(0, f"the file has {len(text)} bytes; expected at most {MAX_BYTES}")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and node.tag != "tag:yaml.org,2002:null":
                yield _document(node)
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise _not_yaml(error) from error
    finally:
        if loader is not None:
            loader.dispose()


def _not_yaml(error: Exception) -> YamlError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return YamlError(mark.line + 1 if mark else 0, f"not YAML: {error.problem or error.context}")
    if isinstance(error, RecursionError):
        return YamlError(0, f"nested too deep; expected at most {MAX_DEPTH} levels")
    return YamlError(0, "not YAML: it holds characters that YAML does not allow")


def _document(node: Any) -> Document:
    reader = _Reader()
    value = reader.read(node, ())
    return Document(value, node.start_mark.line + 1, reader.lines)


class _Reader:
    """Turns nodes into data; counts what it reads, so that aliases can't multiply without end."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._count = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def read(self, node: Any, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if self._count > MAX_VALUES:
            raise YamlError(line, f"more than {MAX_VALUES} values, aliases counted each time; expected a manifest")
        if len(path) > MAX_DEPTH:
            raise YamlError(line, f"nested too deep; expected at most {MAX_DEPTH} levels")
        if node.tag not in _PLAIN | _AS_TEXT:
            raise YamlError(line, f"the tag {_short_tag(node.tag)} is not taken; expected plain values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, line)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in found:
                raise YamlError(
                    key_node.start_mark.line + 1, f"{key!r} was given before in line {self.lines[(*path, key)]}"
                )
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = self.read(value_node, (*path, key))
        return found

    def _key(self, node: Any) -> str:
        line = node.start_mark.line + 1
        if node.tag == "tag:yaml.org,2002:merge":
            raise YamlError(line, "merge keys (<<) are not taken; write the fields out")
        if not isinstance(node, yaml.ScalarNode):
            raise YamlError(line, "a key is a list or a mapping; expected text")
        return str(node.value)

    def _scalar(self, node: Any, line: int) -> Any:
        if node.tag in _AS_TEXT:
            return node.value
        try:
            value = self._scalars.construct_object(node)
        except (ValueError, yaml.YAMLError) as error:  # a number of thousands of digits
            raise YamlError(line, f"{node.value[:20]!r} can't be read as a value; put it in quotes") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise YamlError(line, f"{node.value!r} is not a number that JSON knows; expected a finite one")
        return value


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:60]
