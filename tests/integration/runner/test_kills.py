"""kill -9 of runners around their write: no partial result, nothing twice, nothing lost. `make kills` does 300."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

import pytest

from bullpen_protocol.assignment import ExitCode, RunnerOutcome
from bullpen_protocol.bullmq import Claimed, Job, QueueError
from bullpen_protocol.provenance import NAMESPACE, PROV, attempt_iri, job_iri
from fakes.attempts import Runner, Stage, eventually
from fakes.graph_proxy import GraphProxy
from servers.graph import GraphServer
from servers.redis import RedisServer

KILLS: Final = int(os.environ.get("KILLS", "30"))
LANES: Final = 3
TRIPLES_OF_A_FINDING: Final = 5
FINDINGS: Final = 40

Trigger = str
TRIGGERS: Final = {"computing": 0.08, "sending": 0.03, "stored": 0.03}
"""When a kill is aimed at -> the most seconds after it. Each falls at a random instant of that time."""


@dataclass
class Sight:
    """Tells when a write is on its way, and when the store has taken it."""

    target: GraphServer
    sending: Event = field(default_factory=Event)
    stored: Event = field(default_factory=Event)

    def proxy(self) -> GraphProxy:
        return GraphProxy(self.target, lambda *_: self.sending.set(), on_answer=self.stored.set)

    def clear(self) -> None:
        self.sending.clear()
        self.stored.clear()


@dataclass
class Tally:
    """What came of the kills."""

    kills: int = 0
    by_trigger: dict[Trigger, int] = field(default_factory=lambda: dict.fromkeys(TRIGGERS, 0))
    too_late: int = 0
    """The runner had ended already."""
    recorded: int = 0
    """Killed after the store took everything."""


class Lane:
    """One queue: jobs whose first attempts are killed, until one of each is let through."""

    def __init__(self, url: str, folder: Path, sight: Sight, graph_url: str, seed: int) -> None:
        self.stage = Stage(url, folder)
        self.sight = sight
        self.graph_url = graph_url
        self.random = random.Random(seed)
        self.tally = Tally()

    def run(self, kills: int) -> None:
        """Add job after job; kill up to three attempts of each."""
        while self.tally.kills < kills:
            found = self.random.sample(range(FINDINGS), self.random.randint(1, FINDINGS))
            self.job(found, min(self.random.randint(1, 3), kills - self.tally.kills))
        self.stage.close()

    def job(self, found: list[int], kills: int) -> None:
        graph = f"urn:{self.stage.name}"
        began = self.stage.touched("began")
        began.unlink(missing_ok=True)
        job_id = self.stage.add(["touch", str(began)], ["findings", graph, found])
        tokens = []
        for number in range(kills + 1):
            job, token = self.claim()
            tokens.append(token)
            self.sight.clear()
            began.unlink(missing_ok=True)
            runner = self.stage.start(job, token, graph_url=self.graph_url, attempt=number + 1)
            if number < kills:
                self.kill(runner, began)
            if runner.wait() == ExitCode.COMPLETED or self.settled(job, token, runner):
                break
        assert self.stage.queue.state(job_id) == "completed"
        self.check(graph, self.stage.job(job_id), tokens, found)

    def claim(self) -> tuple[Job, str]:
        def claimed() -> tuple[Job, str] | None:
            token = f"bullpen/test/{self.stage.name}-{time.monotonic_ns()}"
            came = self.stage.queue.claim(token, 30_000, name=token)
            return (came.job, token) if isinstance(came, Claimed) else None

        claim: tuple[Job, str] = eventually(claimed, "a job to claim")
        return claim

    def kill(self, runner: Runner, began: Path) -> None:
        """Kill at a random instant around the write."""
        trigger = self.random.choice(list(TRIGGERS))
        awaited = {"computing": began.exists, "sending": self.sight.sending.is_set, "stored": self.sight.stored.is_set}
        eventually(lambda: awaited[trigger]() or runner.process.poll() is not None, trigger)
        time.sleep(self.random.uniform(0, TRIGGERS[trigger]))
        self.tally.too_late += runner.process.poll() is not None
        runner.send(signal.SIGKILL)
        self.tally.kills += 1
        self.tally.by_trigger[trigger] += 1

    def settled(self, job: Job, token: str, runner: Runner) -> bool:
        """Do what an operator does for a runner that was killed; True when the job is completed by it."""
        seen = self.stage.queue.location(job.id)
        if not seen.active:
            return self.stage.queue.state(job.id) == "completed"
        self.tally.recorded += bool(self.sight.target.count(attempt_iri(token)))
        holder, said = seen.pb or token, runner.message()
        try:
            if said is not None and said.outcome is RunnerOutcome.COMPLETED and said.has_value:
                self.stage.queue.complete(job, holder, str(said.value))
                return True
            self.stage.queue.give_back(job, holder, 1)
        except QueueError:  # the runner's last command came through after all
            return self.stage.queue.state(job.id) == "completed"
        return False

    def check(self, graph: str, job: Job, tokens: list[str], found: list[int]) -> None:
        """All of the results, once; a whole record, once, of each attempt that wrote, and none of any other."""
        server = self.sight.target
        assert server.count(graph) == TRIPLES_OF_A_FINDING * len(found)
        name = job_iri("bull", self.stage.name, job.id, job.timestamp)
        links = server.triples(name)
        wrote = [attempt for _, term, attempt in links if term == f"{PROV}wasGeneratedBy"]
        assert sorted(s for s, term, _ in links if term == f"{PROV}wasGeneratedBy") == sorted(
            f"urn:finding:{number}" for number in found
        )
        assert len(set(wrote)) == 1
        assert len(links) == 1 + 3 * len(found)
        records = {attempt_iri(token): self.outcomes(attempt_iri(token)) for token in tokens}
        assert all(outcomes in (0, 1) for outcomes in records.values())
        assert records[wrote[0]] == 1
        # the next job has other findings of the same names
        server.request("DELETE", f"{server.query_url}/statements?context=%3C{graph}%3E", b"", {})
        server.request("DELETE", f"{server.query_url}/statements?context=%3C{name}%3E", b"", {})

    def outcomes(self, attempt: str) -> int:
        """How many outcomes a record has; a record is whole or not there."""
        triples = self.sight.target.triples(attempt)
        assert not triples or sum(term.startswith(NAMESPACE) for _, term, _ in triples) >= 12
        return sum(term == f"{NAMESPACE}outcome" for _, term, _ in triples)


@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_kill_around_the_write_leaves_all_of_it_or_nothing_and_each_finding_once(
    runner_redis: RedisServer, triples: GraphServer, tmp_path: Path
) -> None:
    def lane(number: int) -> Tally:
        folder = tmp_path / str(number)
        folder.mkdir()
        sight = Sight(triples)
        with sight.proxy().running() as seen:
            one = Lane(runner_redis.url, folder, sight, seen.query_url, number)
            one.run((KILLS + LANES - 1) // LANES)
        return one.tally

    with ThreadPoolExecutor(LANES) as lanes:
        tallies = list(lanes.map(lane, range(LANES)))
    kills = sum(tally.kills for tally in tallies)
    print(f"{kills} kills:", *tallies, sep="\n  ")
    assert kills >= KILLS
