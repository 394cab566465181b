"""What is wrong with a JobQueue that is served: the reason of a condition, and one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_operator.served import Lane
from bullpen_protocol.bullmq import RedisFaultError, RedisRefusedError
from bullpen_protocol.bullmq.errors import UNFIT


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a JobQueue; nothing, unless it says so."""

    reason: str = ""
    sentence: str = ""
    stops: bool = True
    """Nothing is claimed because of it."""


def trouble_of(lane: Lane, fault: RedisFaultError | None) -> Trouble:
    """Say what is wrong with a JobQueue, worst first; *fault*: its Redis can't be read now."""
    fault = _fault_of(lane.redis_fault or lane.audit_fault, fault)
    if fault is not None:
        return redis_trouble(fault)
    if lane.breaker.open:
        return Trouble("BreakerOpen", lane.breaker.sentence)
    if lane.away:
        return Trouble("StoreAway", lane.away_sentence)
    if lane.launcher_pause.active:
        why = f"attempts can't be launched right now ({lane.launcher_trouble}); claimed jobs keep their locks"
        return Trouble("LauncherAway", why)
    if lane.unknown_names:
        # Names that no job type serves hold up their own jobs only: the others are claimed.
        names = ", ".join(repr(name) for name in list(lane.unknown_names)[-3:])
        return Trouble("UnknownNames", f"no job type serves jobs named {names}; they wait until one does", stops=False)
    return Trouble(stops=False)


def _fault_of(met: Exception | None, fresh: RedisFaultError | None) -> RedisFaultError | None:
    """Choose between what was *met* while claiming and what is met now: a refusal stands although reading goes well."""
    if isinstance(met, RedisRefusedError) or (fresh is not None and isinstance(met, RedisFaultError)):
        return met
    return fresh


_REFUSED: Final[Mapping[str, str]] = {
    "NOAUTH": "Redis refuses the user or password of the URL in its Secret ({}); mend the Secret",
    "NOPERM": "Redis does not let its user do what Bullpen needs ({}); docs/bullmq.md has the ACL",
    "OOM": "Redis has no memory left ({}); raise its maxmemory or remove jobs",
}


def redis_trouble(fault: RedisFaultError) -> Trouble:
    """Say what keeps Redis from serving, and who can mend it."""
    said = safe(str(fault)).rstrip(".")
    if not isinstance(fault, RedisRefusedError):
        return Trouble("RedisAway", f"Redis does not answer ({said}); jobs wait where they are")
    if fault.kind == UNFIT:
        return Trouble("RedisUnfit", said)
    return Trouble("RedisRefused", _REFUSED.get(fault.kind, "Redis refuses to serve the queue ({})").format(said))
