"""What a pod that died leaves in its job: what Kubernetes said of it, and the end of its log, which outlive the pod."""

from __future__ import annotations

import logging
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_operator.joblog import note
from bullpen_operator.outcome import Outcome, Verdict
from bullpen_operator.ports import LauncherUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen, PodSeen
from bullpen_operator.served import Lane

logger = logging.getLogger(__name__)

LINES: Final = 20
LINE_LIMIT: Final = 500
LIMIT: Final = 4096
"""Characters of a log's end that a job keeps."""


async def leave(lane: Lane, attempt: Attempt, seen: KubeJobSeen | None, uid: str, outcome: Outcome) -> None:
    """Write to the job's log how its pod *uid* ended, before the job is settled: best effort, and not for long."""
    pod = seen.pod(uid) if seen is not None and uid else None
    if seen is None or pod is None or outcome.verdict is Verdict.COMPLETED:
        return
    tail = last_lines(await _log_of(lane, seen, pod)) if pod.started else ""
    await note(lane.queue, attempt.job_id, "\n".join(filter(None, [_headline(attempt, pod, outcome), tail])))


def _headline(attempt: Attempt, pod: PodSeen, outcome: Outcome) -> str:
    where = f" on node {safe(pod.node, 80)}" if pod.node else ""
    words = kubernetes_says(pod)
    said = f" (Kubernetes: {words})" if words else ""
    return f"attempt {attempt.number} ended in pod {safe(pod.name, 80)}{where}: {outcome.sentence}{said}"


def kubernetes_says(pod: PodSeen) -> str:
    """Give the reasons of the cluster's own: how the container ended, what was done to the pod."""
    end = pod.terminated
    container = f"{safe(end.reason or 'no reason', 40)}, exit code {end.exit_code}" if end is not None else ""
    told = (container, safe(pod.reason, 40), safe(pod.disruption, 60))
    return "; ".join(dict.fromkeys(word for word in told if word))


def last_lines(text: str) -> str:
    """Bound and escape the end of a log: whole lines, the last ones."""
    kept: list[str] = []
    room = LIMIT
    for line in reversed(text.splitlines()[-LINES:]):
        shown = safe(line, LINE_LIMIT)
        room -= len(shown) + 1
        if room < 0:
            break
        kept.append(shown)
    return "\n".join(reversed(kept))


async def _log_of(lane: Lane, seen: KubeJobSeen, pod: PodSeen) -> str:
    try:
        return await lane.served.launcher.log_tail(seen, pod.uid, LINES)
    except LauncherUnavailableError as error:
        logger.debug("the end of a log is lost", extra={"kube_job": seen.name, "error": safe(str(error))})
        return ""
