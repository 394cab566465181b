"""What happens in the world, drawn at random: mostly work, some loss, now and then a misfortune."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from fakes.cluster import FakeKubeJob, FakePod
from model.runner import Ends, Runner
from model.stepping import Fate, Process
from model.world import World

MOST_JOBS: Final = 8
MOST_PROCESSES: Final = 5
"""Of one operator at a time."""


class Days:
    """A stretch of time in *world*, decided by *random*."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random

    def go_on(self, times: int) -> None:
        happenings, weights = zip(*self._happenings(), strict=True)
        for happening in self.random.choices(happenings, weights, k=times):
            happening()

    def _happenings(self) -> list[tuple[Callable[[], None], float]]:
        return [
            (self.answer, 30), (self.answer_some, 14), (self.lose, 5), (self.work, 8), (self.patrol, 5), (self.hear, 7),
            (self.nod, 4),
            (self.start_pod, 6), (self.tick, 6), (self.add, 2), (self.hear_old_news, 1), (self.remember, 1),
            (self.disturb, 3), (self.crash, 1), (self.kill, 1), (self.cancel, 0.5), (self.remove, 0.3),
            (self.delete_kube_job, 0.5), (self.node_client, 0.7), (self.wait, 0.7), (self.store_weather, 0.7),
        ]  # fmt: skip

    # ---- work ----

    def _process(self) -> Process | None:
        """One under way; sleepy ones are rarely gone on with."""
        awake = [process for process in self.world.processes if not process.sleepy]
        among = awake if awake and self.random.random() < 0.97 else self.world.processes
        return self.random.choice(among) if among else None

    def _step(self, process: Process, fate: Fate) -> None:
        if not process.ended:
            self.world.step(self.world.processes.index(process), fate)

    def answer(self) -> None:
        process = self._process()
        if process is not None:
            self._step(process, Fate.ANSWERED)

    def answer_some(self) -> None:
        process = self._process()
        if process is not None:
            for _ in range(self.random.randrange(2, 25)):
                self._step(process, Fate.ANSWERED)

    def lose(self) -> None:
        process = self._process()
        if process is not None:
            self._step(process, self.random.choice([Fate.LOST, Fate.UNANSWERED]))

    def patrol(self, what: str = "", intruder: Process | None = None) -> None:
        """An operator gets one thing done, while others come in between now and then: the closest races."""
        index = self.random.randrange(2)
        one = self.world.operators[index]
        if not self._has_hands(index):
            return
        mine = self.world.spawn(one.work(what or self.random.choice(["audit", "audit", "claim"])), one)
        for _ in range(150):
            if mine.ended:
                break
            others = [intruder] if intruder is not None and not intruder.ended else self.world.processes
            self._step(self.random.choice(others) if self.random.random() < 0.2 else mine, Fate.ANSWERED)

    def long_silence(self) -> None:
        """A runner that is about to write, or writes, stands still while the others despair of it; then it wakes."""
        living = [process for process in self.world.processes if isinstance(process.owner, Runner)]
        if not living:
            return
        process = self.random.choice(living)
        self._up_to_its_write(process)
        pod = process.owner.pod  # type: ignore[attr-defined]
        fates: list[Callable[[FakePod], object]] = [self.world.lose_node, self.world.vanish, lambda _: None]
        self.random.choice(fates)(pod)
        process.sleepy = True
        for _ in range(self.random.randrange(1, 5)):
            self.random.choice([self.wait, self.wait, self.world.stalled_check])()
            self.patrol("audit", process)
        process.sleepy = self.random.random() < 0.5
        for _ in range(self.random.randrange(5, 20)):
            self.random.choice([self.tick, lambda: self.patrol("claim"), self.start_pod, self.answer_some, self.nod])()

    def _up_to_its_write(self, process: Process) -> None:
        for _ in range(20):
            if process.owner.persisting:  # type: ignore[attr-defined]
                break
            self._step(process, Fate.ANSWERED)
        for _ in range(self.random.randrange(3)):
            self._step(process, Fate.ANSWERED)

    def nod(self) -> None:
        """Somebody falls asleep, or wakes."""
        if self.world.processes:
            process = self.random.choice(self.world.processes)
            process.sleepy = not process.sleepy

    def work(self) -> None:
        what = self.random.choice(["claim", "claim", "claim", "audit", "audit", "renew", "relaunch", "deliver"])
        index = self.random.randrange(2)
        if self._has_hands(index):
            self.world.spawn(self.world.operators[index].work(what), self.world.operators[index])

    def _has_hands(self, index: int) -> bool:
        one = self.world.operators[index]
        return sum(process.owner is one for process in self.world.processes) < MOST_PROCESSES

    def hear(self) -> None:
        kube_job, index = self._kube_job(), self.random.randrange(2)
        if kube_job is not None and self._has_hands(index):
            one = self.world.operators[index]
            self.world.spawn(one.serving.watch.heard(kube_job.seen()), one)

    def hear_old_news(self) -> None:
        index = self.random.randrange(2)
        if self.world.heard and self._has_hands(index):
            one = self.world.operators[index]
            self.world.spawn(one.serving.watch.heard(self.random.choice(self.world.heard)), one)

    def remember(self) -> None:
        self.world.remember()

    def start_pod(self) -> None:
        kube_job = self._kube_job()
        if kube_job is None:
            return
        if not kube_job.pods:
            self.world.schedule(kube_job)
        for pod in kube_job.pods:
            ends = self.random.choice([Ends.COMPLETES, Ends.COMPLETES, *Ends])
            sleepy = self.random.random() < 0.3
            self.world.start(kube_job, pod, ends, self.random.randrange(5), sleepy=sleepy)

    def tick(self) -> None:
        self.world.now_ms += self.random.choice([20, 100, 500, 1_000, 1_000, 2_000])

    def wait(self) -> None:
        """Long enough for locks and writes to run out."""
        self.world.now_ms += self.random.choice([8_000, 16_000, 31_000, 61_000])

    def add(self) -> None:
        if len(self.world.added) < MOST_JOBS:
            self.world.add(attempts=self.random.randrange(1, 4), priority=self.random.choice([0, 0, 3]))

    # ---- misfortune ----

    def _kube_job(self) -> FakeKubeJob | None:
        kube_jobs = [one for one in self.world.cluster.kube_jobs.values() if not one.recorded]
        return self.random.choice(kube_jobs) if kube_jobs else None

    def _pod(self) -> tuple[FakeKubeJob, FakePod] | None:
        kube_job = self._kube_job()
        return (kube_job, self.random.choice(kube_job.pods)) if kube_job is not None and kube_job.pods else None

    def disturb(self) -> None:
        found = self._pod()
        if found is None:
            return
        kube_job, pod = found
        disturbances: list[Callable[[], object]] = [
            lambda: self.world.evict(pod, grace=True),
            lambda: self.world.evict(pod, grace=False),
            lambda: self.world.lose_node(pod),
            lambda: self.world.lose_node(pod),
            lambda: self.world.return_node(pod),
            lambda: self.world.vanish(pod),
            lambda: self.world.schedule(kube_job),
        ]
        self.random.choice(disturbances)()

    def crash(self) -> None:
        self.world.crash(self.random.randrange(2))

    def kill(self) -> None:
        found = self._pod()
        if found is not None:
            self.world.kill_pod(found[1], memory=self.random.random() < 0.5)

    def cancel(self) -> None:
        if self.world.jobs():
            self.world.cancel(self.random.choice(sorted(self.world.jobs())))

    def remove(self) -> None:
        if self.world.jobs():
            self.world.remove(self.random.choice(sorted(self.world.jobs())))

    def delete_kube_job(self) -> None:
        kube_job = self._kube_job()
        if kube_job is not None:
            self.world.delete_kube_job(kube_job)

    def store_weather(self) -> None:
        """The graph store goes away, or comes back."""
        self.world.store.away = not self.world.store.away

    def node_client(self) -> None:
        how = self.random.randrange(4)
        if how < 2:
            self.world.stalled_check()
        else:
            self.world.node_worker(dies=how == 2)
