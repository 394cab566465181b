"""What the operator writes into a job's own log, where its producer and every dashboard can read it."""

from __future__ import annotations

import hashlib
import logging
from typing import Final

from bullpen_operator.escaping import safe
from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import RedisFaultError

logger = logging.getLogger(__name__)


TOLD: Final = "told"
"""In the job's field `bullpen`: the gist of the sentence for which it was last given back."""


def gist(sentence: str) -> str:
    """Return a few characters that tell one sentence from another."""
    return hashlib.sha256(sentence.encode("utf-8", "surrogatepass")).hexdigest()[:8]


async def note_wait(queue: Queue, job_id: str, code: str, sentence: str) -> None:
    """Append why an attempt waits, best effort; not what its job was last given back for: its log has that."""
    try:
        known = (await queue.location(job_id)).bullpen.get(TOLD)
    except RedisFaultError:
        return
    if known != gist(sentence):
        await note(queue, job_id, f"waits to start ({code}): {sentence}")


async def note(queue: Queue, job_id: str, line: str) -> None:
    """Append *line*, which is bounded and escaped, to the job's log; best effort."""
    try:
        await queue.note(job_id, f"bullpen: {line}")
    except RedisFaultError as error:
        logger.debug("a line of a job's log is lost", extra={"job_id": safe(job_id), "error": safe(str(error))})
