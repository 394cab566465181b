"""What the shell offers when Tab is pressed."""

from __future__ import annotations

import pytest

from bullpen_protocol.bullmq import ConsoleQueue
from fakes.plan import run_all
from servers.command import Bullpen


def offered(bullpen: Bullpen, *words: str) -> list[str]:
    """Ask as bash does, with a last word that is being typed."""
    completing = {
        "_BULLPEN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("bullpen", *words)),
        "COMP_CWORD": str(len(words)),
    }
    process = Bullpen(bullpen.folder, {**bullpen.variables, **completing}).start()
    out, err = process.communicate(timeout=120)
    assert err == ""
    return out.split()


@pytest.fixture
def filled(queue: ConsoleQueue) -> ConsoleQueue:
    queue.add("n", '{"plan": [{"throw": "broke"}]}', {})
    run_all(queue)
    queue.add("n", "{}", {})
    queue.add("n", "{}", {}, "mine\n")
    return queue


def test_commands_queues_and_job_ids_are_offered(bullpen: Bullpen, filled: ConsoleQueue) -> None:
    assert offered(bullpen, "qu") == ["queues"]
    assert offered(bullpen, "jobs", "") == ["q"]
    assert offered(bullpen, "jobs", "x") == []
    assert offered(bullpen, "job", "q", "") == ["1", "2"]  # the failed one first; no id that moves a cursor
    assert offered(bullpen, "retry", "q", "1", "2") == ["2"]
    assert offered(bullpen, "jobs", "q", "--state", "fai") == ["failed"]


def test_without_a_redis_nothing_is_offered_and_nothing_said(bullpen: Bullpen) -> None:
    assert offered(Bullpen(bullpen.folder), "jobs", "") == []
    assert offered(Bullpen(bullpen.folder, {"BULLPEN_REDIS_URL": "redis://127.0.0.1:1"}), "job", "q", "") == []
