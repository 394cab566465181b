"""Where queues are and where `bullpen local` keeps its state, unless an option says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATE: Final = Path(".bullpen")
PREFIX: Final = "bull"
