"""The embedded Redis: found, started, found again, kept, ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bullpen_operator.local import redis as redis_module
from bullpen_operator.local.redis import RedisUnavailableError, RunningRedis, find_program, start_redis
from support import require


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    require("redis-server")
    yield tmp_path / "redis"
    start_redis(tmp_path / "redis").stop()
    assert redis_module.is_owned(tmp_path / "redis") is False


def client(running: RunningRedis) -> redis.Redis:
    return redis.Redis.from_url(running.url, decode_responses=True)


def until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, f"process {pid} still lives"
        time.sleep(0.01)


def test_it_never_evicts_and_writes_every_change_to_a_file(folder: Path) -> None:
    with client(start_redis(folder)) as connection:
        told = [connection.config_get(name) for name in ("maxmemory-policy", "appendonly", "appendfsync", "bind")]
    assert told == [
        {"maxmemory-policy": "noeviction"}, {"appendonly": "yes"}, {"appendfsync": "everysec"}, {"bind": "127.0.0.1"},
    ]  # fmt: skip


def test_it_is_found_again_on_the_same_port_with_all_it_held(folder: Path) -> None:
    first = start_redis(folder)
    with client(first) as connection:
        connection.set("a", "1")
    first.stop()
    second = start_redis(folder)
    assert second.url == first.url
    with client(second) as connection:
        assert connection.get("a") == "1"


def test_it_outlives_its_user_and_is_shared_while_it_runs(folder: Path) -> None:
    first = start_redis(folder)
    first.leave()
    assert start_redis(folder).url == first.url


def test_killed_it_comes_back_with_every_acknowledged_write(folder: Path) -> None:
    running = start_redis(folder)
    with client(running) as connection:
        for number in range(1000):
            connection.rpush("list", number)
        os.kill(connection.info("server")["process_id"], signal.SIGKILL)
    with client(start_redis(folder)) as connection:
        assert connection.llen("list") == 1000


def test_it_ends_once_nobody_has_used_it_for_a_while(folder: Path) -> None:
    running = start_redis(folder, linger_s=0.1)
    pid = json.loads((folder / "keeper.json").read_text())["pid"]
    running.leave()
    os.waitpid(pid, 0)
    assert not (folder / "redis.sock").exists()


def test_it_ends_in_order_when_its_keeper_is_killed(folder: Path) -> None:
    running = start_redis(folder)
    with client(running) as connection:
        server = connection.info("server")["process_id"]
        connection.set("a", "1")
    os.kill(running._keeper, signal.SIGKILL)
    os.waitpid(running._keeper, 0)
    until_gone(server)
    with client(start_redis(folder)) as connection:
        assert connection.get("a") == "1"


def test_a_port_that_is_taken_is_said_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    taken = start_redis(folder)
    port = int(taken.url.rpartition(":")[2])
    with pytest.raises(RedisUnavailableError, match=f"port {port} of 127.0.0.1 can't be used: .*--redis-port"):
        start_redis(tmp_path / "other", port=port)


def test_a_server_that_can_t_start_is_said_with_its_last_words(folder: Path) -> None:
    start_redis(folder).stop()
    (folder / "appendonlydir").rename(folder / "kept") if (folder / "appendonlydir").exists() else None
    broken = folder / "appendonlydir"
    broken.write_text("in the way")
    (folder / "appendonly.aof").unlink(missing_ok=True)
    (folder / "appendonly.aof").mkdir()
    with pytest.raises(RedisUnavailableError, match="the embedded Redis does not start: "):
        start_redis(folder, timeout_s=10)
    broken.unlink()
    (folder / "appendonly.aof").rmdir()


def test_without_any_redis_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("bullpen_operator.local.redis.find_spec", lambda _: None)
    with pytest.raises(RedisUnavailableError) as caught:
        find_program()
    assert str(caught.value) == (
        "no Redis here: install redis-server >= 6.2 (apt-get install redis-server), or Docker, or give --redis-url"
    )


def test_docker_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("bullpen_operator.local.redis.find_spec", lambda _: None)
    command = find_program()(redis_module._Place(tmp_path / "redis", 7000))
    assert command[:3] == [str(docker), "run", "--rm"]
    assert "127.0.0.1:7000:7000" in command
    assert f"{tmp_path}/redis:{tmp_path}/redis" in command
