"""Names, labels and annotations of what Bullpen puts into a cluster. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

LABEL_QUEUE: Final = "bullpen.dev/queue"
LABEL_JOB_TYPE: Final = "bullpen.dev/job-type"
LABEL_JOB_ID: Final = "bullpen.dev/job-id"
LABEL_JOBQUEUE: Final = "bullpen.dev/jobqueue"
LABEL_INSTALLATION: Final = "bullpen.dev/installation"
"""On every KubeJob and pod: what the reflector selects by."""
MANAGED_BY: Final = ("app.kubernetes.io/managed-by", "bullpen")

ANNOTATION_ATTEMPT: Final = "bullpen.dev/attempt"
"""The attempt as JSON: exact ids, token, settings. Labels are for people; this is for the operator."""
ANNOTATION_RECORDED: Final = "bullpen.dev/recorded"
"""When the attempt's provenance was handed over: nothing more is to be done about it."""

LABEL_LIMIT: Final = 63
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DIGEST_CHARACTERS: Final = 10
_NAME_HINT: Final = 20


def installation_id(cluster_uid: str, namespace: str, jobqueue: str) -> str:
    """Tell one JobQueue of one cluster from all others in the world: the middle of every token."""
    return _digest(cluster_uid, namespace, jobqueue)[:16]


def installation_of(token: str) -> str:
    """Read the installation out of a token; empty for a token that is none of Bullpen's."""
    parts = token.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "bullpen" else ""


def kube_job_name(queue: str, job_id: str, token: str) -> str:
    """Name an attempt: the same claim always gets the same name, so that creating it twice is harmless.

    At most 46 characters: room for the suffix of the pod's name in a label.
    """
    hint = re.sub(r"[^a-z0-9]+", "-", queue.lower())[:_NAME_HINT].strip("-")
    digest = _digest(queue, job_id, token)[:20]
    return f"bp-{hint}-{digest}" if hint else f"bp-{digest}"


def label_value(text: str) -> str:
    """Make *text* a label's value: itself where Kubernetes allows it, else its allowed part and a digest.

    Distinct texts stay distinct (up to a collision of 40 bits): a digest is added whenever anything was changed.
    """
    if _LABEL.fullmatch(text):
        return text
    digest = _digest(text)[:_DIGEST_CHARACTERS]
    hint = re.sub(r"[^-A-Za-z0-9_.]+", "-", text)[: LABEL_LIMIT - _DIGEST_CHARACTERS - 1]
    return f"{hint.strip('-_.')}-{digest}".lstrip("-")


def _digest(*parts: str) -> str:
    # Lengths keep ("a", "bc") and ("ab", "c") apart; ids may hold any byte, lone surrogates included.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in encoded)).hexdigest()
