"""What an operation asks its driver to do. Operations are generators: they know no connection and wait for nothing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, TypeVar

Argument: TypeAlias = str | int | bytes
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """One Redis command.

    `again`: doing it twice changes nothing, so a lost answer may be asked for once more. `keyless`: it names no key.
    """

    args: tuple[Argument, ...]
    again: bool = False
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """One script by its file name. Never sent again by the driver unless `again`: the operation knows what is safe."""

    name: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands in one round trip, in order, not atomic; the reply is the list of theirs."""

    commands: tuple[Command, ...]
    again: bool = False


class Clock(Enum):
    """Asks for the time of the Redis server in milliseconds since the epoch."""

    NOW = "now"


NOW: Final = Clock.NOW
Step: TypeAlias = Command | Script | Batch | Literal[Clock.NOW]
Operation: TypeAlias = Generator[Step, Any, T]
"""Yields steps, is sent their replies (or is thrown a RedisFaultError), returns its result."""


def read(*args: Argument) -> Command:
    """Build a command that only reads."""
    return Command(args, again=True)
