"""Kubernetes' own sentences, freed of what changes while their meaning does not: counts, names that were made up. Pure.

What is said of a wait is said once; with the counts left in, every node that comes or goes would say it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bullpen_operator.escaping import safe

LIMIT: Final = 240
"""Characters that are kept of a sentence."""

_PREFIXES: Final = re.compile(r"^(?:\(combined from similar events\): |Error creating: |Error: )+")
_WHICH: Final = re.compile(r" \(pod: \"[^\"]*\", container: [^)]*\)")
_PORTS: Final = re.compile(r"\b(?:read|write) (?:udp|tcp) \S+->\S+: ")
_PULLING: Final = re.compile(
    r"^(?:Back-off pulling image \"[^\"]*\"(?:: )?|ErrImagePull: |rpc error: code = \w+ desc = "
    r"|failed to pull and unpack image \"[^\"]*\": |failed to resolve reference \"[^\"]*\": )+"
)
_IMAGE: Final = re.compile(r"\bimage \"([^\"]+)\"")
_MADE_UP: Final = re.compile(r"\b(?:pods?|jobs\.batch) \"bp-[-a-z0-9]+\" (?=is |in )")
_UID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_USED: Final = re.compile(r" used: [^ ]+(?:, | |$)")
_NODES: Final = re.compile(r"^\d+/\d+ nodes are available:? ?")
_NEXT_REASON: Final = re.compile(r", (?=\d+ )")
_COUNT: Final = re.compile(r"^\d+ ")

_CLASSES: Final[Mapping[str, re.Pattern[str]]] = {
    "volume": re.compile(r"volume|persistentvolumeclaim", re.IGNORECASE),
    "resources": re.compile(r"Insufficient |Too many pods|free ports|max volume count"),
    "affinity": re.compile(r"affinity|selector|topology|didn't match"),
    "taint": re.compile(r"taint|unschedulable"),
}
"""What keeps a pod from every node, worst first: a taint alone is nearly always some other node's."""


def steady(message: str) -> str:
    """Return a message of an event or a container without what makes it differ from the last one like it."""
    text = _PREFIXES.sub("", message[: 4 * LIMIT])
    for changing, instead in ((_MADE_UP, "its pod "), (_WHICH, ""), (_PORTS, ""), (_UID, "…"), (_USED, " ")):
        text = changing.sub(instead, text)
    return safe(" ".join(text.split()), LIMIT)


def unpulled(message: str) -> str:
    """Tell which image can't be pulled and why: the cause comes last, whether a node tries or waits to try again."""
    text = message[: 8 * LIMIT]
    told = _PULLING.match(text)
    attempts = told.group() if told else ""
    cause, images = text[len(attempts) :].strip() or "it is being pulled again", _IMAGE.findall(attempts)
    # the last is the one that was asked of the registry, in full; many causes name it themselves
    named = f"{safe(images[-1], LIMIT // 2)}: " if images and images[-1] not in cause else ""
    return steady(named + cause)


def unscheduled(message: str) -> tuple[str, str]:
    """Tell why no node takes a pod: `resources`, `affinity`, `taint`, `volume` or empty, and all reasons in order."""
    # the reasons are one sentence; what plugins tried besides (preemption, resource claims) comes after it
    said = message[: 8 * LIMIT].partition(". ")[0]
    reasons = {_COUNT.sub("", one.rstrip(". ")) for one in _NEXT_REASON.split(_NODES.sub("", said)) if one}
    text = "; ".join(sorted(reasons))
    kind = next((name for name, pattern in _CLASSES.items() if pattern.search(text)), "")
    return kind, steady(text)
