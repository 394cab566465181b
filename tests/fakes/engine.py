"""An engine that only remembers what it was told."""

from __future__ import annotations

from bullpen_operator.engine import QueueStatus, Served


class FakeEngine:
    """What the roster and the status writer need of the engine."""

    def __init__(self) -> None:
        self.served: dict[str, Served] = {}
        self.told: list[str] = []
        self.queues: tuple[QueueStatus, ...] = ()

    def put(self, served: Served) -> None:
        self.told.append(f"put {served.name}")
        self.served[served.name] = served

    def remove(self, name: str, *, drain: bool = False) -> None:
        self.told.append(f"{'drain' if drain else 'remove'} {name}")
        self.served.pop(name, None)

    async def status(self) -> tuple[QueueStatus, ...]:
        return self.queues
