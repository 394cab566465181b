"""The settings of the job type: rules of the user, and whether scripts may be fetched."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from bullpen_processors.api import Json, Report, SettingsError
from bullpen_processors.ontoweb.javascript import member
from bullpen_processors.sast.models import Models, built_in, built_in_models

RULES: Final = "sast.rules"
EXPLAIN: Final = "explain"


@dataclass(frozen=True, slots=True)
class SastSettings:
    """What a JobQueue says about the analysis."""

    models: Models
    explain: bool = False
    """Whether the value says what was seen and not reported."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Json]) -> SastSettings:
        """Read them; raises SettingsError."""
        folder, explain = settings.get(RULES), settings.get(EXPLAIN) or False
        if not isinstance(explain, bool):
            raise SettingsError(f"setting {EXPLAIN}: expected true or false")
        if folder is None or folder == "":
            return cls(built_in_models(), explain)
        if not isinstance(folder, str):
            raise SettingsError(f"setting {RULES}: expected a folder of rules (*.yaml), as text")
        return cls(_with_rules_of(Path(folder)), explain)


def codes_of(scripts: Sequence[Json], report: Report) -> Mapping[int, str]:
    """Return the text of external scripts that came without, by index: of those whose address holds it.

    A processor has no network: what the address only names is not analysed, and the job's log says so.
    """
    found, missing = dict[int, str](), 0
    for index, script in enumerate(scripts):
        src = member(script, "src")
        if not isinstance(src, str) or not src or isinstance(member(script, "code"), str):
            continue
        code = _from_data(src)
        if code is None:
            missing += 1
        else:
            found[index] = code
    if missing:
        report.log(f"{missing} external scripts came without their code and are not analysed")
    return found


def _from_data(src: str) -> str | None:
    """Decode a `data:` address (RFC 2397); None for any other, and for one that is broken."""
    head, comma, body = src.partition(",")
    if not comma or not head.strip().lower().startswith("data:"):
        return None
    try:
        plain = unquote_to_bytes(body)
        return (b64decode(plain) if head.rstrip().lower().endswith(";base64") else plain).decode("utf-8", "replace")
    except ValueError:
        return None


def _with_rules_of(folder: Path) -> Models:
    from bullpen_processors.sast.ruleset import RuleError, read  # noqa: PLC0415 - pydantic takes longer than a small page

    if not folder.is_dir():
        raise SettingsError(f"setting {RULES}: there is no folder {folder}")
    try:
        own = [read(path) for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))]
    except RuleError as error:
        raise SettingsError(f"setting {RULES}: {error}") from None
    if not own:
        raise SettingsError(f"setting {RULES}: {folder} holds no *.yaml")
    return Models.from_json([*built_in(), *own])
