"""bull-board over a queue that Bullpen serves, in a real browser: what people see, and what its buttons do.

Pictures are kept in artefacts/bull-board, to be looked at.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import redis

from servers.board import Browser, board
from servers.local import BullpenLocal
from servers.node import NodeClient
from support import ROOT, require

PICTURES: Final = ROOT / "artefacts" / "bull-board"
REASON: Final = 'RuntimeError: the sky <b>fell</b> & "more" 😀'
MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: demo}
spec:
  queue: demo
  redis: {secretRef: {name: redis}}
  concurrency: 3
  defaults: {timeout: 600s}
  jobTypes: [{name: demo-sleep}, {name: demo-fail}, {name: played}]
"""

pytestmark = [pytest.mark.xdist_group("bull-board"), pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Watched:
    """The queue, and who looks at it."""

    browser: Browser
    url: str
    redis: redis.Redis

    def open(self, job_id: str, status: str) -> None:
        """Go to the page of a job and wait for it."""
        self.browser.open(f"{self.url}/queue/demo/{job_id}?status={status}")
        self.browser.see(f"main >> text='{job_id}'")

    def picture(self, name: str) -> None:
        """Keep what is to be seen."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.browser.screenshot(PICTURES / f"{name}.png")

    def tabs(self) -> dict[str, int]:
        """Read the number on each tab of the queue; a tab without one counts 0."""
        self.browser.open(f"{self.url}/queue/demo")
        self.browser.see("main li:has-text('COMPLETED') >> text=/^\\d+$/")
        tabs = [text.split("\n") for text in self.browser.texts("main ul[class*=statusTabs] li")]
        return {name: int(count[0]) if count else 0 for name, *count in tabs if name != "LATEST"}

    def events(self, job_id: str) -> Counter[str]:
        """Count what BullMQ's listeners were told of a job, but for progress: several reports may become one."""
        entries: Any = self.redis.xrange("bull:demo:events")
        told = Counter(fields["event"] for _, fields in entries if fields.get("jobId") == job_id)
        del told["progress"]
        return told


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    for part in ("redis-server", "node", "chromium"):
        require(part)
    local = BullpenLocal(tmp_path_factory.mktemp("board"), MANIFEST)
    node = NodeClient("5.7.0")
    try:
        local.start()
        with local.client() as client, board(local.url, "demo") as url:
            queue = node.queue(local.url, "demo")
            queue.add("demo-sleep", {"seconds": 0.1}, {"jobId": "slept"})
            queue.add("demo-fail", {"message": REASON.partition(": ")[2]}, {"jobId": "broken"})
            queue.add("demo-sleep", {"seconds": 0.1}, {"jobId": "tomorrow", "delay": 86_400_000})
            steps = [["progress", 42], ["log", "half of it, almost"], ["sleep", 600]]
            queue.add("played", {"steps": steps}, {"jobId": "halfway"})
            browser = Browser()
            try:
                yield _settled(Watched(browser, url, client))
            finally:
                browser.close()
        node.forget(local.url)
    finally:
        node.close()
        local.close()


def _settled(watched: Watched) -> Watched:
    eventually(lambda: watched.redis.zscore("bull:demo:completed", "slept"), "the completion")
    eventually(lambda: watched.redis.zscore("bull:demo:failed", "broken"), "the failure")
    eventually(lambda: watched.redis.hget("bull:demo:halfway", "progress") == "42", "the progress")
    return watched


def eventually(look: Callable[[], object], what: str, patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while not look():
        assert time.monotonic() < until, f"{what} did not happen within {patience_s:g} s"
        time.sleep(0.02)


def test_every_job_is_counted_in_its_state(watched: Watched) -> None:
    counted = watched.tabs()
    watched.picture("queue")
    assert counted == {
        "ACTIVE": 1,
        "WAITING": 0,
        "WAITING CHILDREN": 0,
        "PRIORITIZED": 0,
        "COMPLETED": 1,
        "FAILED": 1,
        "DELAYED": 1,
    }


def test_progress_is_drawn_as_a_ring_that_is_filled_so_far(watched: Watched) -> None:
    watched.open("halfway", "active")
    watched.browser.see("[role=progressbar][aria-valuenow='42'] >> text='42%'")
    watched.picture("progress")


def test_a_jobs_log_is_shown_while_it_runs(watched: Watched) -> None:
    watched.open("halfway", "active")
    watched.browser.click("[role=tab]:has-text('Logs')")
    watched.browser.see("[role=tabpanel] >> text='half of it, almost'")
    watched.picture("log")


def test_a_value_is_shown_and_its_bar_is_full(watched: Watched) -> None:
    watched.open("slept", "completed")
    watched.browser.see("[role=progressbar][aria-valuenow='100']")
    watched.browser.see("[role=tabpanel] >> text=returnValue")
    watched.picture("completed")


def test_why_a_job_failed_is_said_once_and_as_text(watched: Watched) -> None:
    watched.open("broken", "failed")
    watched.browser.see("[role=tabpanel] >> text='at'")
    said = watched.browser.text("[role=tabpanel]").split("\n")
    watched.picture("failed")
    assert said[0] == REASON
    assert said[1].strip().startswith("at DemoFail.process (")


def test_the_retry_button_runs_a_failed_job_exactly_once_more(watched: Watched) -> None:
    assert watched.events("broken") == {
        "added": 1, "waiting": 1, "active": 1, "failed": 1, "retries-exhausted": 1,
    }  # fmt: skip
    watched.open("broken", "failed")
    press(watched, "refresh-cw")
    eventually(lambda: watched.events("broken")["failed"] == 2, "the second failure")
    watched.open("broken", "failed")
    watched.browser.see("[role=tabpanel] >> text='at' >> nth=1")  # a stack for each attempt
    watched.picture("retried")
    assert watched.events("broken") == {
        "added": 1, "waiting": 2, "active": 2, "failed": 2, "retries-exhausted": 2,
    }  # fmt: skip
    assert watched.redis.hget("bull:demo:broken", "atm") == "2"
    assert watched.tabs()["FAILED"] == 1


def test_the_promote_button_runs_a_delayed_job_now(watched: Watched) -> None:
    watched.open("tomorrow", "delayed")
    watched.picture("delayed")
    press(watched, "corner-up-left")
    eventually(lambda: watched.redis.zscore("bull:demo:completed", "tomorrow"), "the completion")
    assert watched.events("tomorrow") == {
        "added": 1,
        "delayed": 1,
        "waiting": 1,
        "active": 1,
        "completed": 1,
    }
    counted = watched.tabs()
    watched.picture("promoted")
    assert (counted["COMPLETED"], counted["DELAYED"]) == (2, 0)


def press(watched: Watched, icon: str) -> None:
    """Press one of a job's buttons, which show icons only, and confirm it."""
    watched.browser.click(f"main button:has(svg.lucide-{icon})")
    watched.browser.click("button:text-is('Confirm')")


def test_no_script_failed_and_nothing_was_missing(watched: Watched) -> None:
    assert watched.browser.complaints() == []
