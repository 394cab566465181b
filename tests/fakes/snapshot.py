"""All that a queue leaves in Redis, made comparable: times become T, job by job."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final

_TIMES: Final = frozenset({"timestamp", "processedOn", "finishedOn"})
_JSON: Final = frozenset({"opts", "stacktrace", "parent"})
_OURS: Final = frozenset({"pb", "bullpen"})
"""What Bullpen leaves in a job's hash beside BullMQ's own fields."""
_PASSING: Final = frozenset({"marker", "stalled-check", "stalled", "events", "limiter"})


def keys_of(client: Any, base: str) -> dict[str, Any]:
    """Read every key that begins with *base*, by the rest of its name; without the streams and what only passes."""
    found = {}
    for key in sorted(client.scan_iter(match=f"{base}*", count=1000)):
        name = key.removeprefix(base)
        if name not in _PASSING:
            found[name] = _value(client, key)
    for name in {"completed", "failed"} & found.keys():
        found[name] = sorted(found[name])  # by time, and two may end in the same millisecond
    return found


def events_of(client: Any, base: str) -> dict[str, list[dict[str, str]]]:
    """Read the event stream, job by job; `drained` comes as often as somebody looked and is left out."""
    by_job: dict[str, list[dict[str, str]]] = defaultdict(list)
    for _, entry in client.xrange(f"{base}events"):
        if entry["event"] == "drained":
            continue
        if entry["event"] == "delayed":
            entry["delay"] = "T"
        by_job[entry.get("jobId", "")].append(entry)
    return dict(by_job)


def _value(client: Any, key: str) -> Any:
    kind = client.type(key)
    if kind == "hash":
        return {name: _field(name, value) for name, value in client.hgetall(key).items() if name not in _OURS}
    if kind == "list":
        return client.lrange(key, 0, -1)
    if kind == "zset":
        return client.zrange(key, 0, -1)
    if kind == "set":
        return sorted(client.smembers(key))
    return client.get(key)


def _field(name: str, value: str) -> Any:
    if name in _TIMES:
        return "T"
    if name not in _JSON:
        return value
    parsed = json.loads(value)
    if name == "opts":
        parsed = {key: "T" if key in ("timestamp", "prevMillis") else item for key, item in parsed.items()}
    return parsed
