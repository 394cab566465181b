"""What the operator writes into a job's own log, where its producer and every dashboard can read it."""

from __future__ import annotations

import logging

from bullpen_operator.escaping import safe
from bullpen_operator.ports import Queue
from bullpen_protocol.bullmq import RedisFaultError

logger = logging.getLogger(__name__)


async def note(queue: Queue, job_id: str, line: str) -> None:
    """Append *line*, which is bounded and escaped, to the job's log; best effort."""
    try:
        await queue.note(job_id, f"bullpen: {line}")
    except RedisFaultError as error:
        logger.debug("a line of a job's log is lost", extra={"job_id": safe(job_id), "error": safe(str(error))})
