"""A bare loop that creates the KubeJobs that it reads from stdin, one after the other.

It is run in the operator's own container, with the operator's own client: it lacks all that Bullpen does besides.
Prints the seconds that it took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bullpen_operator.kube import KubeApi, batch
from bullpen_operator.pacing import Pacer


async def create_all() -> float:
    """Create them; return the seconds."""
    bodies = json.load(sys.stdin)
    api = await KubeApi.connect(Pacer(1e6, 1e6, started_at=-1e6))
    began = time.monotonic()
    try:
        for body in bodies:
            await api.create(batch(body["metadata"]["namespace"]), body)
    finally:
        await api.close()
    return time.monotonic() - began


if __name__ == "__main__":
    print(asyncio.run(create_all()))
