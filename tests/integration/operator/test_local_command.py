"""`bullpen local` as people run it: a process, real Redis, real runners; jobs added by hand where no client would."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from bullpen_operator.local.folder import AttemptFolder
from servers.local import PROCESSORS, BullpenLocal
from servers.redis import RedisServer
from support import require

QUEUE: Final = "bull:q:"
GOOD: Final = b'{"steps":[["value",1]]}'
MANIFEST: Final = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata: {name: q}
spec:
  queue: q
  redis: {secretRef: {name: redis}}
  concurrency: 3
  unknownJobs: fail
  lockDuration: 10s
  jobTypes:
    - name: played
      image: registry/of/no/interest
      timeout: 60s
      giveBack: {delay: 60s}
      env: [{name: SAID, value: yes please}]
"""


def eventually(look: Callable[[], Any], what: str, patience_s: float = 120.0) -> Any:
    until = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < until, f"{what} did not happen within {patience_s:g} s"
        time.sleep(0.02)
    return found


def add(client: redis.Redis, job_id: bytes, **fields: bytes | None) -> None:
    """Add a job as no client would: whatever the fields say, at the end of the line."""
    given = {
        "name": b"played",
        "data": GOOD,
        "opts": b"{}",
        "timestamp": b"1",
        "delay": b"0",
        "priority": b"0",
    } | fields
    client.hset(QUEUE.encode() + job_id, mapping={name: value for name, value in given.items() if value is not None})
    client.lpush(f"{QUEUE}wait", job_id)
    client.zadd(f"{QUEUE}marker", {"0": 0})


def events(client: redis.Redis, job_id: str) -> list[str]:
    listed: list[tuple[str, dict[str, str]]] = client.xrange(f"{QUEUE}events")  # type: ignore[assignment]
    return [event["event"] for _, event in listed if event.get("jobId") == job_id]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[BullpenLocal]:
    require("redis-server")
    local = BullpenLocal(tmp_path, MANIFEST)
    yield local
    local.close()


def test_a_job_runs_in_a_process_of_its_own_and_the_operator_ends_when_nothing_is_left(local: BullpenLocal) -> None:
    local.options.append("--exit-when-idle")
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["value",{"\xc3\xa9":"\xf0\x9f\x98\x80"}]]}')
        eventually(lambda: client.hget(f"{QUEUE}1", "returnvalue") == '{"é":"😀"}', "the end")
        assert local.wait() == 0
    said = [line["msg"] for line in local.lines() if line["msg"] != "bound"]  # heard of if a renewal comes in time
    assert said == ["serving", "claimed", "launched", "started", "ended"]
    assert local.errors().splitlines() == [
        "bullpen local: image is ignored here (1 job types name one): jobs run in this Python environment"
    ]
    assert local.attempts() == []


def running(local: BullpenLocal) -> AttemptFolder:
    """The one attempt whose runner has written its first line."""

    def look() -> AttemptFolder | None:
        folders = [AttemptFolder(path) for path in local.attempts()]
        logs = [folder for folder in folders if (folder.path / "output.log").exists()]
        return next((one for one in logs if "started" in (one.path / "output.log").read_text()), None)

    found: AttemptFolder = eventually(look, "the start of the runner")
    return found


def test_an_interrupt_gives_running_jobs_back_and_spends_no_attempt(local: BullpenLocal) -> None:
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["sleep",90]]}')
        running(local)
        local.send(signal.SIGINT)
        eventually(lambda: client.zscore(f"{QUEUE}delayed", "1"), "the giving back")
        assert events(client, "1") == ["active", "delayed"]
        assert client.hget(f"{QUEUE}1", "atm") in (None, "0")
        assert local.wait() == 0
    assert local.attempts() == []


def test_a_second_interrupt_kills_what_will_not_end(local: BullpenLocal) -> None:
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["sleep",90]]}')
        folder = running(local)
        os.kill(folder.process["pid"], signal.SIGSTOP)  # deaf to SIGTERM
        local.send(signal.SIGINT)
        eventually((folder.path / "deleting").exists, "the first try")
        local.send(signal.SIGINT)
        eventually(lambda: client.zscore(f"{QUEUE}delayed", "1"), "the giving back", patience_s=20)
        assert local.wait() == 0


def test_an_interrupt_before_it_serves_ends_it(local: BullpenLocal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a Redis that never answers
        local.options += ["--redis-url", f"redis://127.0.0.1:{silent.getsockname()[1]}"]
        local.start()
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            assert local.interrupt() == 130
    assert local.errors().splitlines()[-1] == "bullpen local: interrupted before it served anything"


def test_an_operator_killed_at_once_is_replaced_by_one_that_finds_its_jobs(local: BullpenLocal) -> None:
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["sleep",3],["value",1]]}')
        uid = running(local).pod_uid
        local.kill()
        local.start()
        eventually(lambda: client.zscore(f"{QUEUE}completed", "1"), "the completion")
        assert events(client, "1") == ["active", "completed"]
        assert str(client.hget(f"{QUEUE}1", "pb")).endswith(uid)
        eventually(lambda: local.attempts() == [], "the recording")
    assert local.interrupt() == 0
    started = [line for line in local.lines() if line["msg"] == "started"]
    assert len({line["token"] for line in started}) == 1


def test_jobs_of_a_jobqueue_that_is_no_longer_served_are_still_settled(local: BullpenLocal) -> None:
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["sleep",3],["value",1]]}')
        add(client, b"2", data=b'{"steps":[["sleep",90]]}')
        eventually(lambda: len(local.attempts()) == 2, "the launch of both")
        running(local)
        local.kill()
        local.manifest.write_text(MANIFEST.replace("name: q}", "name: other}").replace("queue: q", "queue: other"))
        local.start()
        eventually(lambda: client.zscore(f"{QUEUE}completed", "1"), "the completion")
        second = next(folder for folder in map(AttemptFolder, local.attempts()) if folder.attempt.job_id == "2")
        os.kill(second.shim()[0], signal.SIGKILL)
        eventually(lambda: client.zscore(f"{QUEUE}delayed", "2"), "the giving back")
        eventually(lambda: local.attempts() == [], "the recording")
        assert events(client, "2") == ["active", "delayed"]
    assert local.interrupt() == 0


def test_the_environment_of_a_runner_is_its_own(local: BullpenLocal) -> None:
    local.environment["OPERATORS_OWN"] = "secret"
    local.start()
    with local.client() as client:
        add(client, b"1", data=b'{"steps":[["sleep",90]]}')
        process = running(local).process
        environ = Path(f"/proc/{process['pid']}/environ").read_bytes().split(b"\0")
    names = {variable.partition(b"=")[0].decode() for variable in environ if variable}
    assert b"SAID=yes please" in environ
    assert "OPERATORS_OWN" not in names
    assert {name for name in names if not name.startswith("BULLPEN_")} <= {
        "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOG_FORMAT", "LOG_LEVEL", "PATH", "PYTHONPATH", "SAID", "SSL_CERT_DIR",
        "SSL_CERT_FILE", "TMPDIR", "TZ",
    }  # fmt: skip


# ---- hostile jobs: all in one queue, one after the other, with good ones before and after ----

SENTENCES: Final[Mapping[str, tuple[bytes, dict[str, bytes | None], str]]] = {
    # case: (id, fields, failedReason; empty: completed)
    "plain": (b"plain", {}, ""),
    "spaces": (b"a b\tc", {}, ""),
    "unicode": ("ü😀".encode(), {}, ""),
    "path": (b"../../etc/passwd", {}, ""),
    "option": (b"-rf", {}, ""),
    "newline": (b"new\nline", {}, ""),
    "colon": (b"a:b", {}, ""),
    "quotes": (b"\";'`$(id)", {}, ""),
    "no-utf-8": (b"\xff\xfe", {}, ""),
    "5000-characters": (b"x" * 5000, {}, ""),
    "200000-characters": (
        b"x" * 200_000, {}, "its id, name or settings are too long to be given to a process (128 KiB)",
    ),
    "nul": (b"nul\0", {}, "its id or name holds a character that no process can be given"),
    "empty": (b"", {}, "its id is empty; no runner can be told of it"),
    "reserved-limiter": (
        b"limiter", {}, "the job's id 'limiter' is a name that BullMQ keeps for itself; add it under another id",
    ),
    "reserved-pc": (b"pc", {}, "the job's id 'pc' is a name that BullMQ keeps for itself; add it under another id"),
    "unknown-name": (b"n1", {"name": b"nobody"}, "Unknown job: nobody"),
    "star": (b"n2", {"name": b"*"}, "Unknown job: *"),
    "proto": (b"n3", {"name": b"__proto__"}, "Unknown job: __proto__"),
    "terminal-codes": (b"n4", {"name": b"\x1b[31mred\n"}, "Unknown job: \\x1b[31mred\\n"),
    "no-utf-8-name": (b"n5", {"name": b"\xff"}, "Unknown job: \ufffd"),
    "no-name": (b"n6", {"name": b""}, "Unknown job: "),
    "not-json": (b"p1", {"data": b"not json"}, "the payload is not JSON: Expecting value at character 0"),
    "nan": (b"p2", {"data": b"NaN"}, "the payload is not JSON: it holds NaN"),
    "nan-inside": (b"p3", {"data": b'{"steps":[["value",NaN]]}'}, "the payload is not JSON: it holds NaN"),
    "deep": (b"p4", {"data": b"[" * 100_000 + b"]" * 100_000}, "the payload is nested too deep"),
    "50-mb": (
        b"p5", {"data": b'"' + b"x" * 49_999_998 + b'"'},
        "the payload is 50,000,000 bytes; at most 33,554,432 are accepted",
    ),
    "half-a-surrogate-pair": (b"p6", {"data": b'{"steps":[["value","\\ud800"]]}'}, ""),
    "no-utf-8-payload": (b"p7", {"data": b"\xff\xfe"}, "the payload is not JSON: Expecting value at character 0"),
    "no-payload": (b"p8", {"data": None}, "the payload is not JSON: Expecting value at character 0"),
    "options-that-are-no-json": (b"o1", {"opts": b"not json"}, ""),
    "options-of-wrong-types": (b"o2", {"opts": b'{"attempts":"x","backoff":{"type":7}}'}, ""),
    "options-of-huge-numbers": (
        b"o3", {"opts": b'{"attempts":1e300,"removeOnComplete":1e300,"delay":' + b"9" * 400 + b"}"}, "",
    ),
    "last": (b"last", {}, ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, tuple[str, str]]]:
    """Run them all; (state, failedReason) by case, and what else was said under `log`."""
    require("redis-server")
    local = BullpenLocal(tmp_path_factory.mktemp("hostile"), MANIFEST)
    try:
        local.start()
        local.client().close()
        with redis.Redis.from_url(local.url) as client:
            for job_id, fields, _ in SENTENCES.values():
                add(client, job_id, **fields)
            eventually(lambda: not client.llen(f"{QUEUE}wait") and not client.llen(f"{QUEUE}active"), "the end of all")
            eventually(lambda: local.attempts() == [], "the recording")
            found = {case: _outcome(client, job_id) for case, (job_id, _, _) in SENTENCES.items()}
        assert local.interrupt() == 0
        loud = [line for line in local.lines() if line["level"] != "info" or line["msg"] == "given back"]
        yield found | {"log": ("", json.dumps(loud))}
    finally:
        local.close()


def _outcome(client: redis.Redis, job_id: bytes) -> tuple[str, str]:
    states = [name for name in ("completed", "failed", "delayed") if client.zscore(QUEUE + name, job_id) is not None]
    key = QUEUE.encode() + job_id
    reason = client.hget(key, "failedReason") if client.type(key) == b"hash" else None
    return ",".join(states) or "gone", (reason or b"").decode()  # type: ignore[union-attr]


@pytest.mark.xdist_group("hostile")
@pytest.mark.parametrize("case", [case for case in SENTENCES if not case.startswith("reserved")])
def test_a_hostile_job_ends_with_one_sentence_or_just_runs(hostile: Mapping[str, tuple[str, str]], case: str) -> None:
    said = SENTENCES[case][2]
    assert hostile[case] == ("failed" if said else "completed", said), hostile["log"]


@pytest.mark.xdist_group("hostile")
@pytest.mark.parametrize("case", [case for case in SENTENCES if case.startswith("reserved")])
def test_a_job_with_a_reserved_id_is_taken_out_of_its_queue(hostile: Mapping[str, tuple[str, str]], case: str) -> None:
    assert hostile[case][0] in ("failed", "gone")


@pytest.mark.xdist_group("hostile")
def test_hostile_jobs_disturb_nothing_else(hostile: Mapping[str, tuple[str, str]]) -> None:
    loud = json.loads(hostile["log"][1])
    assert [line["msg"] for line in loud] == [
        "ending: running jobs are given back, no attempt spent; interrupt again to kill them"
    ]


# ---- refusals: one sentence, exit code 2, nothing started ----


def refused(tmp_path: Path, *options: str, manifest: str = MANIFEST) -> str:
    path = tmp_path / "jobqueue.yaml"
    path.write_text(manifest)
    command = [sys.executable, "-m", "bullpen_cli", "local", "-f", str(path), "--state", str(tmp_path / "state")]
    environment = {**os.environ, "PYTHONPATH": str(PROCESSORS)}
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if "image is ignored" not in line]
    assert len(said) == 1
    return said[0]


def test_a_wrong_manifest_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    said = refused(tmp_path, manifest=MANIFEST.replace("timeout: 60s", "timeout: soon"))
    assert said == (
        f"bullpen local: {tmp_path}/jobqueue.yaml:13: spec.jobTypes[0].timeout: "
        "expected a duration such as 30s, 10m or 1h30m, got 'soon'"
    )
    assert not (tmp_path / "state").exists()


def test_a_redis_that_evicts_is_refused(tmp_path: Path) -> None:
    with RedisServer(options={"maxmemory-policy": "allkeys-lru"}) as server:
        said = refused(tmp_path, "--redis-url", server.url)
    assert said == "bullpen local: Redis may evict jobs: its maxmemory-policy is allkeys-lru; set it to noeviction"


def test_a_redis_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_play_an_old_redis, args=(server,), daemon=True).start()
        said = refused(tmp_path, "--redis-url", f"redis://127.0.0.1:{server.getsockname()[1]}")
    assert said == "bullpen local: Redis 5.0.14 is too old: Bullpen needs 6.2 or later"


def _play_an_old_redis(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        info = b"# Server\r\nredis_version:5.0.14\r\nmaxmemory_policy:noeviction\r\n"
        while asked := connection.recv(4096):
            for _ in range(asked.count(b"*")):
                answer = b"$%d\r\n%s\r\n" % (len(info), info) if b"INFO" in asked else b"+OK\r\n"
                connection.sendall(answer)


def test_a_redis_that_is_not_there_is_said(tmp_path: Path) -> None:
    said = refused(tmp_path, "--redis-url", "redis://user:secret@127.0.0.1:1")
    assert said.startswith("bullpen local: Redis at redis://127.0.0.1:1 can't be used: ")
    assert "secret" not in said


def test_a_url_that_is_none_is_said_without_its_password(tmp_path: Path) -> None:
    said = refused(tmp_path, "--redis-url", "http://user:secret@host")
    assert said.startswith("bullpen local: not a Redis URL: http://host; expected redis://")


def test_one_state_folder_has_one_operator(local: BullpenLocal, tmp_path: Path) -> None:
    local.start()
    local.client().close()
    said = refused(tmp_path)
    assert local.process is not None
    assert said == (
        f"bullpen local: another `bullpen local` (process {local.process.pid}) serves from {local.state}; "
        "end it, or choose another with --state"
    )
    assert local.interrupt() == 0


def test_on_a_terminal_there_is_a_table(local: BullpenLocal) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "bullpen_cli", "local", "-f", str(local.manifest), "--state", str(local.state)]
    environment = {**local.environment, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    local.process = subprocess.Popen([*command, *local.options], stdout=terminal, stderr=terminal, env=environment)
    drawn: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(controller, drawn))
    reader.start()
    with local.client() as client:
        add(client, b"7", data=b'{"steps":[["sleep",2],["fail","the sky fell"]]}')
        eventually(lambda: client.zscore(f"{QUEUE}failed", "7"), "the failure")
        eventually(lambda: local.attempts() == [], "the recording")
    time.sleep(0.6)  # the next frame
    assert local.interrupt() == 0
    os.close(terminal)
    reader.join(10)
    os.close(controller)
    text = b"".join(drawn).decode(errors="replace")
    assert local.url in text
    assert "q/7" in text
    assert "running" in text
    assert "the sky fell" in text or "failed" in text


def _drain(controller: int, drawn: list[bytes]) -> None:
    try:
        while data := os.read(controller, 65536):
            drawn.append(data)
    except OSError:  # the other side was closed
        return
