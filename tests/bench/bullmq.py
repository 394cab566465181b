"""Claims and finishes a second, beside Node's worker: the same Redis, one run, rounds taken in turn.

    python tests/bench/bullmq.py [ROUNDS [JOBS]]

One after the other is what counts (an operator claims so): the ratio should be 0.9 or more. 50 at once is printed
beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # pytest has tests/ on its path already
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bullpen_protocol.bullmq import AsyncQueue, Claimed, Job, SyncQueue, connect, connect_async
from servers.node import NodeClient
from servers.redis import RedisServer

NODE = "5.81.5"  # the same dialect, so that only the clients differ
LOCK_MS = 60_000
TOGETHER = 50
Rates = dict[str, float]


def ours(url: str, queue_name: str, jobs: int) -> Rates:
    """Claim, then complete, one job after the other with the runner's client."""
    client = connect(url)
    queue = SyncQueue(client, queue_name)
    claimed: list[Job] = []
    claims = _rate(jobs, lambda number: claimed.append(_job(queue.claim(f"t{number}", LOCK_MS))))
    finishes = _rate(jobs, lambda number: queue.complete(claimed[number], f"t{number}", '"ok"'))
    client.close()
    return {"claims": claims, "finishes": finishes}


async def ours_together(url: str, queue_name: str, jobs: int) -> Rates:
    """The same with the operator's client, TOGETHER at once."""
    client = connect_async(url)
    queue = AsyncQueue(client, queue_name)
    claimed: dict[int, Job] = {}

    async def claim(number: int) -> None:
        claimed[number] = _job(await queue.claim(f"t{number}", LOCK_MS))

    async def finish(number: int) -> None:
        await queue.complete(claimed[number], f"t{number}", '"ok"')

    rates = {"claims": await _rate_together(jobs, claim), "finishes": await _rate_together(jobs, finish)}
    await client.aclose()
    return rates


def _job(result: Any) -> Job:
    assert isinstance(result, Claimed)
    return result.job


def _rate(jobs: int, step: Callable[[int], object]) -> float:
    began = time.perf_counter()
    for number in range(jobs):
        step(number)
    return jobs / (time.perf_counter() - began)


async def _rate_together(jobs: int, step: Callable[[int], Awaitable[None]]) -> float:
    numbers = iter(range(jobs))

    async def line() -> None:
        for number in numbers:
            await step(number)

    began = time.perf_counter()
    await asyncio.gather(*(line() for _ in range(TOGETHER)))
    return jobs / (time.perf_counter() - began)


def main(rounds: int = 5, jobs: int = 2000) -> int:
    """Print the medians and their ratios; 0."""
    seen: dict[str, list[Rates]] = {"ours": [], "node": [], "ours x50": [], "node x50": []}
    node = NodeClient(NODE)
    with RedisServer() as server:
        for number in range(rounds + 1):
            results = {name: _round(name, node, server, f"{name[:4]}{number}x{len(name)}", jobs) for name in seen}
            if number:  # the first warms both up
                for name, rates in results.items():
                    seen[name].append(rates)
        node.forget(server.url)
    node.close()
    for kind in ("claims", "finishes"):
        for suffix, label in (("", "one after the other"), (" x50", "50 at once")):
            mine = statistics.median(rates[kind] for rates in seen[f"ours{suffix}"])
            theirs = statistics.median(rates[kind] for rates in seen[f"node{suffix}"])
            print(
                f"{kind + '/s':11} {label:20} bullpen {mine:7.0f}   "
                f"node {NODE} {theirs:7.0f}   ratio {mine / theirs:.2f}"
            )
    return 0


def _round(name: str, node: NodeClient, server: RedisServer, queue_name: str, jobs: int) -> Rates:
    queue_name = queue_name.replace(" ", "-")
    theirs = node.queue(server.url, queue_name)
    theirs.call("addBulk", [{"name": "n", "data": {"x": "y" * 100}}] * jobs)
    if name.startswith("node"):
        together = TOGETHER if name.endswith("x50") else 1
        rates: Rates = node.driver("bench", {"at": theirs.at, "jobs": jobs, "together": together})
        return rates
    return (
        ours(server.url, queue_name, jobs)
        if name == "ours"
        else asyncio.run(ours_together(server.url, queue_name, jobs))
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
