"""What is known of one job, and the one sentence that says why it is where it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bullpen_cli.jobs import body as listed
from bullpen_cli.jobs import shown_progress
from bullpen_cli.telling import count, moment, span
from bullpen_operator.decide import owns
from bullpen_operator.escaping import safe
from bullpen_operator.naming import kube_job_name
from bullpen_protocol.bullmq import Job, Location, Standing

OURS: Final = "bullpen/"
"""Every token of Bullpen's begins so."""
REASON_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """One job as Redis has it, read within some milliseconds."""

    queue: str
    job: Job
    standing: Standing
    location: Location
    now_ms: int
    log: tuple[str, ...] = ()
    """The last lines."""
    log_count: int = 0

    @property
    def token(self) -> str:
        """T of the last attempt of Bullpen's; empty: there was none."""
        token = (self.job.pb or "").partition("#")[0]
        return token if token.startswith(OURS) else ""

    @property
    def pod_uid(self) -> str:
        """Uid of the pod that has bound that attempt; empty: none has."""
        return (self.job.pb or "").partition("#")[2] if self.token else ""

    @property
    def attempt_name(self) -> str:
        """Name of that attempt: of its KubeJob, or of its folder here."""
        return kube_job_name(self.queue, self.job.id, self.token) if self.token else ""

    @property
    def runs(self) -> bool:
        """Whether the job is in the hands of that attempt."""
        return bool(self.token) and owns(self.token, self.location)

    @property
    def give_backs(self) -> int:
        """How often it was given back without an attempt spent."""
        number = self.job.bullpen.get("giveBacks")
        return number if type(number) is int and number > 0 else 0


def sentence(facts: Facts) -> str:
    """Say in one sentence what state the job is in and why."""
    say = _SENTENCES.get(facts.standing.state, _unknown)
    return f"Job {safe(facts.job.id, 80)} of queue {safe(facts.queue, 80)} {say(facts)}."


def missing(queue: str, prefix: str, job_id: str) -> str:
    """Say that there is no such job."""
    where = f"queue {safe(queue, 80)} under the prefix {safe(prefix, 80)}"
    why = "it was never added there, or it was removed (by removeOnComplete, removeOnFail or by hand)"
    return f"There is no job {safe(job_id, 80)} in {where}: {why}."


def _waiting(facts: Facts) -> str:
    standing = facts.standing
    where = "is the next to run" if standing.before == 0 else f"waits behind {count(standing.before, 'job')}"
    rank = f" with priority {facts.job.priority:,}" if standing.state == "prioritized" else ""
    return where + rank + _held(facts) + _past(facts)


def _held(facts: Facts) -> str:
    standing = facts.standing
    if facts.job.defa:
        return f" and fails as soon as it is claimed: {_reason(facts.job.defa)}"
    if standing.paused:
        return ", but the queue is paused"
    if standing.held_ms:
        return f", but the queue's rate limit lets nothing start for another {span(standing.held_ms)}"
    if standing.full:
        return f", but the queue allows {count(standing.concurrency or 0, 'active job')} at once"
    if standing.limit is None and standing.limiter_ms:
        counted = count(standing.started, "start")
        return f" (a rate limit has counted {counted} and begins anew in {span(standing.limiter_ms)})"
    return ""


def _delayed(facts: Facts) -> str:
    due = facts.standing.due_at_ms
    left = due - facts.now_ms
    when = f"in {span(left)}, at {moment(due)}" if left > 0 else "now, as soon as somebody claims from the queue"
    paused = ", but the queue is paused" if facts.standing.paused else ""
    why = _past(facts) or "; its producer wanted the delay"
    return f"is delayed and due {when}{paused}{why}"


def _past(facts: Facts) -> str:
    """Say what has been tried already."""
    job, parts = facts.job, []
    if job.atm:
        made = f"{job.atm} of {count(max(1, job.attempts), 'attempt')} {'is' if job.atm == 1 else 'are'} spent"
        parts.append(f"{made}, the last one failed: {_reason(job.failed_reason)}" if job.failed_reason else made)
    if facts.give_backs:
        parts.append(given_back(facts))
    if job.stc:
        parts.append(f"it stalled {_times(job.stc)}")
    return "".join(f"; {part}" for part in parts)


def given_back(facts: Facts) -> str:
    """Say how often it was given back, and why the last time."""
    last = facts.job.bullpen.get("reason")
    why = f", the last time for {safe(last, 80)}" if isinstance(last, str) and last else ""
    return f"it was given back {_times(facts.give_backs)} with no attempt spent{why}"


def _active(facts: Facts) -> str:
    job, location = facts.job, facts.location
    if not facts.runs:
        return _elsewhere(facts)
    which = f"attempt {job.atm + 1} of {max(1, job.attempts)}"
    since = span(facts.now_ms - job.processed_on) if job.processed_on else "a while"
    if job.cancel == facts.token:
        return f"is being cancelled: its operator ends {which}, which was claimed {since} ago"
    if not facts.pod_uid:
        return f"was claimed {since} ago for {which}, which has not started yet{_past(facts)}"
    if location.lock is None:
        return f"is active, but nobody renews its lock: {which}, claimed {since} ago, is over or out of reach"
    progress = shown_progress(job)
    return (
        f"has been running for {since}: {which}"
        + (f", progress {safe(progress, 80)}" if progress else "")
        + _past(facts)
    )


def _elsewhere(facts: Facts) -> str:
    name = facts.job.pb
    who = f"a worker named {safe(name, 80)}" if name and not name.startswith(OURS) else "a worker that left no name"
    lock = "" if facts.location.lock is not None else ", but nobody renews its lock"
    return f"is active, not under Bullpen: {who} has it{lock}"


def _children(facts: Facts) -> str:
    return f"waits for {count(facts.standing.children, 'child', 'children')} to end"


def _completed(facts: Facts) -> str:
    job = facts.job
    which = f"at attempt {job.atm} of {max(1, job.attempts)}" if job.atm else "without an attempt that counts"
    return f"completed {_ago(facts)}, {which}, {_took(job)}"


def _failed(facts: Facts) -> str:
    job, most = facts.job, max(1, facts.job.attempts)
    spent = f"after {job.atm} of {count(most, 'attempt')}"
    more = " (retrying would not have helped)" if 0 < job.atm < most else ""
    return f"failed {_ago(facts)}, {spent}{more}: {_reason(job.failed_reason)}"


def _unknown(_: Facts) -> str:
    return "is in no list of its queue: it is between two states at this moment, or its queue was damaged"


def _ago(facts: Facts) -> str:
    finished = facts.job.finished_on
    return f"{span(facts.now_ms - finished)} ago" if finished else "at an unknown time"


def _took(job: Job) -> str:
    if not (job.processed_on and job.finished_on):
        return "after an unknown time"
    return f"after {span(job.finished_on - job.processed_on)}"


def _reason(text: str | None) -> str:
    return safe(text or "it gives no reason", REASON_LIMIT).rstrip(". ")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


_SENTENCES: Final[Mapping[str, Callable[[Facts], str]]] = {
    "waiting": _waiting,
    "prioritized": _waiting,
    "delayed": _delayed,
    "active": _active,
    "waiting-children": _children,
    "completed": _completed,
    "failed": _failed,
}


def body(facts: Facts) -> dict[str, Any]:
    """Describe it to programs; times in milliseconds since the epoch."""
    standing = facts.standing
    return listed(standing.state, facts.job) | {
        "queue": facts.queue,
        "why": sentence(facts),
        "before": standing.before if standing.state in ("waiting", "prioritized") else None,
        "dueAt": standing.due_at_ms or None,
        "paused": standing.paused,
        "giveBacks": facts.give_backs,
        "attemptName": facts.attempt_name or None,
        "podUid": facts.pod_uid or None,
        "log": list(facts.log),
    }
