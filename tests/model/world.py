"""Redis, a cluster, two operators and the runners, all in memory and stepped by hand; DESIGN's rules are checked."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from bullpen_operator.dispatch import Dispatch
from bullpen_operator.events import Event, EventKind
from bullpen_operator.model import JobQueueSpec, JobType
from bullpen_operator.ports import LauncherUnavailableError, StoreUnavailableError
from bullpen_operator.seen import Attempt, KubeJobSeen
from bullpen_operator.served import Lane, Served
from bullpen_operator.serving import Serving
from bullpen_protocol.assignment import ExitCode, RunnerOutcome, TerminationMessage
from bullpen_protocol.bullmq import Claimed
from bullpen_protocol.bullmq.steps import Script, Step
from bullpen_protocol.provenance import attempt_iri
from fakes.cluster import FakeCluster, FakeKubeJob, FakePod
from fakes.memory_redis import MemoryRedis, MemoryServer
from fakes.memory_scripts import move_stalled
from fakes.stores import FakeStore
from model.runner import Ends, Graph, Runner, Window
from model.stepping import Fate, Process, SteppedQueue, turn

LOCK_MS: Final = 30_000
EPOCH: Final = datetime(2026, 11, 23, tzinfo=UTC)
SPEC: Final = JobQueueSpec.model_validate(
    {
        "queue": "q",
        "redis": {"secretRef": {"name": "r"}},
        "concurrency": 3,
        "lockDuration": "30s",
        "defaults": {"giveBack": {"max": 1000, "delay": "1s"}, "startTimeout": "2m"},
        "jobTypes": [{"name": "*", "graph": {"secretRef": {"name": "graph"}}}],
    }
)
P: Final = "bull:q:"
MOVES: Final = ("moveToDelayed-12", "retryJob-11", "moveToFinished-14")
STATES: Final = ("wait", "paused", "active", "delayed", "prioritized", "completed", "failed")


class SteppedServer(MemoryServer):
    """Its queues are stepped."""

    def __init__(self, redis: MemoryRedis, witness: Callable[[Step, Any], None]) -> None:
        super().__init__(redis)
        self._witness = witness

    def queue(self, name: str, prefix: str) -> SteppedQueue:
        return SteppedQueue(self.redis, name, prefix, self._witness)


class SteppedCluster(FakeCluster):
    """Each request is a turn: it may be lost, or its answer."""

    unheard: set[str]
    """Tokens of attempts that were removed before anybody recorded them."""

    async def _stepped(self, request: Callable[[], Awaitable[Any]]) -> Any:
        fate = await turn()
        if fate is Fate.LOST:
            raise LauncherUnavailableError("lost")
        answer = await request()
        if fate is Fate.UNANSWERED:
            raise LauncherUnavailableError("unanswered")
        return answer

    async def launch(self, attempt: Attempt, job_type: JobType) -> None:
        await self._stepped(lambda: FakeCluster.launch(self, attempt, job_type))

    async def list(self) -> list[KubeJobSeen]:
        return list(await self._stepped(lambda: FakeCluster.list(self)))

    async def look(self, name: str) -> KubeJobSeen | None:
        seen: KubeJobSeen | None = await self._stepped(lambda: FakeCluster.look(self, name))
        return seen

    async def delete(self, name: str, *, grace_s: float | None = None) -> None:
        await self._stepped(lambda: FakeCluster.delete(self, name, grace_s=grace_s))

    async def mark_recorded(self, name: str) -> None:
        await self._stepped(lambda: FakeCluster.mark_recorded(self, name))

    def tell(self, kube_job: FakeKubeJob) -> None:
        """Changes are told by the world, when it likes."""

    def tidy(self) -> None:
        """Real launchers remember the last words of what is removed; this one only whose end can't be heard of."""
        before = dict(self.kube_jobs)
        super().tidy()
        gone = [kube_job for name, kube_job in before.items() if name not in self.kube_jobs]
        self.unheard |= {kube_job.attempt.token for kube_job in gone if not kube_job.recorded}


class SteppedStore(FakeStore):
    """Each request is a turn: it may be lost, or its answer."""

    async def probe(self) -> None:
        await self._stepped(lambda: FakeStore.probe(self))

    async def update(self, text: str) -> None:
        await self._stepped(lambda: FakeStore.update(self, text))

    async def _stepped(self, request: Callable[[], Awaitable[None]]) -> None:
        fate = await turn()
        if fate is Fate.LOST:
            raise StoreUnavailableError("lost")
        await request()
        if fate is Fate.UNANSWERED:
            raise StoreUnavailableError("unanswered")


class WorldClock:
    """The Clock port on the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        return self._world.now_ms / 1000

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self._world.now_ms)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("use cases do not sleep")


class Operator:
    """One operator process: it knows what it was told, and forgets all of it in a crash."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        served = Served("ns/q", SPEC, "inst", world.server, world.cluster, {"graph": world.store})
        self.serving = Serving(Lane(served, WorldClock(world), world.reported.append), world.new_id, 10_000)
        self.audited = False

    async def audit(self) -> None:
        await self.serving.audit.round()
        self.audited = True

    async def claim(self) -> None:
        dispatch: Dispatch = self.serving.dispatch
        if not self.audited or not dispatch.may_claim():
            return
        claim = await dispatch.claim()
        if isinstance(claim, Claimed):
            await dispatch.start(claim.job)

    def work(self, what: str) -> Coroutine[Any, Any, None]:
        works = {
            "audit": self.audit, "claim": self.claim, "renew": self.serving.renewal.round,
            "relaunch": self.serving.relaunch, "deliver": self.serving.outbox.round,
        }  # fmt: skip
        return works[what]()


@dataclass
class Ledger:
    """What the event stream says, entry by entry: rule 3."""

    read: int = 0
    open: set[str] = field(default_factory=set)
    """Jobs whose last `active` has had no end yet."""
    ends: Counter[str] = field(default_factory=Counter)

    def follow(self, events: list[dict[str, str]]) -> None:
        for entry in events[self.read :]:
            self._take(entry)
        self.read = len(events)

    def _take(self, entry: dict[str, str]) -> None:
        kind, job_id = entry["event"], entry.get("jobId", "")
        if kind == "active":
            assert job_id not in self.open, f"job {job_id} is active twice without an end between"
            self.open.add(job_id)
        elif kind == "removed":
            self.open.discard(job_id)
        elif kind in ("completed", "failed") or (kind in ("waiting", "delayed") and job_id in self.open):
            assert job_id in self.open, f"job {job_id} ended twice: {entry}"
            self.open.discard(job_id)
            self.ends[kind] += 1


class World:
    """All that there is."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.redis = MemoryRedis(lambda: self.now_ms)
        self.server = SteppedServer(self.redis, self._witness)
        self.producer = MemoryServer(self.redis).queue("q", "bull")
        self.cluster = SteppedCluster(lambda: EPOCH + timedelta(milliseconds=self.now_ms), pods_at_once=False)
        self.cluster.unheard = set()
        self.cluster.on_delete = self._told_to_end
        self.reported: list[Event] = []
        self.graph = Graph()
        self.store = SteppedStore()
        self.ledger = Ledger()
        self.runners: list[Runner] = []
        self.heard: list[KubeJobSeen] = []
        """Sights of the past, which a late watch event may still bring."""
        self.added: set[str] = set()
        self.removed: set[str] = set()
        self.faults: dict[str, set[str]] = {}
        """Job id -> tokens of attempts that ended by the job's own doing, or were cancelled."""
        self.foreign: Counter[str] = Counter()
        """Attempts that a Node worker finished."""
        self.doomed: set[str] = set()
        """Jobs that stalled too often for BullMQ's liking: the next claimer fails them."""
        self.own_ends: set[str] = set()
        """Tokens of attempts whose runners finished their jobs themselves."""
        self.settled_by: dict[str, Operator] = {}
        """Token -> the operator process that moved its job in a runner's stead."""
        self.cut_short: set[str] = set()
        """Tokens of attempts whose operator was killed after that, before their record was out of its hands."""
        self.moved_away: set[str] = set()
        """Tokens of attempts whose jobs a Node worker took back as stalled (not covered, says DESIGN)."""
        self.failed_over = False
        self._ids = 0
        self._snapshot: tuple[int, Any] | None = None
        self.operators = [Operator(self, 0), Operator(self, 1)]
        self.processes: list[Process] = []
        self.current: Process | None = None
        """Whose turn it is."""
        self.renewed: dict[str, list[tuple[int, int]]] = {}
        """Fence of a pod -> when its runner held or extended its lock: step and time."""
        self.steps = 0

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:04d}"

    # ---- processes ----

    def spawn(self, work: Coroutine[Any, Any, None], owner: object, *, sleepy: bool = False) -> Process:
        process = Process(work, owner, sleepy=sleepy, began=self.steps)
        self.processes.append(process)
        self._bury()
        return process

    def step(self, index: int, fate: Fate) -> None:
        """Go on with one process, and check the rules."""
        if self.processes:
            self.current = self.processes[index % len(self.processes)]
            self.current.step(fate)
            self._bury()
            self.steps += 1
            self.check()

    def kill(self, owner: object) -> None:
        for process in self.processes:
            if process.owner is owner:
                process.kill()
        self._bury()

    def _bury(self) -> None:
        self.processes = [process for process in self.processes if not process.ended]

    def crash(self, index: int) -> None:
        victim = self.operators[index]
        kept = self.known()
        self.cut_short |= {t for t, who in self.settled_by.items() if who is victim and attempt_iri(t) not in kept}
        self.kill(victim)
        self.operators[index] = Operator(self, index)

    def open_window(self, fence: str, job_id: str, until_ms: int) -> Window:
        """A runner was told that it holds the job: rule 2, it writes only then."""
        assert self.redis.hash(P + job_id).get("pb") == fence, f"{fence} writes what is no longer its own"
        return self.graph.open(fence, job_id, until_ms, self.now_ms)

    def _witness(self, step: Step, reply: Any) -> None:
        """See one step of an operator or a runner at Redis, and check what can only be seen there."""
        if not isinstance(step, Script) or self.current is None:
            return
        runner = self.current.owner if isinstance(self.current.owner, Runner) else None
        if runner is not None and step.name in ("hold", "extendLock-2") and reply == 1:
            self.renewed.setdefault(runner.fence, []).append((self.steps, self.now_ms))
        if runner is None and step.name == "moveStalledJobsToWait-9":
            ours = [job_id for job_id in reply if self._is_ours(job_id)]
            assert not ours, f"the operator's stalled check moved attempts of ours: {ours}"
        if step.name in MOVES and reply == 0:
            if isinstance(self.current.owner, Operator):
                self.settled_by[self._token(step)] = self.current.owner
            if runner is None:
                self._check_settled(self._token(step))
            else:
                self.own_ends.add(runner.attempt.token)

    def _is_ours(self, job_id: str) -> bool:
        job = self.redis.hash(P + job_id)
        fence = job.get("pb", "")
        return fence.startswith("bullpen/") and json.loads(job.get("bullpen", "{}")).get("t") != fence

    @staticmethod
    def _token(step: Script) -> str:
        at = {"moveToDelayed-12": 3, "retryJob-11": 4}.get(step.name)
        packed = msgpack.unpackb(step.args[7]) if at is None else {}
        return str(packed["token"] if at is None else step.args[at])

    def _check_settled(self, fence: str) -> None:
        """Step 8 of the protocol: a bound attempt is settled on the kubelet's word, or without a lock.

        That the lock was seen absent for W is the table's to test: it may have lived and run out between two looks,
        which is as good, for W <= L.
        """
        _, _, uid = fence.partition("#")
        runner = next((one for one in self.runners if one.pod.uid == uid), None)
        if runner is None or runner.pod.terminated is not None or self.failed_over or self.current is None:
            return
        # what was renewed after this operator began to look is a race, which delays decide, not looks
        known = [at_ms for step, at_ms in self.renewed.get(fence, ()) if step < self.current.began]
        idle_ms = self.now_ms - max(known, default=0)
        assert idle_ms >= LOCK_MS, f"{fence} was settled {idle_ms} ms after it was last renewed"

    # ---- producers and other clients of the queue ----

    def add(self, **opts: Any) -> None:
        work = self.producer.add("n", "{}", opts)
        try:
            work.send(None)
        except StopIteration as end:
            self.added.add(end.value)
            self.removed.discard(end.value)  # a failover made the queue count again from an older number

    def remove(self, job_id: str) -> None:
        """As Node's remove(): refused while there is a lock."""
        if self.redis.text(f"{P}{job_id}:lock") is None and job_id in self.jobs():
            for name in STATES:
                held = self.redis.keys.get(P + name)
                if isinstance(held, list) and job_id in held:
                    held.remove(job_id)
                elif isinstance(held, dict):
                    held.pop(job_id, None)
            self.redis.delete(P + job_id)
            self.redis.members(f"{P}stalled").discard(job_id)
            self.removed.add(job_id)
            self.redis.emit(f"{P}events", event="removed", jobId=job_id)

    def cancel(self, job_id: str) -> None:
        job = self.redis.hash(P + job_id) if job_id in self.jobs() else {}
        token = job.get("pb", "").partition("#")[0]
        if token and job_id in self.redis.items(f"{P}active"):
            job["bullpen.cancel"] = token
            self.faults.setdefault(job_id, set()).add(f"cancel {token}")

    def stalled_check(self) -> None:
        """A Node worker's."""
        for job_id in move_stalled(self.redis, [f"{P}stalled"], [1, P, self.now_ms, 5000]):
            self.moved_away.add(self.redis.hash(P + job_id).get("pb", "").partition("#")[0])

    def node_worker(self, *, dies: bool) -> None:
        """A worker without a name claims a job, and completes it or dies; the token is its own."""
        queue, token = self.producer, f"node:{self.new_id()}"
        claim = _now(queue.claim(token, LOCK_MS, ""))
        if isinstance(claim, Claimed):
            self.foreign[claim.job.id] += 1
            if not dies:
                _now(queue.complete(claim.job, token, "1"))
            else:
                self.foreign[claim.job.id] -= 1

    def snapshot(self) -> None:
        """What a replica has of Redis at this moment."""
        self._snapshot = (self.now_ms, copy.deepcopy((self.redis.keys, self.redis.expires, self.redis.events)))

    def fail_over(self) -> bool:
        """The replica takes over: the last writes are lost. Two pods may write until W is over (documented)."""
        if self._snapshot is None or self.now_ms - self._snapshot[0] > 5000:
            return False
        self.redis.keys, self.redis.expires, self.redis.events = self._snapshot[1]
        self._snapshot = None
        self.failed_over = True
        self.graph.windows = []
        self.ledger = Ledger()
        self.added = {job_id for job_id in self.added if self.redis.exists(P + job_id)}
        self.removed = set()
        return True

    # ---- the cluster's own doings ----

    def own_fault(self, attempt: Attempt) -> None:
        self.faults.setdefault(attempt.job_id, set()).add(attempt.token)

    def remember(self) -> None:
        """Keep today's sights, to be told late."""
        self.heard = [*self.heard, *(one.seen() for one in self.cluster.kube_jobs.values())][-40:]

    def schedule(self, kube_job: FakeKubeJob) -> None:
        """Make a pod: the first, or one too many."""
        if not kube_job.gone and not kube_job.deleting and len(kube_job.pods) < 3:
            self.cluster.add_pod(kube_job)

    def start(self, kube_job: FakeKubeJob, pod: FakePod, ends: Ends, work: int, *, sleepy: bool = False) -> None:
        if not pod.started and not kube_job.gone and pod.terminated is None:
            pod.start()
            runner = Runner(self, kube_job.attempt, pod, ends, work)
            self.runners.append(runner)
            self.spawn(runner.run(), runner, sleepy=sleepy)

    def runner_of(self, pod: FakePod) -> Runner | None:
        return next((one for one in self.runners if one.pod is pod and not one.dead), None)

    def process_ended(self, runner: Runner, code: int, reason: str) -> None:
        """A runner is gone; the kubelet says so, if it can reach the API server."""
        pod = runner.pod
        runner.ended_as = (code, reason)  # type: ignore[attr-defined]
        if pod.node_ready and not pod.vanished:
            pod.end(code, reason, runner.words)
        self.cluster.tidy()

    def terminate(self, pod: FakePod, *, grace: bool) -> None:
        """SIGTERM: before persist it exits 143; after, it goes on, unless there is no *grace*."""
        runner = self.runner_of(pod)
        if runner is None:
            return
        if not runner.persisting:
            self.kill(runner)
            runner.exit(ExitCode.TERMINATED, TerminationMessage(RunnerOutcome.TERMINATED))
        elif not grace:
            self.kill(runner)
            runner.exit(137)

    def _told_to_end(self, kube_job: FakeKubeJob) -> None:
        for pod in kube_job.pods:
            if pod.node_ready and not pod.vanished:
                self.terminate(pod, grace=True)

    def kill_pod(self, pod: FakePod, *, memory: bool) -> None:
        runner = self.runner_of(pod)
        if runner is None:
            return
        self.kill(runner)
        self.own_fault(runner.attempt)
        runner.exit(137, reason="OOMKilled" if memory else "Error")

    def evict(self, pod: FakePod, *, grace: bool) -> None:
        if pod.terminated is None and pod.node_ready:
            pod.disruption, pod.deleting = "EvictionByEvictionAPI", True
            self.terminate(pod, grace=grace)

    def lose_node(self, pod: FakePod) -> None:
        """Its kubelet falls silent; the runner runs on."""
        if pod.terminated is None:
            pod.node_ready, pod.deleting, pod.disruption = False, True, "DeletionByTaintManager"

    def return_node(self, pod: FakePod) -> None:
        if pod.node_ready is not False or pod.vanished:
            return
        pod.node_ready = True
        runner = next((one for one in self.runners if one.pod is pod), None)
        if runner is not None and runner.dead:
            code, reason = runner.ended_as  # type: ignore[attr-defined]
            pod.end(code, reason, runner.words)
        else:
            self.terminate(pod, grace=True)
        self.cluster.tidy()

    def vanish(self, pod: FakePod) -> None:
        """PodGC, or a forced deletion: the object goes, whatever the process does."""
        if pod.terminated is None:
            pod.vanished = True
            self.cluster.tidy()

    def delete_kube_job(self, kube_job: FakeKubeJob) -> None:
        """Somebody else does it."""
        if not kube_job.deleting:
            kube_job.deleting = True
            for pod in kube_job.pods:
                pod.deleting = True
            self._told_to_end(kube_job)
            self.cluster.tidy()

    # ---- the rules ----

    def jobs(self) -> set[str]:
        return self.added - self.removed

    def places(self) -> Counter[str]:
        held: Counter[str] = Counter()
        for name in STATES:
            held.update(iter(self.redis.keys.get(P + name, ())))
        return held

    def check(self) -> None:
        self.ledger.follow(self.redis.events.get(f"{P}events", []))
        held = self.places()
        assert set(held) == self.jobs(), f"lost or strange: {set(held) ^ self.jobs()}"
        assert set(held.values()) <= {1}, f"in two places: {held}"
        active = set(self.redis.items(f"{P}active"))
        assert self.ledger.open == active, f"the events say {self.ledger.open}, active are {active}"
        self._check_claims(active)
        self._check_attempts()
        self._check_records()

    def _check_claims(self, active: set[str]) -> None:
        """Rule 4: a claim that was sent twice would leave two jobs under one token. No lock outlives its activity."""
        tokens = Counter(self.redis.hash(P + job_id).get("pb", "").partition("#")[0] for job_id in active)
        assert all(count == 1 for token, count in tokens.items() if token), tokens
        for job_id in self.jobs() - active:
            assert self.redis.text(f"{P}{job_id}:lock") is None, f"job {job_id} is locked and not active"

    def _check_attempts(self) -> None:
        """Rule 6: an attempt is counted only for what the job did itself, and once."""
        for job_id in self.jobs():
            job = self.redis.hash(P + job_id)
            if "defa" in job:
                self.doomed.add(job_id)
            made = int(job.get("atm", 0))
            allowed = len(self.faults.get(job_id, ())) + self.foreign[job_id] + (job_id in self.doomed)
            assert made <= allowed, f"job {job_id}: {made} attempts counted, {allowed} were its own doing"

    def _check_records(self) -> None:
        """Step 7: what counts as recorded is in the outbox, or in the graph."""
        known = self.known()
        for kube_job in self.cluster.kube_jobs.values():
            ran = kube_job.recorded and any(pod.started for pod in kube_job.pods)
            assert not ran or attempt_iri(kube_job.attempt.token) in known or self.failed_over, kube_job.name

    def known(self) -> set[str]:
        """Attempts whose records are in the graph or on their way there."""
        return {*self.store.graphs, *self.redis.hash(f"{P}bullpen:outbox")}

    def story(self) -> str:
        """What the operators said and what the event stream holds, for people."""
        said = [f"{event.kind.value} {event.job_id} {event.token} {event.code}" for event in self.reported[-40:]]
        told = [
            " ".join(f"{k}={v}" for k, v in entry.items()) for entry in self.redis.events.get(f"{P}events", [])[-40:]
        ]
        return "\n".join(["operators:", *said, "events:", *told])

    # ---- the end: all heals, and everything must come to an end ----

    def run_all(self) -> None:
        """Answer every request until nobody has one."""
        for _ in range(5000):
            if not self.processes:
                return
            self.step(self.steps, Fate.ANSWERED)
        raise AssertionError("something never ends")

    def heal(self) -> None:
        self.store.away = False
        for kube_job in list(self.cluster.kube_jobs.values()):
            for pod in kube_job.pods:
                self.return_node(pod)

    def finish(self) -> None:
        """Let two healthy operators work until all is done; rule 5: nothing is stuck."""
        self.run_all()
        self.heal()
        for _ in range(80):
            self.now_ms += 16_000
            for kube_job in list(self.cluster.kube_jobs.values()):
                self._come_on(kube_job)
            for operator in self.operators:
                for what in ("renew", "audit", "relaunch", "deliver", "claim", "claim", "claim"):
                    self.spawn(operator.work(what), operator)
                    self.run_all()
            if self._all_done():
                break
        self._check_the_end()

    def _come_on(self, kube_job: FakeKubeJob) -> None:
        if not kube_job.pods:
            self.schedule(kube_job)
        for pod in list(kube_job.pods):
            self.start(kube_job, pod, Ends.COMPLETES, 0)
            self.run_all()

    def _all_done(self) -> bool:
        done = {*self.redis.zset(f"{P}completed"), *self.redis.zset(f"{P}failed")}
        settled = all(kube_job.recorded for kube_job in self.cluster.kube_jobs.values())
        return self.jobs() <= done and settled and not any(one.serving.lane.slots.held for one in self.operators)

    def _check_the_end(self) -> None:
        left = {name: list(self.redis.keys.get(P + name, ())) for name in STATES[:5]}
        assert not any(left.values()), f"stuck: {left}"
        unrecorded = [one.name for one in self.cluster.kube_jobs.values() if not one.recorded]
        assert not unrecorded, f"never recorded: {unrecorded}"
        assert not self.redis.exists(f"{P}bullpen:outbox"), "records were never delivered"
        forgotten = [one.fence for one in self.runners if self._is_forgotten(one)]
        assert not forgotten or self.failed_over, f"attempts that nobody recorded: {forgotten}"
        held = [operator.serving.lane.slots.held for operator in self.operators]
        assert not any(held), f"slots never freed: {held}"
        for job_id in self.redis.zset(f"{P}completed"):
            written = self.graph.written.get(job_id)
            assert written or self.foreign[job_id], f"job {job_id} completed without its results"
            value = self.redis.hash(P + job_id)["returnvalue"]
            assert value == ("1" if self.foreign[job_id] and value == "1" else '"done"'), f"job {job_id}: {value}"

    def _is_forgotten(self, runner: Runner) -> bool:
        token = runner.attempt.token
        if attempt_iri(token) in self.store.graphs or runner.fence not in self.renewed:
            return False
        # Neither job nor KubeJob is left to tell of it, or who alone knew is dead: real launchers remember last words.
        cut_short = token in self.cut_short or (token in self.settled_by and token not in self._told())
        moved = token in self.own_ends or token in self.moved_away or runner.attempt.job_id in self.removed
        return not ((moved or cut_short) and token in self.cluster.unheard)

    def _told(self) -> set[str]:
        """Tokens of attempts whose settling was not cut off before its answer came."""
        ends = (EventKind.SETTLED, EventKind.GIVEN_BACK)
        return {event.token for event in self.reported if event.kind in ends}


def _now(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")
