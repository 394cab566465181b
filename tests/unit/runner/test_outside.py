"""HTTP of a processor, against a server that misbehaves; and the commons of one process."""

from __future__ import annotations

import gzip
import time

import pytest

from bullpen_processors.api import NoAnswerError
from bullpen_runner.outside import Ask, OneProcess, RunnerWeb
from contracts.commons_contract import CommonsContract
from fakes.nvd import FakeNvd, Trouble

LIMIT = 100_000


class TestOneProcess(CommonsContract):
    @pytest.fixture
    def ask(self) -> Ask:
        return OneProcess()


def get(trouble: Trouble, timeout_s: float = 10.0) -> bytes:
    with FakeNvd([], troubles=[trouble]).served() as nvd:
        return RunnerWeb().get(nvd.url, timeout_s=timeout_s, limit_bytes=LIMIT).body


def test_an_answer_comes_as_it_is() -> None:
    with FakeNvd([], troubles=[Trouble(429, b"later", {"Retry-After": "7"})]).served() as nvd:
        answer = RunnerWeb().get(f"{nvd.url}?a=%20b", timeout_s=10.0, limit_bytes=LIMIT)
    assert (answer.status, answer.body, answer.retry_after_s) == (429, b"later", 7.0)
    assert nvd.queries == [{"a": " b"}]


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "-5", "nan", "1e9", ""])
def test_a_retry_after_of_other_forms_says_nothing(text: str) -> None:
    with FakeNvd([], troubles=[Trouble(503, b"x", {"Retry-After": text})]).served() as nvd:
        assert RunnerWeb().get(nvd.url, timeout_s=10.0, limit_bytes=LIMIT).retry_after_s is None


def test_gzip_is_undone() -> None:
    assert get(Trouble(200, gzip.compress(b"x" * LIMIT), {"Content-Encoding": "gzip"})) == b"x" * LIMIT


BOMB = gzip.compress(b"x" * 50_000_000)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        pytest.param(Trouble(0), "127.0.0.1 gave no answer: the connection broke", id="cut"),
        pytest.param(
            Trouble(200, b"ab", {"Content-Length": "9"}), "127.0.0.1 gave no answer: the connection broke", id="half"
        ),
        pytest.param(Trouble(200, b"x" * (LIMIT + 1)), "127.0.0.1 answered with more than 100,000 bytes", id="large"),
        pytest.param(
            Trouble(200, BOMB, {"Content-Encoding": "gzip"}),
            "127.0.0.1 answered with more than 100,000 bytes",
            id="bomb",
        ),
        pytest.param(
            Trouble(200, b"no", {"Content-Encoding": "gzip"}), "127.0.0.1 gave no answer: its gzip is broken", id="gzip"
        ),
    ],
)
def test_what_is_no_whole_answer_is_none(trouble: Trouble, reason: str) -> None:
    with pytest.raises(NoAnswerError) as none:
        get(trouble)
    assert str(none.value) == reason


@pytest.mark.parametrize("drips", [False, True])
def test_one_deadline_bounds_all_of_it(drips: bool) -> None:
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"nothing whole came within 0\.5 s"):
        get(Trouble(200, b"x" * 1000, delay_s=0.05 if drips else 2.0, drips=drips), timeout_s=0.5)
    assert time.monotonic() - began < 4.0


def test_nobody_there_is_said_without_the_query() -> None:
    with FakeNvd([]).served() as nvd:
        url = nvd.url
    with pytest.raises(NoAnswerError) as none:
        RunnerWeb().get(f"{url}?secret=1", timeout_s=5.0, limit_bytes=LIMIT)
    assert str(none.value) == "127.0.0.1 gave no answer: it refused the connection"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "http://", "http://[x/", ""])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(NoAnswerError, match="no http:// or https:// URL"):
        RunnerWeb().get(url, timeout_s=5.0, limit_bytes=LIMIT)


def test_a_secret_goes_into_its_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    web = RunnerWeb()
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert not web.holds("SOME_KEY")
    monkeypatch.setenv("SOME_KEY", "the-key")
    assert web.holds("SOME_KEY")
    with FakeNvd([]).served() as nvd:
        web.get(nvd.url + "?keywordSearch=x", secret_headers={"apiKey": "SOME_KEY"}, timeout_s=5.0, limit_bytes=LIMIT)
    assert [with_key for _, with_key in nvd.arrivals] == [True]
    monkeypatch.setenv("SOME_KEY", "broken\r\nX: y")
    with pytest.raises(NoAnswerError) as none:
        web.get(nvd.url, secret_headers={"apiKey": "SOME_KEY"}, timeout_s=5.0, limit_bytes=LIMIT)
    assert "broken" not in str(none.value)
