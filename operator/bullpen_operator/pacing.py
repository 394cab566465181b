"""How fast the API server is asked, and when no more attempts are made. Pure: times are monotonic seconds, passed in.

kopf and aiohttp have no limit of their own, and a default cluster makes no more than some nine pods a second
(kube-controller-manager's client: 20 requests a second). What is created faster only queues up there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FIRST_RATE: Final = 5.0
"""Requests a second right after the start, and the least that is left after refusals."""
SLOW_START_S: Final = 30.0
"""From FIRST_RATE to the full rate: a hundred operators that restart together must not all be fast at once."""
RECOVERY_S: Final = 10.0
"""After a refusal the rate is halved, and whole again after so long without one."""
KEEPING_UP_S: Final = 10.0
"""A cluster that makes nine pods a second has made fifty in less; one that takes longer is given less to do."""
FORGOTTEN_S: Final = 60.0
"""A KubeJob that we made and nobody has heard of since is not waited for any longer."""


@dataclass
class Pacer:
    """A token bucket whose rate grows after the start and shrinks when the API server says that it is too much."""

    rate: float = 50.0
    """Requests a second."""
    burst: float = 100.0
    """Requests that may be made at once after a rest."""
    started_at: float = 0.0
    _tokens: float = 1.0
    _at: float = 0.0
    _share: float = 1.0
    _refused_at: float = -RECOVERY_S
    _closed_until: float = 0.0

    def __post_init__(self) -> None:
        """Begin with a single request."""
        self._at = self.started_at

    def turn(self, now: float) -> float:
        """Take the next turn; return for how many seconds it has to be waited for."""
        self._fill(now)
        self._tokens -= 1.0
        queued_s = max(0.0, -self._tokens / self.rate_at(now))
        return max(queued_s, self.closed_s(now))

    def closed_s(self, now: float) -> float:
        """For how long nobody may ask, because the API server said so."""
        return max(0.0, self._closed_until - now)

    def refused(self, now: float, retry_after_s: float | None) -> None:
        """Take in that the API server refused for want of capacity; its advice holds for everybody who asks."""
        self._fill(now)
        self._share = max(self._share / 2, FIRST_RATE / self.rate) if self.rate > FIRST_RATE else 1.0
        self._refused_at = now
        self._closed_until = max(self._closed_until, now + (retry_after_s or 0.0))

    def rate_at(self, now: float) -> float:
        """Requests a second that are allowed at this moment."""
        grown = min(1.0, max(0.0, now - self.started_at) / SLOW_START_S)
        full = min(self.rate, FIRST_RATE + (self.rate - FIRST_RATE) * grown) if self.rate > FIRST_RATE else self.rate
        calm = min(1.0, max(0.0, now - self._refused_at) / RECOVERY_S)
        if calm >= 1.0:
            self._share = 1.0
        return full * (self._share + (1.0 - self._share) * calm)

    def _fill(self, now: float) -> None:
        # A slow start is slow: what it does not allow in a second can't be saved up either.
        most = self.burst * self.rate_at(now) / self.rate
        self._tokens = min(most, self._tokens + max(0.0, now - self._at) * self.rate_at(now))
        self._at = max(self._at, now)


@dataclass
class _Podless:
    installation: str
    since: float
    confirmed: bool = False
    """The API server has told of it: until then it is only what we meant to make."""


@dataclass
class Gate:
    """Holds back new attempts while those that were made have no pod yet: the cluster is not keeping up.

    At most `limit` are without one, and fewer the longer the oldest of them has waited.
    Installations whose pods can't be made at all (a quota, a policy) hold back themselves and nobody else.
    """

    limit: int = 50
    _podless: dict[str, _Podless] = field(default_factory=dict)
    _blocked: set[str] = field(default_factory=set)

    def open(self, installation: str, now: float) -> bool:
        """Whether one more attempt of *installation* may be made."""
        self._forget(now)
        if installation in self._blocked and any(one.installation == installation for one in self._podless.values()):
            return False
        return self.lagging() < self.limit * min(1.0, KEEPING_UP_S / max(self.oldest_s(now), KEEPING_UP_S))

    def lagging(self) -> int:
        """Count the attempts without a pod, but for those of installations that can't have any."""
        return sum(one.installation not in self._blocked for one in self._podless.values())

    def oldest_s(self, now: float) -> float:
        """Age of the oldest of them."""
        ages = (now - one.since for one in self._podless.values() if one.installation not in self._blocked)
        return max(ages, default=0.0)

    def made(self, name: str, installation: str, now: float, *, confirmed: bool = False) -> None:
        """An attempt is being made, or (*confirmed*) the API server tells of one that has no pod."""
        one = self._podless.setdefault(name, _Podless(installation, now))
        one.confirmed = one.confirmed or confirmed

    def has_pod(self, name: str) -> None:
        """It got its pod: then its installation can have pods."""
        one = self._podless.pop(name, None)
        if one is not None:
            self._blocked.discard(one.installation)

    def gone(self, name: str) -> None:
        """It was not made, has ended, or was removed."""
        self._podless.pop(name, None)

    def blocked(self, installation: str) -> None:
        """Its pods can't be made, for a reason that more of them would not mend."""
        self._blocked.add(installation)

    def _forget(self, now: float) -> None:
        for name, one in list(self._podless.items()):
            if not one.confirmed and now - one.since >= FORGOTTEN_S:
                del self._podless[name]
