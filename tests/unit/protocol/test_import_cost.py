"""A runner starts for every job: it pays for `import redis` and little more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bullpen_protocol import bullmq as package
from support import ROOT

OF_PEOPLE = {"cancel", "changePriority-7", "promote-9", "reprocessJob-8"}
"""Scripts that only the command line runs."""
PROBE = "import json, sys; {}; print(json.dumps(sorted(sys.modules)))"


def modules_after(statement: str) -> set[str]:
    """Import in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROBE.format(statement)], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_the_package_alone_imports_nothing_of_weight() -> None:
    loaded = modules_after("import bullpen_protocol.bullmq")
    assert not {"redis", "msgpack", "croniter", "pydantic", "asyncio"} & loaded


def test_the_runners_client_brings_neither_croniter_nor_the_operators_client() -> None:
    mine = modules_after("from bullpen_protocol.bullmq import SyncQueue, connect")
    redis = modules_after("import redis, msgpack")
    extra = {name for name in mine - redis if not name.startswith("bullpen_protocol")}
    assert {name.partition(".")[0] for name in extra} <= {"redis"}
    assert "bullpen_protocol.bullmq.async_queue" not in mine
    assert "bullpen_protocol.bullmq.cron" not in mine


@pytest.mark.parametrize("name", ["AsyncQueue", "wait_any", "RESERVED_IDS", "QueueError", "to_json"])
def test_every_public_name_is_there(name: str) -> None:
    assert name in package.__all__
    assert getattr(package, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Worker'"):
        package.Worker  # noqa: B018


def test_the_documented_user_may_run_every_command_of_the_scripts() -> None:
    paths = set((ROOT / "protocol/bullpen_protocol/bullmq/lua").rglob("*.lua"))
    of_people = {path for path in paths if path.stem in OF_PEOPLE}
    assert len(of_people) == len(OF_PEOPLE)
    docs = (ROOT / "docs/bullmq.md").read_text()
    block = re.search(r"ACL SETUSER(.+?)\n```", docs, re.DOTALL)
    more = re.search(r"The command line needs (.+?) as well", docs, re.DOTALL)
    assert block is not None
    assert more is not None
    direct = {"evalsha", "eval", "bzpopmin", "time", "info", "type", "hexists", "lindex"}
    least = commands_in(paths - of_people) | {"lpush", "rpush"} | direct
    assert set(re.findall(r"\+(\w+)", block[1])) == least
    direct = {"scan", "xread", "xrevrange", "zrank"}
    assert set(re.findall(r"\+(\w+)", more[1])) == (commands_in(of_people) | direct) - least


def test_the_file_of_users_is_what_the_docs_say() -> None:
    docs = (ROOT / "docs/bullmq.md").read_text()
    block = re.search(r"ACL SETUSER bullpen on >PASSWORD (.+?)\n```", docs, re.DOTALL)
    more = re.search(r"The command line needs (.+?) as well", docs, re.DOTALL)
    assert block is not None
    assert more is not None
    rules = block[1].replace("\\\n", " ").split()
    bullpen, people = [line.split() for line in (ROOT / "manifests/redis-users.acl").read_text().splitlines()]
    assert bullpen == ["user", "bullpen", "on", ">CHANGE-ME", *rules]
    assert people == ["user", "bullpen-people", "on", ">CHANGE-ME-TOO", *rules, *re.findall(r"\+\w+", more[1])]


def commands_in(scripts: set[Path]) -> set[str]:
    lua = "".join(path.read_text() for path in scripts)
    return {name.lower() for name in re.findall(r"""(?:rcall|redis\.call)\(\s*["'](\w+)""", lua)}
