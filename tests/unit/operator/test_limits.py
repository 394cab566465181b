"""Where control groups can be made, read from the kernel's own tables; and how often memory is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from bullpen_operator.local import limits, processes
from bullpen_operator.local.limits import CpuThrottle, MemoryWatch


def machine(root: Path, monkeypatch: pytest.MonkeyPatch, own: str, mounts: str, **control: str) -> None:
    """Play the kernel: *own* is /proc/self/cgroup, *control* the subtree_control of directories below *root*."""
    (root / "cgroup").write_text(own)
    (root / "mountinfo").write_text(mounts.replace("ROOT", str(root)))
    for directory, controllers in control.items():
        (root / directory.replace("__", "/")).mkdir(parents=True, exist_ok=True)
        (root / directory.replace("__", "/") / "cgroup.subtree_control").write_text(controllers)
    monkeypatch.setattr(limits, "ROOT", str(root))


V2 = "30 25 0:26 / ROOT/v2 rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "31 25 0:27 / ROOT/memory rw - cgroup cgroup rw,memory\n32 25 0:28 / ROOT/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.mark.parametrize(
    ("own", "mounts", "control", "expected"),
    [
        pytest.param("0::/\n", V2, {"v2": "cpu memory"}, ["v2"], id="v2-root-may-hold-processes-and-children"),
        pytest.param(
            "0::/user/app/term\n",
            V2,
            {"v2": "memory pids", "v2__user": "memory", "v2__user__app": "memory", "v2__user__app__term": ""},
            ["v2/user/app", "v2/user", "v2"],
            id="v2-beside-our-own-group-where-processes-are",
        ),
        pytest.param("0::/a\n", V2, {"v2": "pids", "v2__a": ""}, [], id="v2-without-the-controller"),
        pytest.param("4:memory:/a/b\n3:cpu,cpuacct:/c\n", V1, {}, ["memory/a/b"], id="v1"),
        pytest.param(
            "4:memory:/docker/x/y\n",
            "31 25 0:27 /docker/x ROOT/memory rw - cgroup cgroup rw,memory\n",
            {},
            ["memory/y"],
            id="v1-in-a-container-that-sees-a-part",
        ),
        pytest.param("4:memory:/a\n0::/\n", V1 + V2, {"v2": ""}, ["memory/a"], id="both-memory-in-v1"),
        pytest.param("", "", {}, [], id="none"),
    ],
)
def test_groups_are_made_where_their_children_get_the_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, mounts: str, control: dict[str, str], expected: list[str]
) -> None:
    machine(tmp_path, monkeypatch, own, mounts, **control)
    assert list(limits._parents("memory")) == [str(tmp_path / name) for name in expected]


def test_the_nearer_the_limit_the_sooner_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([0, 900 << 20, 1023 << 20, 1025 << 20])
    monkeypatch.setattr(processes, "memory_bytes", lambda _: next(used))
    monkeypatch.setattr(processes, "proportional_bytes", lambda _: 1025 << 20)
    watch = MemoryWatch(1 << 30)
    looks = [watch.look([]) for _ in range(4)]
    assert [over for over, _ in looks] == [False, False, False, True]
    assert looks[0][1] == 0.25
    assert looks[0][1] > looks[1][1] > looks[2][1] == 0.01
    assert watch.peak == 1025 << 20


def test_a_throttled_tree_gets_its_share_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two CPUs burning, half of one allowed: a quarter of the time running."""
    used, now, ran = 0.0, 0.0, 0.0
    monkeypatch.setattr(processes, "cpu_seconds", lambda _: used)
    throttle = CpuThrottle(0.5, 0.0, lambda: 0.0)
    while now < 60:
        wait = throttle.look([], now)
        now += wait
        if not throttle.stopped:
            used += 2 * wait
            ran += wait
    assert used / now == pytest.approx(0.5, rel=0.02)
    assert ran / now == pytest.approx(0.25, rel=0.02)
