"""How fast the API server is asked: after a start, under refusals, and when the cluster does not keep up."""

from __future__ import annotations

import asyncio

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube import KubeApi, KubeRefusedError, core
from bullpen_operator.pacing import FIRST_RATE, FORGOTTEN_S, KEEPING_UP_S, RECOVERY_S, SLOW_START_S, Gate, Pacer
from fakes.api_server import FakeApiServer, status
from fakes.virtual import run

LATER = 1_000.0


def granted(pacer: Pacer, now: float, seconds: float) -> int:
    """How many turns one impatient caller gets in so many seconds."""
    turns, at = 0, now
    while True:
        at += pacer.turn(at)
        if at > now + seconds:
            return turns
        turns += 1


def test_the_first_seconds_are_slow_and_the_rate_grows_to_the_full_one() -> None:
    pacer = Pacer(rate=50, burst=100)
    assert granted(pacer, 0.0, 1.0) <= FIRST_RATE + 3
    assert pacer.rate_at(SLOW_START_S / 2) == pytest.approx((FIRST_RATE + 50) / 2)
    assert pacer.rate_at(SLOW_START_S) == 50


def test_after_a_rest_a_burst_passes_at_once_and_then_the_rate_holds() -> None:
    pacer = Pacer(rate=50, burst=100)
    waits = [pacer.turn(LATER) for _ in range(200)]
    assert sum(wait == 0.0 for wait in waits) == 100
    assert waits[-1] == pytest.approx(100 / 50)


def test_waits_are_queued_one_after_the_other() -> None:
    pacer = Pacer(rate=10, burst=1)
    pacer.turn(LATER)
    assert [pacer.turn(LATER) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_advice_to_retry_later_holds_for_every_caller() -> None:
    pacer = Pacer(rate=50, burst=100)
    pacer.turn(LATER)
    pacer.refused(LATER, 7.0)
    assert pacer.turn(LATER) == 7.0
    assert pacer.turn(LATER + 3) == 4.0
    assert pacer.turn(LATER + 7) == 0.0


def test_a_refusal_halves_the_rate_down_to_the_first_one_and_calm_restores_it() -> None:
    pacer = Pacer(rate=40)
    pacer.refused(LATER, None)
    assert pacer.rate_at(LATER) == 20
    for _ in range(9):
        pacer.refused(LATER, None)
    assert pacer.rate_at(LATER) == FIRST_RATE
    assert FIRST_RATE < pacer.rate_at(LATER + RECOVERY_S / 2) < 40
    assert pacer.rate_at(LATER + RECOVERY_S) == 40


def test_a_rate_below_the_first_one_is_kept() -> None:
    pacer = Pacer(rate=2, burst=2)
    pacer.refused(LATER, None)
    assert pacer.rate_at(0.0) == pacer.rate_at(LATER) == 2


def test_no_more_is_made_while_so_many_have_no_pod() -> None:
    gate = Gate(limit=2)
    for name in "ab":
        assert gate.open("i", 0.0)
        gate.made(name, "i", 0.0)
    assert not gate.open("i", 1.0)
    assert gate.oldest_s(5.0) == 5.0
    gate.has_pod("a")
    assert gate.open("i", 1.0)


def test_the_longer_the_oldest_waits_for_its_pod_the_fewer_are_let_in() -> None:
    gate = Gate(limit=50)
    for number in range(20):
        gate.made(str(number), "i", 0.0, confirmed=True)
    assert gate.open("i", KEEPING_UP_S)
    assert gate.open("i", 2.4 * KEEPING_UP_S)
    assert not gate.open("i", 2.6 * KEEPING_UP_S)


def test_what_can_have_no_pods_holds_back_itself_and_nobody_else() -> None:
    gate = Gate(limit=2)
    gate.made("a", "full", 0.0)
    gate.made("b", "full", 0.0)
    gate.blocked("full")
    assert not gate.open("full", 1.0)
    assert gate.open("other", 1.0)
    gate.has_pod("a")
    assert gate.open("full", 1.0)


def test_an_installation_whose_blocked_attempts_are_all_gone_may_try_again() -> None:
    gate = Gate(limit=2)
    gate.made("a", "full", 0.0)
    gate.blocked("full")
    gate.gone("a")
    assert gate.open("full", 1.0)


def test_what_was_meant_to_be_made_and_never_seen_is_forgotten_and_what_was_seen_is_not() -> None:
    gate = Gate(limit=1)
    gate.made("a", "i", 0.0)
    assert not gate.open("i", FORGOTTEN_S - 1)
    assert gate.open("i", FORGOTTEN_S)
    gate.made("b", "i", 0.0, confirmed=True)
    assert not gate.open("i", 10 * FORGOTTEN_S)


async def test_every_request_takes_its_turn_and_a_refusal_stops_all_of_them() -> None:
    server = FakeApiServer()
    loop = asyncio.get_running_loop()
    pacer = Pacer(rate=1000, burst=1000, started_at=loop.time() - SLOW_START_S)
    api = KubeApi(ApiClient(Configuration(host=await server.start())), timeout_s=5, pacer=pacer)
    try:
        server.fail_next = [status(429, "TooManyRequests", headers={"Retry-After": "1"})]
        with pytest.raises(KubeRefusedError):
            await api.get(core("ns", "secrets", "a"))
        refused_at = loop.time()
        await asyncio.gather(*(api.get(core("ns", "secrets", name)) for name in "abc"))
        assert loop.time() - refused_at >= 0.9
        assert len(server.requests) == 4
    finally:
        await api.close()
        await server.stop()


class _Asked:
    """Callers in virtual time, beside each other."""

    def __init__(self, pacer: Pacer) -> None:
        self.pacer, self.times = pacer, list[float]()

    async def ask(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self.pacer.turn(loop.time())
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = self.pacer.closed_s(loop.time())
        self.times.append(loop.time())


def test_two_hundred_callers_are_let_through_at_the_rate_in_virtual_time() -> None:
    async def main() -> list[float]:
        asked = _Asked(Pacer(rate=50, burst=10, started_at=0.0))  # long ago: the virtual clock begins at 1,000
        await asyncio.gather(*(asked.ask() for _ in range(200)))
        return asked.times

    times = run(main)
    assert times[-1] - times[0] == pytest.approx((200 - 10) / 50, abs=0.1)
    for first, later in zip(times, times[60:], strict=False):
        assert later - first >= 0.99, "never more than burst and rate in a second"
