"""ConsoleQueue: SyncQueue and what people at a terminal ask of a queue. Runners, which start often, go without it."""

from __future__ import annotations

from bullpen_protocol.bullmq import browsing, cancelling, following, retrying, standing
from bullpen_protocol.bullmq.sync_queue import SyncQueue, calling


class ConsoleQueue(SyncQueue):
    """One queue over a client of connect(). AsyncQueue.run() carries the same operations out."""

    ids = calling(browsing.ids)
    ended_before = calling(browsing.ended_before)
    summaries = calling(browsing.summaries)
    logs = calling(browsing.logs)
    scan_queues = calling(browsing.scan_queues)
    standing = calling(standing.standing)
    last_event = calling(following.last_event)
    events_after = calling(following.events_after)
    retry = calling(retrying.retry)
    cancel = calling(cancelling.cancel)
