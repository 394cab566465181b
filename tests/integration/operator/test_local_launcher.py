"""The launcher over subprocesses: the contract of all launchers, and what only processes can do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bullpen_operator.local import processes
from bullpen_operator.local.folder import AttemptFolder
from bullpen_operator.local.launcher import LauncherSettings, LocalLauncher
from bullpen_operator.local.limits import ControlGroup
from bullpen_operator.model import JobType
from bullpen_operator.naming import kube_job_name
from bullpen_operator.ports import LaunchError
from bullpen_operator.seen import Attempt, AttemptSettings, KubeJobSeen, PodPhase, PodSeen, Terminated
from contracts.launcher_contract import JOB_TYPE, LauncherContract, Rig, an_attempt, until
from support import require_found

# Waits for a file that holds its exit code; ends at SIGTERM as a shell does.
WAITS = ("/bin/sh", "-c", 'while [ ! -s end ]; do sleep 0.02; done; exit "$(cat end)"')


def environment(attempt: Attempt, job_type: JobType, pod_uid: str, folder: Path) -> Mapping[str, str]:
    return {"BULLPEN_POD_UID": pod_uid, "BULLPEN_JOB_ID": attempt.job_id, "PATH": os.defpath}


def settings(tmp_path: Path, command: tuple[str, ...] = WAITS, grace_s: float = 5.0) -> LauncherSettings:
    return LauncherSettings(tmp_path / "q", environment, command, grace_s)


@asynccontextmanager
async def launcher_of(given: LauncherSettings) -> AsyncIterator[LocalLauncher]:
    launcher = LocalLauncher(given)
    try:
        yield launcher
    finally:
        await launcher.close()
        await asyncio.to_thread(end_everything, given.folder)


def end_everything(folder: Path) -> None:
    """No test leaves a process behind: end what it started, and prove that nothing is left."""
    uids = {AttemptFolder(path).pod_uid for path in folder.glob("*/bp-*") if AttemptFolder(path).exists}
    marks = {f"BULLPEN_POD_UID={uid}".encode() for uid in uids}

    def left() -> list[int]:
        return [
            pid
            for pid in processes.every_pid()
            if not processes.is_zombie(pid) and marks & set(processes.read(f"/proc/{pid}/environ").split(b"\0"))
        ]

    assert processes.end_all(left)


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncIterator[LocalLauncher]:
    async with launcher_of(settings(tmp_path)) as launcher:
        yield launcher


class TestLocalLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, launcher: LocalLauncher) -> Rig:
        async def end(name: str, code: int) -> None:
            (launcher.settings.folder / "attempts" / name / "scratch" / "end").write_text(str(code))

        async def write(name: str, text: str) -> None:
            with (launcher.settings.folder / "attempts" / name / "output.log").open("a") as output:
                output.write(text)

        return Rig(launcher, end, write)


async def ended(launcher: LocalLauncher, name: str) -> PodSeen:
    seen: KubeJobSeen = await until(lambda: launcher.look(name), lambda seen: seen and seen.pods[0].ended)
    return seen.pods[0]


async def nothing_watched(launcher: LocalLauncher) -> None:
    await until(lambda: asyncio.sleep(0, launcher._shims.names()), lambda names: names == frozenset())


async def run(launcher: LocalLauncher, attempt: Attempt | None = None, job_type: JobType = JOB_TYPE) -> PodSeen:
    attempt = attempt or an_attempt()
    await launcher.launch(attempt, job_type)
    (name,) = [seen.name for seen in await launcher.list() if seen.attempt == attempt]
    return await ended(launcher, name)


def folder_of(launcher: LocalLauncher, pod: PodSeen) -> Path:
    return launcher.settings.folder / "attempts" / pod.name


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def limited(**limits: str) -> JobType:
    return JobType.model_validate({"name": "resize", "resources": {"limits": limits}})


HOG = "data = []\nwhile True: data.append(bytearray(1 << 20))"
TREE_HOG = (
    f"import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: exec({HOG!r})\nos.wait()\nos._exit(137)"
)


@pytest.fixture(params=[True, False], ids=["by-kernel", "watched"])
def control_groups(request: pytest.FixtureRequest) -> bool:
    if request.param:
        require_found("writable control groups", kernel_limits(), "run as root, or in a delegated cgroup")
    return bool(request.param)


def kernel_limits() -> bool | None:
    """True where the kernel lets us limit memory and CPU."""
    probe = ControlGroup(f"bullpen-probe-{os.getpid()}", 64 << 20, 1.0)
    try:
        return (probe.holds_memory and probe.holds_cpu) or None
    finally:
        probe.remove()


@pytest.mark.parametrize("code", [pytest.param(HOG, id="itself"), pytest.param(TREE_HOG, id="a-grandchild")])
async def test_an_attempt_above_its_memory_limit_ends_as_oom_killed(
    tmp_path: Path, code: str, control_groups: bool
) -> None:
    given = LauncherSettings(tmp_path / "q", environment, python(code), 5.0, control_groups=control_groups)
    async with launcher_of(given) as launcher:
        pod = await run(launcher, job_type=limited(memory="64Mi"))
        assert pod.terminated is not None
        assert (pod.terminated.reason, pod.terminated.exit_code) == ("OOMKilled", 137)
        exited = json.loads((folder_of(launcher, pod) / "exit.json").read_text())
        assert exited["peak_memory_bytes"] < 320 << 20, exited
        assert control_groups is False or exited["peak_memory_bytes"] <= 64 << 20


async def test_forked_processes_that_share_pages_are_counted_once(tmp_path: Path) -> None:
    shared = """
import os, time
data = bytearray(40 << 20)
for _ in range(3):
    if os.fork() == 0: time.sleep(0.6); os._exit(0)
for _ in range(3): os.wait()
"""
    given = LauncherSettings(tmp_path / "q", environment, python(shared), 5.0, control_groups=False)
    async with launcher_of(given) as launcher:
        pod = await run(launcher, job_type=limited(memory="64Mi"))
        assert pod.terminated is not None
        assert pod.terminated.reason == "Completed"


async def test_a_cpu_limit_holds_over_the_whole_tree(tmp_path: Path, control_groups: bool) -> None:
    burn = "import os, time\nos.fork()\nend = time.time() + 2\nwhile time.time() < end: pass"
    given = LauncherSettings(tmp_path / "q", environment, python(burn), 5.0, control_groups=control_groups)
    async with launcher_of(given) as launcher:
        pod = await run(launcher, job_type=limited(cpu="300m"))
        exited = json.loads((folder_of(launcher, pod) / "exit.json").read_text())
        seconds = exited["finished_at"] - exited["started_at"]
        assert exited["cpu_seconds"] / seconds < 0.38  # less than 0.3 on a busy machine; about 2 without the limit


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0: os.setsid()
time.sleep(99)
"""


async def test_an_attempt_beyond_its_wall_limit_is_ended_whole_though_it_ignores_sigterm(tmp_path: Path) -> None:
    given = LauncherSettings(tmp_path / "q", environment, python(STUBBORN), grace_s=0.3, slack_s=0.1)
    timed = Attempt("local/q", "bull", "q", "1", "resize", "t", 1, AttemptSettings(timeout_s=0.1, graph_timeout_s=0.1))
    async with launcher_of(given) as launcher:
        pod = await run(launcher, timed)
        assert pod.terminated is not None
        assert (pod.terminated.reason, pod.terminated.signal) == ("DeadlineExceeded", signal.SIGKILL)
        assert of_attempt(launcher, pod) == set()


def of_attempt(launcher: LocalLauncher, pod: PodSeen) -> set[int]:
    """Processes of an attempt but its shim."""
    shim, _ = AttemptFolder(folder_of(launcher, pod)).shim()
    return {*processes.belonging_to(0, -1, f"BULLPEN_POD_UID={pod.uid}", ())} - {shim}


async def running(launcher: LocalLauncher, attempt: Attempt | None = None) -> PodSeen:
    attempt = attempt or an_attempt()
    await launcher.launch(attempt, JOB_TYPE)
    (name,) = [seen.name for seen in await launcher.list() if seen.attempt == attempt]
    seen: KubeJobSeen = await until(lambda: launcher.look(name), lambda seen: seen.pods[0].phase is PodPhase.RUNNING)
    return seen.pods[0]


async def test_deleting_ends_children_that_left_the_session(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path, python(STUBBORN), grace_s=0.1)) as launcher:
        pod = await running(launcher)
        await launcher.delete(pod.name)
        assert (await ended(launcher, pod.name)).terminated is not None
        assert of_attempt(launcher, pod) == set()


async def test_a_shim_killed_without_a_last_word_takes_its_runner_along_and_counts_as_unknown(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path, python(STUBBORN))) as launcher:
        pod = await running(launcher)
        (folder_of(launcher, pod) / "termination-log").write_text("last words")
        os.kill(AttemptFolder(folder_of(launcher, pod)).shim()[0], signal.SIGKILL)
        lost = await ended(launcher, pod.name)
        assert lost.terminated is not None
        assert (lost.terminated.reason, lost.terminated.message) == ("ContainerStatusUnknown", "last words")
        assert of_attempt(launcher, pod) == set()


async def test_a_new_operator_finds_what_the_old_one_started_and_is_told_of_its_end(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path)) as old, launcher_of(settings(tmp_path)) as new:
        pod = await running(old)
        await old.close()
        (found,) = await new.list()
        assert (found.pods[0].uid, found.pods[0].phase) == (pod.uid, PodPhase.RUNNING)
        await new.launch(an_attempt(), JOB_TYPE)
        changes = new.changes()
        (folder_of(new, pod) / "scratch" / "end").write_text("7")
        async with asyncio.timeout(10):
            told = await anext(changes)
        assert told.pods[0].terminated is not None
        assert (told.pods[0].uid, told.pods[0].terminated.exit_code) == (pod.uid, 7)


async def test_two_operators_that_launch_one_attempt_start_one_process(tmp_path: Path) -> None:
    counting = ("/bin/sh", "-c", "echo started")
    async with launcher_of(settings(tmp_path, counting)) as one, launcher_of(settings(tmp_path, counting)) as two:
        await asyncio.gather(one.launch(an_attempt(), JOB_TYPE), two.launch(an_attempt(), JOB_TYPE))
        (seen,) = await one.list()
        pod = await ended(one, seen.name)
        await nothing_watched(one)
        await nothing_watched(two)
        assert (folder_of(one, pod) / "output.log").read_text() == "started\n"


async def test_an_attempt_whose_operator_died_before_it_was_started_is_none_and_can_be_launched(
    tmp_path: Path,
) -> None:
    async with launcher_of(settings(tmp_path, ("/bin/true",))) as launcher:
        launcher._prepare(
            AttemptFolder(launcher._live / kube_job_name("q", "1", "bullpen/i/0001")), an_attempt(), JOB_TYPE
        )
        assert await launcher.list() == []
        pod = await run(launcher)
        assert len(list(launcher._live.iterdir())) == 1
        assert pod.phase is PodPhase.SUCCEEDED


async def test_a_shim_killed_before_it_started_anything_is_a_failed_start(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path)) as launcher:
        await launcher.launch(an_attempt(), JOB_TYPE)
        ((name, shim),) = launcher._shims._watched.items()
        os.kill(shim.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            told = await anext(seen async for seen in launcher.changes() if seen.pods[0].ended)
        assert (told.name, told.pods[0].started, told.pods[0].phase) == (name, False, PodPhase.FAILED)
        assert (told.pods[0].reason, told.pods[0].terminated) == ("NotStarted", None)


async def test_a_runner_that_is_not_there_is_a_failed_start(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path, ("/nowhere/runner",))) as launcher:
        pod = await run(launcher)
        message = "/nowhere/runner can't be started: No such file or directory"
        assert (pod.started, pod.terminated) == (False, Terminated(128, "StartError", message))


@pytest.mark.parametrize("left", ["", '{"exit_co', "[]"])
async def test_a_last_word_that_a_power_cut_left_half_written_is_no_word(tmp_path: Path, left: str) -> None:
    async with launcher_of(settings(tmp_path)) as launcher:
        folder = AttemptFolder(launcher._live / "bp-x")
        launcher._prepare(folder, an_attempt(), JOB_TYPE)
        (folder.path / "process.json").write_text('{"boot_id": "another", "pid": 1, "start_ticks": 1, "cgroups": []}')
        (folder.path / "exit.json").write_text(left)
        pod = await ended(launcher, "bp-x")
        assert pod.terminated is not None
        assert pod.terminated.reason == "ContainerStatusUnknown"


async def test_scratch_goes_when_the_end_is_recorded(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path, ("/bin/sh", "-c", "pwd; touch x"))) as launcher:
        pod = await run(launcher)
        await launcher.mark_recorded(pod.name)
        folder = launcher.settings.folder / "ended" / pod.name
        assert (folder / "output.log").read_text() == f"{folder_of(launcher, pod) / 'scratch'}\n"
        assert not (folder / "scratch").exists()
        assert await launcher.list() == []


@pytest.mark.parametrize(
    ("job_id", "said"),
    [
        pytest.param("a\0b", "its id or name holds a character that no process can be given", id="nul"),
        pytest.param("\ud83d", "its id or name holds a character that no process can be given", id="half-a-pair"),
        pytest.param("x" * 200_000, "its id, name or settings are too long to be given to a process", id="long"),
    ],
)
async def test_an_id_that_no_process_can_be_given_is_refused_in_a_sentence(
    launcher: LocalLauncher, job_id: str, said: str
) -> None:
    with pytest.raises(LaunchError, match=said):
        await launcher.launch(an_attempt(job_id=job_id), JOB_TYPE)
    assert list(launcher._live.iterdir()) == []


async def test_no_control_group_outlives_its_attempt(tmp_path: Path) -> None:
    async with launcher_of(settings(tmp_path, ("/bin/true",))) as launcher:
        pod = await run(launcher, job_type=limited(memory="64Mi", cpu="1"))
        groups = json.loads((folder_of(launcher, pod) / "process.json").read_text())["cgroups"]
        await nothing_watched(launcher)
        assert [group for group in groups if Path(group).exists()] == []  # noqa: ASYNC240
