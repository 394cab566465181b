"""An end that was seen stays seen, for as long as it is of use and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bullpen_operator.last_words import KEEP_S, LastWords
from bullpen_operator.seen import Attempt, KubeJobSeen, PodPhase, PodSeen, Terminated
from bullpen_operator.seen_from import OwnedPod

ATTEMPT = Attempt("ns/jq", "bull", "q", "1", "t", "bullpen/i/u")
ENDED = PodSeen("uid-1", "bp-x", PodPhase.FAILED, started=True, terminated=Terminated(143))
SEEN = KubeJobSeen("bp", ATTEMPT, datetime(2026, 11, 23, tzinfo=UTC))


def owned(pod: PodSeen = ENDED) -> OwnedPod:
    return OwnedPod("bp", pod, replace(SEEN, deleting=True, pods=(pod,)))


class Hands:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pod_that_ended_is_recalled_once_it_is_gone() -> None:
    words = LastWords()
    words.add(owned())
    assert words.recall("bp", SEEN) == replace(SEEN, pods=(ENDED,))
    assert words.recall("bp", None) == replace(SEEN, deleting=True, pods=(ENDED,))
    assert (words.names("i"), words.names("other")) == (["bp"], [])


def test_a_pod_that_is_there_still_is_not_recalled_beside_itself() -> None:
    words = LastWords()
    words.add(owned())
    seen = replace(SEEN, pods=(ENDED,))
    assert words.recall("bp", seen) == seen


def test_a_pod_that_vanished_without_an_end_said_nothing() -> None:
    words = LastWords()
    words.add(owned(PodSeen("uid-1", phase=PodPhase.RUNNING, started=True)))
    assert words.recall("bp", None) is None


def test_what_is_recorded_is_forgotten_and_stays_recorded() -> None:
    words = LastWords()
    words.add(owned())
    words.recorded("bp")
    words.add(owned())
    assert words.recall("bp", None) is None
    assert words.names("i") == []
    assert words.recall("bp", replace(SEEN, deleting=True)) == replace(SEEN, deleting=True, recorded=True)


def test_memory_is_bounded_by_time() -> None:
    clock = Hands()
    words = LastWords(clock)
    words.add(owned())
    words.recorded("other")
    clock.now = KEEP_S + 1
    words.recorded("later")
    assert words.recall("bp", None) is None
    assert words.recall("other", SEEN) == SEEN
