"""The settings of the job type: rules of the user, and whether scripts may be fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from bullpen_processors.api import AllowPolicy, Json, SettingsError
from bullpen_processors.sast.external import FetchLimits
from bullpen_processors.sast.models import Models, built_in, built_in_models

RULES: Final = "sast.rules"
EXPLAIN: Final = "explain"
FETCH: Final = "sast.fetch"
_HOST: Final = re.compile(r"(?:\*\.)?[^\s/:*@?#]{1,253}")


@dataclass(frozen=True, slots=True)
class SastSettings:
    """What a JobQueue says about the analysis."""

    models: Models
    explain: bool = False
    """Whether the value says what was seen and not reported."""
    fetch: FetchLimits | None = None
    """What may be fetched; None: nothing."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Json]) -> SastSettings:
        """Read them; raises SettingsError."""
        folder, explain = settings.get(RULES), settings.get(EXPLAIN) or False
        if not isinstance(explain, bool):
            raise SettingsError(f"setting {EXPLAIN}: expected true or false")
        fetch = fetch_limits(settings.get(FETCH))
        if folder is None or folder == "":
            return cls(built_in_models(), explain, fetch)
        if not isinstance(folder, str):
            raise SettingsError(f"setting {RULES}: expected a folder of rules (*.yaml), as text")
        return cls(_with_rules_of(Path(folder)), explain, fetch)


def fetch_limits(given: Json) -> FetchLimits | None:
    """Read the setting `sast.fetch`: true, false, or an object of what differs; raises SettingsError."""
    if given is None or given is False:
        return None
    if given is True:
        return FetchLimits()
    if not isinstance(given, dict) or given.keys() - _FETCH.keys():
        raise SettingsError(f"setting {FETCH}: expected true, false or an object of {', '.join(_FETCH)}")
    read = {name: _checked(name, value) for name, value in given.items()}
    policy = {name: read.pop(name) for name in ("schemes", "hosts", "networks", "redirects") if name in read}
    fields = {_FIELDS[name]: value for name, value in read.items()}
    return FetchLimits(AllowPolicy(**policy), **fields)


_FIELDS: Final = {
    "timeoutSeconds": "timeout_s",
    "totalSeconds": "total_s",
    "maxBytes": "limit_bytes",
    "totalBytes": "total_bytes",
    "maxScripts": "count",
}


def _checked(name: str, value: Json) -> Any:
    expected, is_right = _FETCH[name]
    if not is_right(value):
        raise SettingsError(f"setting {FETCH}: {name}: expected {expected}")
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _all_are(is_one: Callable[[str], bool]) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, str) and is_one(item) for item in value)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


_LARGEST: Final = 1_000_000_000
_FETCH: Final[Mapping[str, tuple[str, Callable[[Json], bool]]]] = {
    "schemes": ("a list of http and https", _all_are(("http", "https").__contains__)),
    "hosts": ("a list of host names, each alone or after *.", _all_are(lambda text: _HOST.fullmatch(text) is not None)),
    "networks": ("a list of networks such as 10.1.0.0/16", _all_are(_is_network)),
    "redirects": ("a whole number from 0 to 20", lambda value: _is_count(value) and value <= _MOST_REDIRECTS),
    "timeoutSeconds": ("a number above 0", _is_number),
    "totalSeconds": ("a number above 0", _is_number),
    "maxBytes": ("a whole number", _is_count),
    "totalBytes": ("a whole number", _is_count),
    "maxScripts": ("a whole number", _is_count),
}
"""What the setting may hold -> what is expected, and whether a value is that."""
_MOST_REDIRECTS: Final = 20


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
    _check_ids(own)
    return Models.from_json([*built_in(), *own])


def _check_ids(own: Sequence[Mapping[str, Any]]) -> None:
    """Refuse ids that two files have, or one that is ours: findings name rules by them."""
    known = {rule["id"]: f"the built-in family {family['family']}" for family in built_in() for rule in family["rules"]}
    for family in own:
        for rule in family["rules"]:
            if rule["id"] in known:
                raise SettingsError(f"setting {RULES}: rule {rule['id']}: {known[rule['id']]} has one of that id")
        known |= {rule["id"]: f"the family {family['family']}" for rule in family["rules"]}
