"""Group commit: every caller waits for a flush that began after its own write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bullpen_operator.local.group_flush import GroupFlush


class Disk:
    """Counts flushes; each waits to be let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.count = 0
        self.broken = False

    def flush(self) -> None:
        self.count += 1
        self.begun.release()
        assert self.let_go.acquire(timeout=10)
        if self.broken:
            raise OSError("disk on fire")


class Watched(threading.Condition):
    """Says who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting.release()
        return super().wait(timeout)


def test_writers_that_wait_share_the_next_flush() -> None:
    disk, watched = Disk(), Watched()
    flush = GroupFlush(disk.flush)
    flush._changed = watched
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(flush)
        assert disk.begun.acquire(timeout=10)
        late = [threads.submit(flush) for _ in range(8)]
        for _ in late:
            assert watched.waiting.acquire(timeout=10)
        disk.let_go.release()
        first.result(10)
        assert disk.begun.acquire(timeout=10)
        assert not any(one.done() for one in late), "the first flush may have passed their writes by"
        disk.let_go.release()
        for one in late:
            one.result(10)
    assert disk.count == 2


def test_a_flush_that_fails_fails_its_writer_and_nobody_counts_on_it() -> None:
    disk = Disk()
    flush = GroupFlush(disk.flush)
    disk.broken = True
    disk.let_go.release(2)
    for _ in range(2):
        with pytest.raises(OSError, match="disk on fire"):
            flush()
    disk.broken = False
    disk.let_go.release()
    flush()
    assert disk.count == 3
