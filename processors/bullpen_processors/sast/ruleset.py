"""Rules as people write them: YAML, checked by pydantic, and compiled to what a job reads in a millisecond.

python -m bullpen_processors.sast.ruleset       # writes rules/compiled.json anew
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bullpen_processors.sast.models import BUILT_IN

_One = Annotated[str, Field(min_length=1, max_length=120)]
_Some = _One | Annotated[list[_One], Field(min_length=1, max_length=200)]


def _without_blanks(path: str) -> str:
    if not re.fullmatch(r"(?:new )?\S{1,120}", path):
        raise ValueError("expected a path such as toast.show, *.notifier.show or new URL")
    return path


_Path = Annotated[str, AfterValidator(_without_blanks)]
_Paths = _Path | Annotated[list[_Path], Field(min_length=1, max_length=200)]
_Bit = Literal["html", "code", "url-prefix", "url-suffix", "url-scheme", "url-tail", "url-start"]
_Origin = Literal["url", "name", "referrer", "message", "network", "storage", "cookie", "dom"]
_Kind = Literal[
    "dom-xss", "code-injection", "open-redirect", "resource-url", "css-injection", "url-injection", "angular-bypass",
    "prototype-pollution-sink", "cookie-injection",
]  # fmt: skip
_LONGEST: Final = 497
_LARGEST: Final = 1_000_000
"""Bytes of a file of rules."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class SourceEntry(_Strict):
    """`read`: values that somebody else writes."""

    read: _Paths
    gives: list[_Bit] | None = None
    origin: _Origin = Field(alias="from")


class CallbackEntry(_Strict):
    """A function of the page that is handed values somebody else writes."""

    call: _Paths | None = None
    assign: _Paths | None = None
    first: _Paths | None = None
    argument: int = Field(0, ge=0, le=20)
    parameter: int = Field(0, ge=0, le=20)
    field: str = ""
    gives: list[_Bit] | None = None
    origin: _Origin = Field(alias="from")

    @model_validator(mode="after")
    def _one_place(self) -> CallbackEntry:
        if (self.call is None) == (self.assign is None):
            raise ValueError("expected one of call and assign")
        return self


class SinkEntry(_Strict):
    """Where values do harm."""

    call: _Paths | None = None
    assign: _Paths | None = None
    arguments: list[int] = []
    names: _Some | None = None
    receivers: _Paths | None = None
    tags: list[str] | None = None
    field: str = ""
    most: int = Field(0, ge=0, le=20)
    needs: list[_Bit] | None = None
    kind: _Kind
    audit: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> SinkEntry:
        if (self.call is None) == (self.assign is None):
            raise ValueError("expected one of call and assign")
        return self


class PropagatorEntry(_Strict):
    """A call whose result holds its input."""

    call: _Paths
    inputs: list[str | int] | str = "arguments"
    output: Literal["result", "receiver", "callback"] = "result"
    how: Literal["copy", "text", "piece", "flat", "element", "stored", "trim"] = "text"


class SanitizerEntry(_Strict):
    """A call that makes its input safe for some uses."""

    call: _Paths
    inputs: list[str | int] | str = "arguments"
    clears: list[_Bit] | None = None


class RuleEntry(_Strict):
    """One thing that is known of an API, with a script that has a finding and one that looks alike and has none."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
    cites: Annotated[str, Field(pattern=r"^https://")]
    sources: list[SourceEntry] = []
    callbacks: list[CallbackEntry] = []
    sinks: list[SinkEntry] = []
    propagators: list[PropagatorEntry] = []
    sanitizers: list[SanitizerEntry] = []
    bad: str = Field(min_length=1)
    good: str = Field(min_length=1)


class Family(_Strict):
    """A file of rules: one library, or one family of APIs."""

    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
    rules: Annotated[list[RuleEntry], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Family:
        twice = [id_ for id_, count in Counter(rule.id for rule in self.rules).items() if count > 1]
        if twice:
            raise ValueError(f"two rules have the id {twice[0]}")
        return self


class RuleError(ValueError):
    """A file of rules is wrong; the message names file, rule, line and reason, at most 500 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= _LONGEST else f"{message[:_LONGEST]}...")


def read(path: Path) -> dict[str, Any]:
    """Read and check a file of rules; raises RuleError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path.name}: can't be read: {error}") from None
    return check(path.name, text)


def check(name: str, text: str) -> dict[str, Any]:
    """Check the text of a file of rules; raises RuleError."""
    if len(text) > _LARGEST:
        raise RuleError(f"{name}: larger than {_LARGEST} characters")
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        given = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark is not None else ""
        raise RuleError(f"{name}:{line} no YAML: {getattr(error, 'problem', None) or type(error).__name__}") from None
    try:
        family = Family.model_validate(given)
    except ValidationError as error:
        raise RuleError(_reason(name, given, tree, error)) from None
    return family.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _reason(name: str, given: Any, tree: yaml.Node | None, error: ValidationError) -> str:
    errors = [(_place(one["loc"]), one["msg"]) for one in error.errors(include_url=False, include_input=False)]
    # of what may be one or a list, pydantic tells first why it is not one
    first = errors[0][0]
    place, message = max((one for one in errors if one[0][: len(first)] == first), key=lambda one: len(one[0]))
    rule = ""
    if len(place) > 1 and place[0] == "rules" and isinstance(place[1], int):
        entry = given["rules"][place[1]]
        rule = f" rule {str(entry.get('id', place[1]) if isinstance(entry, dict) else place[1])[:80]}:"
    where = f" {'.'.join(map(str, place))}:" if place else ""
    return f"{name}: line {_line(tree, place)}:{rule}{where} {message.removeprefix('Value error, ')}"


def _place(parts: Sequence[int | str]) -> list[int | str]:
    """Leave out what pydantic calls the sorts of a union."""
    return [
        part for part in parts
        if isinstance(part, int) or not part.startswith(("function", "list[", "constrained"))
    ]  # fmt: skip


def _line(tree: yaml.Node | None, place: Sequence[int | str]) -> int:
    """Follow a place as far as it goes; lines count from 1."""
    node = tree
    for part in place:
        if isinstance(node, yaml.MappingNode):
            following = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            following = node.value[part]
        else:
            following = None
        if following is None:
            break
        node = following
    return node.start_mark.line + 1 if node is not None else 1


def compiled(folder: Path) -> str:
    """Return all rules of a folder, checked, as one text."""
    families = [read(path) for path in sorted(folder.glob("*.yaml"))]
    return json.dumps(families, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    BUILT_IN.write_text(compiled(BUILT_IN.parent), "utf-8")
    sys.stdout.write(f"{BUILT_IN.name} written\n")
