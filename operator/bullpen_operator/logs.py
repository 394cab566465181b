"""The operator's log: one JSON object a line (ts, level, ns, msg and what belongs to it), or lines for a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Final, TextIO

import structlog

_TALKATIVE: Final = ("kopf", "aiohttp", "asyncio")
"""Libraries whose news below WARNING are of no use to whoever runs the operator."""


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all that is logged in this process to *stream* (stderr); *level* is a name, an unknown one is INFO."""
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.stdlib.ExtraAdder(),
        _arrange,
    ]
    pretty = stream.isatty()
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(event_key="msg", timestamp_key="ts")
        if pretty
        else structlog.processors.JSONRenderer(default=repr)
    )
    processors: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not pretty:
        processors.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*processors, last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.getLevelNamesMapping().get(level.upper(), logging.INFO))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _arrange(logger: logging.Logger, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Bring the keys into the order in which people look for them."""
    record = event.get("_record")
    ns = record.name if record is not None else logger.name
    return {"ts": event.pop("ts"), "level": event.pop("level"), "ns": ns, "msg": event.pop("event"), **event}
