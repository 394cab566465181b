"""Payloads and return values, as Node reads and writes them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bullpen_runner.values import (
    PAYLOAD_LIMIT_BYTES,
    PayloadError,
    ValueNotJsonError,
    dump_value,
    parse_payload,
    progress_text,
)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        pytest.param(b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}', {"a": [1, 2.5, None, True, "é"]}, id="object"),
        pytest.param(b'"\\ud83d\\ude00"', "😀", id="surrogate-pair"),
        pytest.param(b'["\\udc00"]', ["\udc00"], id="half-a-surrogate-pair"),
        pytest.param(b"null", None, id="null"),
        pytest.param(b"[" * 300 + b"]" * 300, eval("[" * 90 + "]" * 90), id="300-levels"),
    ],
)
def test_a_payload_is_read(body: bytes, payload: Any) -> None:
    read = parse_payload(body)
    if body.startswith(b"[["):
        assert repr(read) == "[" * 300 + "]" * 300
    else:
        assert read == payload


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"{'a': 1}", "not JSON: Expecting property name", id="python-not-json"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff\xfe", "not UTF-8: byte 0", id="not-utf-8"),
        pytest.param(b"[Infinity]", "not JSON: it holds Infinity", id="infinity"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, "nested too deep", id="deep"),
        pytest.param(b" " * (PAYLOAD_LIMIT_BYTES + 1), "at most 33,554,432 are accepted", id="large"),
    ],
)
def test_a_bad_payload_is_refused_in_one_sentence(body: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        parse_payload(body)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"a": 1, "b": [None, True, "é"]}, '{"a":1,"b":[null,true,"é"]}', id="compact-and-not-escaped"),
        pytest.param([math.nan, -math.inf], "[null,null]", id="no-number"),
        pytest.param({math.nan: math.nan, 1: 2}, '{"NaN":null,"1":2}', id="no-number-as-key"),
        pytest.param("a\ud800b", '"a\\ud800b"', id="half-a-pair"),
        pytest.param("a\x00\n", '"a\\u0000\\n"', id="control-characters"),
    ],
)
def test_a_value_is_written(value: Any, text: str) -> None:
    assert dump_value(value) == text


def test_a_value_that_holds_itself_beside_a_nan_is_refused() -> None:
    value: list[Any] = [math.nan]
    value.append(value)
    with pytest.raises(ValueNotJsonError, match="contains itself"):
        dump_value(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(50, "50", id="number"),
        pytest.param(12.5, "12.5", id="fraction"),
        pytest.param({"done": 3}, '{"done":3}', id="object"),
        pytest.param(math.nan, None, id="nan"),
        pytest.param(True, None, id="boolean"),
        pytest.param("50", None, id="text"),
        pytest.param({"a": {1}}, None, id="not-json"),
    ],
)
def test_a_progress_is_a_number_or_an_object(value: Any, text: str | None) -> None:
    assert progress_text(value) == text
