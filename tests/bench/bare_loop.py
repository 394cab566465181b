"""A bare loop that creates the KubeJobs that it reads from stdin, one after the other.

    python -c THIS [PAUSE]

It is run in the operator's own container, with the operator's own client: it lacks all that Bullpen does besides.
Prints the seconds that each took, as JSON; PAUSE seconds lie between two.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bullpen_operator.kube import KubeApi, batch
from bullpen_operator.pacing import Pacer


async def create_all(pause_s: float) -> list[float]:
    """Create them."""
    bodies, took = json.load(sys.stdin), []
    api = await KubeApi.connect(Pacer(1e6, 1e6, started_at=-1e6))
    try:
        for body in bodies:
            began = time.monotonic()
            await api.create(batch(body["metadata"]["namespace"]), body)
            took.append(time.monotonic() - began)
            await asyncio.sleep(pause_s)
    finally:
        await api.close()
    return took


if __name__ == "__main__":
    print(json.dumps(asyncio.run(create_all(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))))
