"""DESIGN's protocol of an attempt under every misfortune it was made for, by a Hypothesis state machine.

`make test` takes at least 20,000 steps (one step: one request of one process is answered, or lost). More:
BULLPEN_MODEL_STEPS=1000000; the rounds after the first, which is always the same, have seeds that count up from
BULLPEN_MODEL_SEED and are printed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from model.days import Days
from model.world import World

WANTED: Final = int(os.environ.get("BULLPEN_MODEL_STEPS", "20000"))
FIRST_SEED: Final = int(os.environ.get("BULLPEN_MODEL_SEED", "1"))
LUCK: Final = st.integers(0, 2**64 - 1)
"""Of a stretch of days: Hypothesis' own small choices would crowd around nothing happening."""


class Taken:
    """What was done, over all runs."""

    steps = 0
    runs = 0
    failovers = 0


class Protocol(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        Taken.runs += 1

    def days(self, luck: int, times: int) -> None:
        self.happen(luck, lambda days: days.go_on(times))

    def happen(self, luck: int, what: Callable[[Days], None]) -> None:
        before = self.world.steps
        try:
            what(Days(self.world, Random(luck)))
        except AssertionError:
            note(self.world.story())
            raise
        Taken.steps += self.world.steps - before

    @initialize(jobs=st.integers(1, 4))
    def producers_add(self, jobs: int) -> None:
        for number in range(jobs):
            self.world.add(attempts=1 + number % 3)
        for operator in self.world.operators:
            self.world.spawn(operator.audit(), operator)
        self.world.run_all()

    @rule(luck=LUCK, times=st.integers(20, 80))
    def days_pass(self, luck: int, times: int) -> None:
        self.days(luck, times)

    @rule(luck=LUCK, times=st.integers(20, 80))
    def more_days_pass(self, luck: int, times: int) -> None:
        self.days(luck, times)

    @rule(luck=LUCK, times=st.integers(1, 6))
    def everybody_has_to_wait(self, luck: int, times: int) -> None:
        """Nobody is answered, and time passes: locks run out."""
        for _ in range(times):
            Days(self.world, Random(luck)).wait()

    @rule(luck=LUCK)
    def a_runner_stands_still(self, luck: int) -> None:
        self.happen(luck, Days.long_silence)

    @rule(luck=LUCK)
    def one_misfortune(self, luck: int) -> None:
        self.happen(luck, Days.disturb)

    @rule(luck=LUCK, times=st.integers(1, 12))
    def redis_fails_over(self, luck: int, times: int) -> None:
        if luck % 4 == 0:
            self.world.snapshot()
            self.days(luck, times)
            Taken.failovers += self.world.fail_over()

    @invariant()
    def the_rules_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.finish()
        except AssertionError:
            note(self.world.story())
            raise


def _settings(runs: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=runs,
        stateful_step_count=30,
        derandomize=derandomize,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # days are drawn from a seed: smaller seeds are not smaller days
    )


@pytest.mark.timeout(3600)
def test_the_rules_never_break(capsys: pytest.CaptureFixture[str]) -> None:
    run_state_machine_as_test(Protocol, settings=_settings(150, derandomize=True))
    number = FIRST_SEED
    while Taken.steps < WANTED:
        with capsys.disabled():
            print(f"\nprotocol model: seed {number}", end="")
        machine = seed(number)(type("Protocol", (Protocol,), {}))
        run_state_machine_as_test(machine, settings=_settings(150, derandomize=False))
        number += 1
    with capsys.disabled():
        print(f"\nprotocol model: {Taken.steps} steps in {Taken.runs} runs, {Taken.failovers} failovers")
    assert Taken.steps >= WANTED
