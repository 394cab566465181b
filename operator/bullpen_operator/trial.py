"""`python -m bullpen_operator try`: adds one real job, as a producer does, and waits until it has completed.

It is what `helm test` runs: it knows Redis and nothing of the cluster, so what it finds, a producer will find.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_protocol.bullmq import ConsoleQueue, RedisAwayError, RedisFaultError, ServerUrlError, connect

REDIS_URL: Final = "BULLPEN_REDIS_URL"
REDIS_CA: Final = "BULLPEN_REDIS_CA"
LOOK_S: Final = 0.5
PATIENCE_S: Final = 30.0
"""A Redis that was installed a moment ago answers by then."""
LINES: Final = 5
"""Of the job's own log, as many are told: there the operator writes why it does not start."""
KEPT: Final = {"removeOnComplete": {"age": 3600}, "removeOnFail": {"age": 3600}}

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried."""

    queue: str
    name: str
    data: str
    timeout_s: float
    prefix: str = "bull"


class TrialError(Exception):
    """The job did not complete; the message says how far it came and where to look."""


def attempt(queue: ConsoleQueue, trial: Trial, tell: Tell) -> str:
    """Add the job, tell its states, and return what it came to (JSON).

    Raises:
        TrialError: it failed, or was not done in time.
    """
    until = time.monotonic() + trial.timeout_s
    _reach(queue, min(until, time.monotonic() + PATIENCE_S))
    job_id = queue.add(trial.name, trial.data, KEPT)
    tell(f"added job {job_id} ({trial.name}) to queue {trial.queue}")
    state = ""
    while time.monotonic() < until:
        before, state = state, queue.state(job_id)
        if state != before:
            tell(f"job {job_id} is {state}")
        if state in ("completed", "failed"):
            return _came_to(queue, job_id, state)
        time.sleep(LOOK_S)
    lines, _ = queue.logs(job_id, LINES)
    where = _WHERE.get(state, _WHERE["active"])
    raise TrialError("\n".join([f"job {job_id} is {state} after {trial.timeout_s:g} s: {where}", *map(safe, lines)]))


def _reach(queue: ConsoleQueue, until: float) -> None:
    """Wait for Redis; what keeps it from answering is raised when the time is over."""
    while True:
        try:
            queue.now_ms()
            return
        except RedisAwayError:
            if time.monotonic() >= until:
                raise
            time.sleep(LOOK_S)


def _came_to(queue: ConsoleQueue, job_id: str, state: str) -> str:
    job = queue.load(job_id)
    if job is None or state == "failed":
        raise TrialError(f"job {job_id} failed: {safe((job.failed_reason if job else None) or 'no reason given')}")
    return job.returnvalue or "null"


_WHERE: Final = {
    "waiting": "nobody claimed it; the operator's log says why (kubectl logs deploy/...)",
    "delayed": "it was given back, and this is why:",
    "active": "it was claimed and its pod has not done it; what is known of it:",
}


def run(trial: Trial, environment: Mapping[str, str]) -> int:
    """Try, and say what came of it; the exit code is 0 if the job completed."""
    try:
        client = connect(environment.get(REDIS_URL, ""), ca=environment.get(REDIS_CA) or None)
        try:
            value = attempt(ConsoleQueue(client, trial.queue, trial.prefix), trial, _tell)
        finally:
            client.close()
    except (TrialError, ServerUrlError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except RedisFaultError as error:
        hint = "is the url of its Secret right, and may pods reach it?"
        sys.stderr.write(f"Redis does not do what it is asked ({safe(str(error))}); {hint}\n")
        return 1
    _tell(f"it completed: {safe(value)}")
    return 0


def _tell(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
