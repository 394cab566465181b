"""What a dead pod leaves in its job's log."""

from __future__ import annotations

import pytest

from bullpen_operator.afterword import LIMIT, LINE_LIMIT, LINES, kubernetes_says, last_lines
from fakes.operators import Desk
from fakes.sights import ended, failed, running


async def test_the_end_of_its_log_and_kubernetes_words_are_in_the_job_s_log_before_it_is_settled() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.log = "".join(f"line {number}\n" for number in range(100))
    pod.end(3)
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "failed"
    [entry] = desk.log_of(job.id)
    first, *lines = entry.splitlines()
    assert first == (
        "bullpen: attempt 1 ended in pod pod-uid-1 on node node: it exited with code 3 (Kubernetes: Error, exit code 3)"
    )
    assert lines == [f"line {number}" for number in range(80, 100)]


async def test_a_job_that_completed_gets_none() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    pod.log = "hello"
    pod.end(0, message='{"outcome": "completed", "reason": "", "value": 1}')
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "completed"
    assert desk.log_of(job.id) == []


async def test_a_log_that_can_t_be_had_holds_nothing_up() -> None:
    desk = Desk()
    job, kube_job, pod = await desk.bound()
    desk.cluster.fails.add("log")
    pod.end(137, "OOMKilled")
    await desk.hear(kube_job)
    assert await desk.state(job.id) == "failed"
    [entry] = desk.log_of(job.id)
    assert entry.endswith("(Kubernetes: OOMKilled, exit code 137)")


async def test_a_pod_that_is_gone_leaves_no_words() -> None:
    desk = Desk()
    job, _, pod = await desk.bound()
    pod.vanished = True
    await desk.audit(41)
    await desk.audit(41)
    assert await desk.state(job.id) == "delayed"
    assert desk.log_of(job.id) == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("", "", id="silence"),
        pytest.param("a\n\x1b[31mred\n", "a\n\\x1b[31mred", id="control-characters"),
        pytest.param("x\n" * 50, "\n".join(["x"] * LINES), id="lines"),
        pytest.param("y" * 10**6, "y" * (LINE_LIMIT - 1) + "…", id="one-endless-line"),
    ],
)
def test_the_end_of_a_log_is_bounded_and_escaped(text: str, kept: str) -> None:
    assert last_lines(text) == kept


def test_long_lines_leave_room_for_the_last_ones() -> None:
    text = "\n".join(f"{number} {'z' * 400}" for number in range(LINES))
    kept = last_lines(text)
    assert len(kept) <= LIMIT
    assert kept.splitlines()[-1].startswith(f"{LINES - 1} ")


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (ended(137, "OOMKilled"), "OOMKilled, exit code 137"),
        (failed("Evicted", disruption="TerminationByKubelet"), "Evicted; TerminationByKubelet"),
        (running(), ""),
    ],
)
def test_kubernetes_own_reasons_are_told(pod: object, words: str) -> None:
    assert kubernetes_says(pod) == words  # type: ignore[arg-type]
