"""All that is known of a pod that has ended, as the rules of ended.py ask for it."""

from __future__ import annotations

from typing import Final

from bullpen_operator.seen import KubeJobSeen, PodSeen, Terminated
from bullpen_protocol.assignment import ExitCode, TerminationMessage


class Evidence:
    """All that is known of an ended pod."""

    def __init__(self, pod: PodSeen, seen: KubeJobSeen) -> None:
        self.pod = pod
        self.end = pod.terminated or Terminated(-1)
        self.code = self.end.exit_code or (128 + self.end.signal if self.end.signal else 0)
        self.settings = seen.attempt.settings
        self.said = TerminationMessage.from_text(pod.returned if self.settings.plain else self.end.message)
        self.permanent = self.code in self.settings.permanent_exit_codes
        self.deadline = self._deadline(seen)
        self.final_timeout = seen.attempt.settings.on_timeout == "fail"

    def _deadline(self, seen: KubeJobSeen) -> bool:
        reasons = [self.pod.reason, self.end.reason, *(condition.reason for condition in seen.conditions)]
        return self.code != 0 and "DeadlineExceeded" in reasons

    @property
    def killed(self) -> bool:
        """It ended by a signal that others send, so that who sent it matters; -1: it never ran."""
        return self.code in (-1, ExitCode.OUT_OF_MEMORY, ExitCode.TERMINATED)

    @property
    def finished_by_itself(self) -> bool:
        """It exited with 0 before anybody told it to end: many a program takes SIGTERM for a reason to exit so."""
        told, finished = self.pod.told_at, self.end.finished_at
        if self.code != 0 or (told is None and self.pod.reason):  # evicted for its own disk, nobody says when
            return False
        return told is None or (finished is not None and finished < told)

    @property
    def ran_s(self) -> float:
        """For how long the kubelet says that it ran."""
        started, finished = self.end.started_at, self.end.finished_at
        return (finished - started).total_seconds() if started and finished else 0.0

    @property
    def disrupted(self) -> str:
        """What the cluster did to the pod."""
        pod = self.pod
        if pod.disruption or pod.reason in REFUSALS or pod.reason in _SHUTDOWNS:
            return pod.disruption or pod.reason
        if pod.node_gone:
            return "its node is gone"
        return "it was deleted" if pod.deleting else ""


_SHUTDOWNS: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown", "NodeLost", "Preempting", "Evicted"})
"""status.reason of pods that the kubelet ended for the node's sake; `Evicted` only once it is no limit of the pod's."""

REFUSALS: Final = frozenset(
    {
        "OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "NodeAffinity", "NodePorts",
        "UnexpectedAdmissionError", "TopologyAffinityError", "InvalidNodeInfo", "PodOSSelectorNodeLabelDoesNotMatch",
        "PodOSNotSupported", "AppArmor", "SysctlForbidden", "PodLevelResourcesNotSupported",
    }
)  # fmt: skip
"""status.reason of pods that the kubelet refused after scheduling: they never ran."""
