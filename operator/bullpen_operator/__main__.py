"""`python -m bullpen_operator`: the operator of a cluster, wired together; and what a release's hooks run."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Mapping, Sequence

from bullpen_operator import crd_upgrade, draining, logs, trial
from bullpen_operator.attempt_log import AttemptLog
from bullpen_operator.commands import parser
from bullpen_operator.engine import Engine, EngineSettings
from bullpen_operator.events import all_of
from bullpen_operator.handlers import watch_jobqueues
from bullpen_operator.janitor import Janitor
from bullpen_operator.kube import KubeApi
from bullpen_operator.lease import Election
from bullpen_operator.metrics import Metrics
from bullpen_operator.namespace_mirror import NamespaceMirror
from bullpen_operator.pacing import Gate, Pacer
from bullpen_operator.probes import Probes
from bullpen_operator.roster import Roster
from bullpen_operator.server import RedisServer
from bullpen_operator.settings import Settings, SettingsError, from_environment
from bullpen_operator.status_writer import StatusWriter
from bullpen_protocol.assignment import ExitCode

logger = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM. Running pods are left alone: the next operator finds them."""
    metrics = Metrics()
    now = asyncio.get_running_loop().time()
    pacer = Pacer(settings.api_rate, settings.api_burst, started_at=now)
    api = await KubeApi.connect(pacer, metrics.requested)
    try:
        await _serve(api, settings, metrics)
    finally:
        await api.close()


async def _serve(api: KubeApi, settings: Settings, metrics: Metrics) -> None:
    stop = asyncio.Event()
    attempt_log = AttemptLog(settings.log_server)
    report = all_of(metrics.report, attempt_log.report)
    engine = Engine(report=report, settings=EngineSettings(audit_interval_s=settings.audit_interval_s))
    gate = Gate(settings.podless_limit)
    mirrors = {namespace: NamespaceMirror(api, namespace, gate=gate) for namespace in settings.namespaces}
    roster = Roster(api, engine, settings, mirrors, RedisServer)
    janitor = Janitor(api, mirrors)
    writer = StatusWriter(api, engine, roster, metrics)
    election = _election(api, settings)
    serving = asyncio.Event()

    def health() -> dict[str, float]:
        lease = {} if election is None else {"lease": election.age_s}
        return lease | (ages(mirrors, roster, writer) | {"janitor": janitor.age_s} if serving.is_set() else {})

    probes = Probes(metrics, health, settings.stale_after_s)
    await probes.start(settings.http_port)
    if election is not None:
        await election.acquire()
    serving.set()
    logger.info("serving namespaces", extra={"namespaces": list(settings.namespaces)})
    async with asyncio.TaskGroup() as group:
        loops = [
            *(group.create_task(mirror.run(), name=f"mirror {name}") for name, mirror in mirrors.items()),
            group.create_task(engine.run(), name="engine"),
            group.create_task(roster.run(), name="roster"),
            group.create_task(janitor.run(), name="janitor"),
            group.create_task(_lead(election, stop), name="lease"),
            group.create_task(writer.run(settings.status_interval_s), name="status"),
        ]
        kopf_stop = asyncio.Event()
        group.create_task(_kopf(roster, settings, kopf_stop, stop), name="kopf")
        await stop.wait()
        logger.info("stopping; what runs, runs on")
        await engine.stop()
        for loop in loops:
            loop.cancel()
        kopf_stop.set()  # last: it cancels whatever tasks it does not know
    if election is not None:
        await election.release()
    await probes.stop()
    await asyncio.to_thread(attempt_log.close)


def _election(api: KubeApi, settings: Settings) -> Election | None:
    if not settings.lease:
        return None
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    return Election(api, settings.own_namespace, settings.lease, identity)


async def _lead(election: Election | None, stop: asyncio.Event) -> None:
    """Serve while the lease is ours: without it we end, and begin anew as one that waits for it."""
    if election is not None:
        await election.keep()
        stop.set()


def ages(mirrors: Mapping[str, NamespaceMirror], roster: Roster, writer: StatusWriter) -> dict[str, float]:
    """Seconds since each loop last turned. An outage is no reason to restart: loops that try, turn."""
    found = {f"mirror of {namespace}": mirror.age_s for namespace, mirror in mirrors.items()}
    found |= {"JobQueues": roster.age_s, "status": writer.age_s}
    if all(mirror.answered for mirror in mirrors.values()):
        found |= {f"audit of {name}": age for name, age in writer.audit_ages().items()}
    return found


async def _kopf(roster: Roster, settings: Settings, kopf_stop: asyncio.Event, stop: asyncio.Event) -> None:
    ready = asyncio.Event()
    taking = asyncio.get_running_loop().create_task(_take_signals(ready, stop))
    try:
        await watch_jobqueues(roster, settings.namespaces, kopf_stop, ready)
    finally:
        taking.cancel()
        stop.set()


async def _take_signals(ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Take the signals back from kopf, which would end itself first and cancel everybody's tasks."""
    await ready.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator, or what a release's hooks need; the exit code is 64 for a wrong environment."""
    chosen = parser().parse_args(arguments)
    if chosen.command == "try":
        tried = trial.Trial(chosen.queue, chosen.name, chosen.data, chosen.timeout, chosen.prefix)
        return trial.run(tried, os.environ)
    logs.configure(os.environ.get("LOG_LEVEL", "INFO"))
    if chosen.command == "crd":
        return asyncio.run(crd_upgrade.run())
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_ASSIGNMENT
    logs.configure(settings.log_level)
    if chosen.command == "drain":
        return asyncio.run(draining.run(settings, draining.Release(chosen.deployment, chosen.tests), chosen.grace))
    asyncio.run(serve(settings))
    return ExitCode.COMPLETED


if __name__ == "__main__":
    sys.exit(main())
