"""Frames between supervisor and child."""

from __future__ import annotations

import pytest

from bullpen_runner.frames import FRAME_LIMIT_BYTES, HEADER, Decoder, Frame, FrameError, Kind, encode_json, header

STREAM = header(Kind.LINE, b"one") + b"one" + header(Kind.READY, b"") + header(Kind.PAYLOAD, b"{}") + b"{}"
FRAMES = [Frame(Kind.LINE, b"one"), Frame(Kind.READY, b""), Frame(Kind.PAYLOAD, b"{}")]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_frames_come_out_whole_however_the_stream_is_cut(size: int) -> None:
    decoder = Decoder()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == FRAMES


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"Traceback (most recent call last)", id="not-a-frame"),
        pytest.param(HEADER.pack(Kind.LINE, FRAME_LIMIT_BYTES + 1), id="too-long"),
    ],
)
def test_a_stream_that_holds_no_frames_is_refused(stream: bytes) -> None:
    with pytest.raises(FrameError):
        list(Decoder().feed(stream))


def test_small_bodies_survive_text_that_is_no_unicode() -> None:
    assert Frame(Kind.FAILURE, encode_json({"reason": "\ud800"})).json() == {"reason": "\ud800"}
