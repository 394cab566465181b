"""`bullpen local`: serve JobQueue manifests on this machine, one process per job."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from bullpen_cli.local_view import Lines, Table, View
from bullpen_operator.local.host import HostSettings, LocalHost, UnfitRedisError, idle, notices
from bullpen_operator.local.manifest_files import ManifestError, load
from bullpen_operator.local.redis import RedisUnavailableError
from bullpen_operator.local.state import StateError
from bullpen_operator.local.store import StoreUnusableError
from bullpen_protocol.bullmq import RedisFaultError, ServerUrlError
from bullpen_protocol.forwarding.entries import ForwardingError

logger = logging.getLogger("bullpen.local")

LOOK_S: Final = 0.5
"""Between two looks at the queues, for the table and for --exit-when-idle."""
USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130
"""As a shell says it of a command that ended by SIGINT."""
_REFUSALS: Final = (
    ForwardingError, ManifestError, RedisUnavailableError, ServerUrlError, StateError, StoreUnusableError,
    UnfitRedisError,
)  # fmt: skip


def local(  # noqa: PLR0913 - options of a command line
    *,
    file: Annotated[
        list[Path], typer.Option("-f", "--file", help="JobQueue manifests (YAML); may be given several times.")
    ],
    redis_url: Annotated[
        str | None,
        typer.Option(envvar="BULLPEN_REDIS_URL", help="Redis of the queues. Default: an embedded one.", metavar="URL"),
    ] = None,
    redis_ca: Annotated[
        Path | None, typer.Option(envvar="BULLPEN_REDIS_CA_FILE", help="Certificates to trust for rediss://.")
    ] = None,
    redis_port: Annotated[
        int, typer.Option(help="Port of the embedded Redis on 127.0.0.1. Default: its last one, or any.")
    ] = 0,
    graph_url: Annotated[
        str | None,
        typer.Option(
            envvar="BULLPEN_GRAPH_URL", help="Repository for results. Default: an embedded one.", metavar="URL"
        ),
    ] = None,
    graph_update_url: Annotated[
        str | None, typer.Option(envvar="BULLPEN_GRAPH_UPDATE_URL", help="Where it takes updates.", metavar="URL")
    ] = None,
    graph_username: Annotated[
        str | None,
        typer.Option(envvar="BULLPEN_GRAPH_USERNAME", help="Its user; the password: BULLPEN_GRAPH_PASSWORD."),
    ] = None,
    state: Annotated[
        Path, typer.Option(envvar="BULLPEN_STATE", help="Folder for attempts and the embedded stores.")
    ] = Path(".bullpen"),
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once per JobQueue, in the place of the manifests' own.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch directories of ended attempts.")] = False,
    exit_when_idle: Annotated[
        bool, typer.Option("--exit-when-idle", help="End once nothing waits, runs or is delayed.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON lines even on a terminal.")] = False,
) -> None:
    """Serve JobQueue manifests on this machine: one process per job, no cluster.

    Each job runs alone in a process of its own, with the memory, CPU and time limits of its job type. Without
    --redis-url and --graph-url a Redis and a triplestore are started and kept in the state folder. The Secrets that
    manifests refer to are not read: these options and variables stand in for them.

    \b
    Examples:
      bullpen local -f jobqueue.yaml
      bullpen local -f jobqueue.yaml --redis-url redis://127.0.0.1:6379
      bullpen local -f a.yaml -f b.yaml --concurrency 2 --exit-when-idle
      bullpen local -f jobqueue.yaml --json | jq 'select(.level != "info")'

    LOGS_WS_URL names a log server (Socket.IO) that gets the log lines of every job; LOG_LEVEL says how much is logged.

    Ctrl-C gives running jobs back, no attempt spent, and ends; a second Ctrl-C kills them first. Killed with -9 it
    leaves its jobs running: start it again, and it finds them.
    """
    if sys.platform != "linux":
        raise typer.BadParameter("it needs Linux: pidfds, /proc and control groups; run it in a container")
    try:
        manifests = load(file, os.environ)
        settings = HostSettings(
            jobqueues=manifests.jobqueues,
            state=state,
            redis_url=redis_url,
            redis_ca=_readable(redis_ca),
            redis_port=redis_port,
            graph_url=graph_url,
            graph_update_url=graph_update_url,
            graph_username=graph_username,
            graph_password=os.environ.get("BULLPEN_GRAPH_PASSWORD"),
            concurrency=concurrency,
            keep_scratch=keep,
        )
        for notice in (*manifests.notices, *notices(manifests.jobqueues)):
            print(f"bullpen local: {notice}", file=sys.stderr)
        asyncio.run(_Session(settings, _view(state, json_lines), exit_when_idle).run())
    except _REFUSALS as error:
        for sentence in str(error).splitlines():
            print(f"bullpen local: {sentence}", file=sys.stderr)
        raise typer.Exit(USAGE_ERROR) from None
    except KeyboardInterrupt:  # until it serves; what was brought up is down again
        print("bullpen local: interrupted before it served anything", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _readable(path: Path | None) -> str | None:
    """Make a path good for every working directory; runners have their own."""
    if path is None:
        return None
    try:
        path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}; expected certificates in PEM") from error
    return str(path.resolve())


def _view(state: Path, json_lines: bool) -> View:
    if json_lines or not sys.stdout.isatty():
        return Lines()
    return Table(state / "operator.log")


class _Session:
    """One run, from start to the last settled job."""

    def __init__(self, settings: HostSettings, view: View, exit_when_idle: bool) -> None:
        self._host = LocalHost(settings, view.event)
        self._view = view
        self._exit_when_idle = exit_when_idle
        self._interrupts = 0
        self._interrupted = asyncio.Event()

    async def run(self) -> None:
        """Serve until interrupted or, if so asked, idle."""
        async with self._host as host:
            self._catch_signals()
            self._view.start(host.connections)
            engine = asyncio.create_task(host.engine.run())
            looking = asyncio.create_task(self._look())
            interrupted = asyncio.create_task(self._interrupted.wait())
            try:
                await asyncio.wait({engine, looking, interrupted}, return_when=asyncio.FIRST_COMPLETED)
                await host.engine.stop(drain=interrupted.done())
                await engine
                self._view.show(await host.status())
            finally:
                for task in (looking, interrupted):
                    task.cancel()
                self._view.close()

    async def _look(self) -> None:
        idle_looks = 0
        while idle_looks < 2 or not self._exit_when_idle:  # one look can miss a job between two states
            try:
                statuses = await self._host.status()
            except RedisFaultError as error:
                logger.debug("no look at the queues", extra={"error": str(error)})
            else:
                self._view.show(statuses)
                idle_looks = idle_looks + 1 if idle(statuses) else 0
            await asyncio.sleep(LOOK_S)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self._interrupt)

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._view.say("ending: running jobs are given back, no attempt spent; interrupt again to kill them")
            self._interrupted.set()
        elif self._interrupts == 2:
            self._view.say("killing what runs; it is given back too")
            self._host.kill()
        else:
            os._exit(INTERRUPTED)
