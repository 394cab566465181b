"""Why the API server makes no pod: what its refusals mean, whoever they were told (us, or the job controller). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ACCOUNT_GRACE_S: Final = 30.0
"""A ServiceAccount may be created a little after what uses it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A stable code, and what is to be thought of it."""

    code: str
    words: str
    """Begins the sentence; Kubernetes' own words follow."""
    configuration: bool = True
    """The JobQueue's fault, or the namespace's: waiting will not mend it."""
    grace_s: float = 0.0
    """It may mend itself for so long."""


_KINDS: Final = {
    r"exceeded quota|failed quota": Refusal("quota", "the namespace's quota leaves no room", False),
    r"serviceaccount \"[^\"]*\" not found": Refusal(
        "service-account", "its ServiceAccount is missing", grace_s=ACCOUNT_GRACE_S
    ),
    r"violates PodSecurity": Refusal("pod-security", "Pod Security refuses its pod"),
    r"failed calling webhook|did not complete within requested timeout": Refusal(
        "webhook-away", "an admission webhook does not answer", False
    ),
    r"denied (?:the )?request": Refusal("denied", "an admission policy refuses its pod"),
    r"being terminated": Refusal("namespace-terminating", "the namespace is being deleted"),
    r"namespaces \"[^\"]*\" not found": Refusal("namespace-gone", "the namespace is gone"),
    r" is invalid: |forbidden|no PriorityClass|strict decoding error": Refusal(
        "refused-spec", "the API server refuses its pod"
    ),
}
_PATTERNS: Final = tuple((re.compile(pattern, re.IGNORECASE), refusal) for pattern, refusal in _KINDS.items())


def refusal_of(message: str) -> Refusal | None:
    """Recognise a refusal by its text, the only thing that events and answers share; None: it is none that we know."""
    text = message[:4096]
    return next((refusal for pattern, refusal in _PATTERNS if pattern.search(text)), None)
