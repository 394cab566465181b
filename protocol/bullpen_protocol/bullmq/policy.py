"""What a job's options mean when an attempt ends: retry or not, after how long, what is kept. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bullpen_protocol.bullmq.encoding import to_json
from bullpen_protocol.bullmq.job import Job, number

PARENT_FLAGS: Final = ("fpof", "cpof", "idof", "rdof")
"""A child's failParentOnFailure, continueParentOnFailure, ignoreDependencyOnFailure, removeDependencyOnFailure."""

LONGEST_DELAY_MS: Final = 10 * 365 * 24 * 3600 * 1000
"""An exponential backoff is cut here: the scores of delayed jobs would lose their order far above it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `delay_ms`; 0 puts the job back to wait at once."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Fail for good. `because` is added to the reason when the options themselves are at fault."""

    because: str = ""


def after_failure(job: Job, *, unrecoverable: bool, draw: Callable[[], float] = random.random) -> Retry | GiveUp:
    """Decide as BullMQ's worker does; *draw* gives the jitter, in [0, 1).

    A backoff type that BullMQ does not bring (a custom strategy lives in the code of a worker) gives up with a
    sentence: the alternative is a job that stays active for ever.
    """
    if unrecoverable or job.atm + 1 >= job.attempts:
        return GiveUp()
    backoff = job.opts.get("backoff")
    if not backoff:
        return Retry(0)
    if not isinstance(backoff, Mapping):
        backoff = {"type": "fixed", "delay": backoff}
    longest = _backoff(backoff.get("type"), number(backoff.get("delay")), job.atm + 1)
    if longest is None:
        return GiveUp(f"unknown backoff type {str(backoff.get('type'))[:60]!r}")
    return Retry(_with_jitter(max(0, min(longest, LONGEST_DELAY_MS)), backoff.get("jitter"), draw))


def _backoff(kind: Any, delay: int, attempt: int) -> int | None:
    if kind == "fixed":
        return delay
    if kind == "exponential":
        return delay << min(attempt - 1, 64)
    return None


def _with_jitter(delay: int, jitter: Any, draw: Callable[[], float]) -> int:
    """Take a share of up to *jitter* (0 to 1) off the delay."""
    if not isinstance(jitter, int | float) or isinstance(jitter, bool) or jitter <= 0:
        return delay
    share = min(1.0, jitter)
    return int(draw() * delay * share + delay * (1 - share))


def keep_jobs(option: Any) -> dict[str, int]:
    """Translate removeOnComplete / removeOnFail: {count: -1} keeps all, {count: 0} none.

    Only numbers reach the script: it would fail half-way on anything else, after it gave up the lock.
    """
    if option is None:
        return {"count": -1}
    if isinstance(option, Mapping):
        return {key: number(option[key]) for key in ("age", "count", "limit") if _is_number(option.get(key))}
    if _is_number(option):
        return {"count": number(option)}
    return {"count": 0 if option is True or (isinstance(option, str) and option) else -1}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def stacktrace(job: Job, stack: Sequence[str]) -> str:
    """Add *stack* to the traces of earlier attempts, the last stackTraceLimit of them; JSON as BullMQ stores it."""
    traces = [*job.stacktrace, *filter(None, stack)]
    limit = job.opts.get("stackTraceLimit")
    if _is_number(limit):
        traces = traces[-number(limit) :] if limit else []
    return to_json(traces)


def parent_with_flags(job: Job) -> str | None:
    """Render the field `parent` with the flags of the job's options, if it lacks any of them.

    The scripts read the flags there; a producer of 5.7.0 writes idof and cpof into the options only, and its
    parent would wait for ever.
    """
    if not job.parent:
        return None
    missing = {flag: True for flag in PARENT_FLAGS if job.opts.get(flag) and not job.parent.get(flag)}
    return to_json({**job.parent, **missing}) if missing else None


def keep_logs(job: Job) -> int | None:
    """How many lines of its log the producer wants kept; None: all."""
    limit = job.opts.get("kl")
    return number(limit) if _is_number(limit) else None
