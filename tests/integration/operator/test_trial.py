"""What `helm test` runs, on a real Redis: a clear sentence for each way in which the job may not complete."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
import redis

from bullpen_operator import trial
from bullpen_operator.__main__ import main
from bullpen_protocol.bullmq import AsyncQueue, Claimed, connect_async
from servers.redis import RedisServer


def tried(prefix: str, timeout_s: float = 10) -> trial.Trial:
    return trial.Trial("tried", "greet", '{"name": "ann"}', timeout_s, prefix)


def settled(url: str, prefix: str, settle: Callable[[AsyncQueue, Claimed], object]) -> threading.Thread:
    """Claim the job as an operator does, beside the trial, and settle it."""

    async def serve() -> None:
        queue = AsyncQueue(connect_async(url), "tried", prefix)
        while not isinstance(claim := await queue.claim("bullpen/i/1", 30_000), Claimed):  # noqa: ASYNC110 - no marker
            await asyncio.sleep(0.01)
        await settle(queue, claim)  # type: ignore[misc]
        await queue.client.aclose()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    return thread


def test_a_job_that_completes_is_told_with_its_value(
    server: RedisServer, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = settled(server.url, prefix, lambda queue, claim: queue.complete(claim.job, "bullpen/i/1", '"hello ann"'))
    assert trial.run(tried(prefix), {"BULLPEN_REDIS_URL": server.url}) == 0
    serving.join()
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "added job 1 (greet) to queue tried"
    assert told[-1] == 'it completed: "hello ann"'


def test_a_redis_that_comes_up_a_moment_later_is_waited_for(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    late = RedisServer()
    timer = threading.Timer(1.0, late.start)
    timer.start()
    try:
        assert trial.run(tried(prefix, timeout_s=3), {"BULLPEN_REDIS_URL": late.url}) == 1
        assert "added job 1" in capsys.readouterr().out
    finally:
        timer.join()
        late.close()


def test_a_job_that_fails_is_told_with_its_reason(
    server: RedisServer, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = settled(server.url, prefix, lambda queue, claim: queue.fail(claim.job, "bullpen/i/1", "no\nway", []))
    assert trial.run(tried(prefix), {"BULLPEN_REDIS_URL": server.url}) == 1
    serving.join()
    assert capsys.readouterr().err == "job 1 failed: no\\nway\n"


def test_a_job_that_nobody_claims_says_where_to_look(
    server: RedisServer, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["try", "tried", "greet", "{}", "--timeout", "0.2", "--prefix", prefix]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BULLPEN_REDIS_URL", server.url)
        assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "job 1 is waiting after 0.2 s: nobody claimed it; the operator's log says why (kubectl logs deploy/...)\n"
    )


def test_a_job_that_can_t_start_says_what_the_operator_wrote_into_its_log(
    server: RedisServer, client: redis.Redis, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = settled(server.url, prefix, lambda queue, claim: queue.note(claim.job.id, "waits to start (quota): cpu"))
    assert trial.run(tried(prefix, 1), {"BULLPEN_REDIS_URL": server.url}) == 1
    serving.join()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("job 1 is active after 1 s: it was claimed")
    assert said[1].endswith("waits to start (quota): cpu")


@pytest.mark.parametrize("url", ["", "http://h", "redis://127.0.0.1:1"])
def test_a_redis_that_is_none_is_one_sentence(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.run(tried("bull", timeout_s=0.1), {"BULLPEN_REDIS_URL": url}) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
