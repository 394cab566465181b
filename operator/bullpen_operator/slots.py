"""Which attempts of a JobQueue use up its concurrency, as far as this operator has seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from bullpen_operator.seen import Attempt
from bullpen_operator.waits import DULL


class Stage(StrEnum):
    """How far an attempt has come."""

    CLAIMED = "claimed"
    """Its KubeJob is not made yet, or nobody knows that it is."""
    PENDING = "pending"
    RUNNING = "running"
    """Its container runs."""


@dataclass(slots=True)
class Slot:
    """One attempt that has not ended."""

    attempt: Attempt
    since: float
    """Monotonic seconds."""
    stage: Stage = Stage.CLAIMED
    bound: bool = False
    """Its lock is not for the operator to renew: a pod does, or the job has left."""
    starting: bool = False
    """This operator is launching it at this moment."""
    waiting: str = ""
    """Code of the reason why it has not started."""
    sentence: str = ""
    instead_of: str = ""
    """Of a reason that only events tell: the code that it would have without them."""

    @property
    def stuck(self) -> bool:
        """It can't start, for a reason that is known."""
        return self.stage is Stage.PENDING and self.waiting not in DULL


@dataclass
class Slots:
    """Attempts by token. A slot is taken at the claim and freed when the pod has ended, not when the job is settled."""

    freed: Callable[[], None] = lambda: None
    """Called when there is room again."""
    held: dict[str, Slot] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.held)

    def take(self, attempt: Attempt, now: float) -> Slot:
        """Hold a slot for *attempt*; the one that it has, if it has one."""
        return self.held.setdefault(attempt.token, Slot(attempt, now))

    def free(self, token: str) -> None:
        """Let go of the slot; none there is fine."""
        if self.held.pop(token, None) is not None:
            self.freed()

    def keep_only(self, tokens: Collection[str]) -> None:
        """Free what a complete comparison did not find."""
        for token in [token for token in self.held if token not in tokens]:
            self.free(token)

    def stuck(self) -> int:
        """Count the attempts that can't start, for a reason that is known."""
        return sum(slot.stuck for slot in self.held.values())

    def unbound(self) -> Iterable[Slot]:
        """Attempts whose lock the operator renews."""
        return [slot for slot in self.held.values() if not slot.bound]

    def unlaunched(self) -> Iterable[Slot]:
        """Claimed attempts that nobody is launching at this moment."""
        return [slot for slot in self.held.values() if slot.stage is Stage.CLAIMED and not slot.starting]
