"""Reading and writing the values of a queue: JSON as Node writes it, hashes as anybody may have left them."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from bullpen_protocol.bullmq import RESERVED_IDS, Code, Job, QueueError
from bullpen_protocol.bullmq.clock import TRUSTED_S, ServerClock
from bullpen_protocol.bullmq.encoding import escape_surrogates, pack, pack_fields, plain, to_json
from bullpen_protocol.bullmq.job import LARGEST
from bullpen_protocol.bullmq.keys import Keys


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
        ("é😀", '"é😀"'),
        ([float("nan"), {"x": float("-inf")}, (1.0, float("inf"))], '[null,{"x":null},[1.0,null]]'),
        ("\ud800", '"\\ud800"'),
        ({"\udfff": "\u2028"}, '{"\\udfff":"\u2028"}'),
    ],
)
def test_json_is_nodes(value: Any, text: str) -> None:
    assert to_json(value) == text
    text.encode()


def test_text_is_made_encodable() -> None:
    assert plain("a\ud800é") == "a\ufffdé"
    assert json.loads(escape_surrogates('"a\ud800é"')) == "a\ud800é"


def test_fields_are_packed_as_text() -> None:
    packed = pack_fields({"a": "1", "b": "é"})
    assert msgpack.unpackb(packed) == ["a", "1", "b", "é"]
    assert b"\xc4" not in packed[:2]  # cmsgpack reads no `bin`
    assert pack_fields({}) == b""


HOSTILE = {
    "opts": "[" * 100_000,
    "timestamp": "yesterday",
    "atm": "1e400",
    "ats": "-3.7",
    "priority": "NaN",
    "stacktrace": '{"no":"list"}',
    "parent": "[]",
    "bullpen": "null",
    "finishedOn": "0",
}


def test_a_hash_that_anybody_wrote_is_read_as_far_as_it_goes() -> None:
    job = Job.from_hash("1", HOSTILE)
    assert (job.opts, job.timestamp, job.atm, job.ats, job.priority) == ({}, 0, 0, -3, 0)
    assert (job.stacktrace, job.parent, job.bullpen, job.finished_on) == ((), None, {}, None)
    assert job.raw == HOSTILE


@pytest.mark.parametrize(
    ("text", "attempts"),
    [("1e300", LARGEST), ("9" * 30, LARGEST), ("-1e300", -LARGEST), ("1e400", 0), ("9" * 5000, 0), ("3", 3)],
    ids=["large", "long", "negative", "infinite", "endless", "small"],
)
def test_a_number_beyond_javascripts_is_one_that_scripts_can_be_sent(text: str, attempts: int) -> None:
    job = Job.from_hash("1", {"opts": f'{{"attempts":{text}}}', "delay": text})
    assert job.attempts == attempts
    assert msgpack.unpackb(pack(job.opts), strict_map_key=False)["attempts"] == float(text)


def test_attempts_of_older_versions_are_counted() -> None:
    assert Job.from_hash("1", {"attemptsMade": "4"}).atm == 4


def test_a_jobs_data_is_not_in_its_repr() -> None:
    assert "secret" not in repr(
        Job.from_hash("1", {"data": "secret", "returnvalue": "secret", "stacktrace": '["secret"]'})
    )


def test_the_reserved_ids_are_told() -> None:
    assert Job("meta").reserved
    assert not Job("1").reserved
    assert len(RESERVED_IDS) == 17


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_queue_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must not be empty or hold a colon"):
        Keys(name)


def test_keys_are_bullmqs() -> None:
    keys = Keys("q", "a:b")
    assert (keys("wait"), keys.lock("7"), keys.marker) == ("a:b:q:wait", "a:b:q:7:lock", "a:b:q:marker")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (-1, "job 7: the job is gone"),
        (-2, "job 7: its lock has run out"),
        (-6, "job 7: its lock belongs to another attempt"),
        (-77, "job 7: script code -77"),
    ],
)
def test_a_refusal_is_one_sentence(code: int, says: str) -> None:
    assert str(QueueError(code, "7")) == says


def test_a_code_never_seen_is_still_a_code() -> None:
    assert QueueError(-77, "7").code is Code.UNKNOWN
    assert QueueError(-6, "7").code is Code.OTHER_TOKEN


class Ticking(ServerClock):
    own = 100.0

    @classmethod
    def own_s(cls) -> float:
        return cls.own


def test_the_servers_time_is_carried_on_and_asked_for_again() -> None:
    clock = Ticking()
    assert clock.now_ms() is None
    Ticking.own = 100.2
    assert clock.set((5_000, 500_000), 100.0) == 5_000_600  # half of the 200 ms of the round trip
    Ticking.own = 101.2
    assert clock.now_ms() == 5_001_600
    Ticking.own = 100.2 + TRUSTED_S + 0.1
    assert clock.now_ms() is None
