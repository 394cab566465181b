"""The process of the embedded triplestore: opens the folder, binds the port, serves until it is told to stop."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import pyoxigraph as ox

from bullpen_operator.local.group_flush import GroupFlush
from bullpen_operator.local.rdf4j import Rdf4j
from bullpen_operator.local.rdf_server import MAX_BODY_BYTES, RdfServer
from bullpen_operator.local.store_folder import (
    ALREADY_SERVED,
    UNUSABLE,
    Owner,
    StoreFolder,
    StoreTakenError,
    StoreUnusableError,
)

REPOSITORY: Final = "bullpen"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a folder; returns an exit code once that turned out impossible, else runs until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _leave())
    try:
        serve(options)
    except StoreUnusableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's own words
        return ALREADY_SERVED if isinstance(error, StoreTakenError) else UNUSABLE
    return 0


def serve(options: argparse.Namespace) -> None:
    """Own the folder and serve it."""
    folder = StoreFolder(options.state)
    with folder.owned():
        store = _opened(folder)
        committed = GroupFlush(store.flush) if options.durability == "disk" else _nothing
        idle = Idle(folder, options.linger) if options.linger is not None else _nothing
        server = _bound(options, folder, Rdf4j(store, REPOSITORY, committed), idle)
        host, port = server.server_name, server.server_port
        url = f"http://{host}:{port}/repositories/{REPOSITORY}"
        folder.announce(Owner(url, os.getpid(), port))
        print(url, flush=True)  # noqa: T201 - whoever started us waits for this line
        try:
            server.serve_forever()
        finally:
            store.flush()


@dataclass(slots=True)
class Idle:
    """Ends the process once nobody has used the folder for `linger_s` seconds."""

    folder: StoreFolder
    linger_s: float
    used_at: float = field(default_factory=time.monotonic)

    def __call__(self) -> None:
        """Look whether a user lives."""
        if self.folder.is_used():
            self.used_at = time.monotonic()
        elif time.monotonic() - self.used_at > self.linger_s:
            _leave()


def _opened(folder: StoreFolder) -> ox.Store:
    try:
        return ox.Store(str(folder.data))
    except (OSError, RuntimeError) as error:  # RuntimeError is how a broken file comes
        raise StoreUnusableError(f"the triplestore in {folder.path} cannot be opened: {error}") from error


def _bound(
    options: argparse.Namespace, folder: StoreFolder, endpoint: Rdf4j, every_poll: Callable[[], None]
) -> RdfServer:
    """Bind the port that was asked for; else the folder's last one, which running attempts know; else any."""
    owner = folder.owner()
    ports = [options.port] if options.port else [owner.port if owner else 0, 0]
    for port in ports:
        try:
            return RdfServer((options.host, port), endpoint.answer, options.max_body_mb * 1_000_000, every_poll)
        except OSError as error:
            if port and port != ports[-1] and error.errno == errno.EADDRINUSE:
                continue
            reason = f"the triplestore cannot listen on {options.host}:{port}: {error.strerror or error}"
            raise StoreUnusableError(reason) from error
    raise AssertionError


def _leave() -> NoReturn:
    raise SystemExit(0)


def _nothing() -> None:
    pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bullpen_operator.local.store", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the store; made if it is not there")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; there is no password (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0: the folder's last port, or any that is free")
    parser.add_argument(
        "--durability",
        choices=("process", "disk"),
        default="process",
        help="what an acknowledged write survives: kill -9 (default), or loss of power as well",
    )
    parser.add_argument("--max-body-mb", type=int, default=MAX_BODY_BYTES // 1_000_000, help="limit of one request")
    parser.add_argument(
        "--linger",
        type=float,
        default=None,
        metavar="SECONDS",
        help="end when start_store's users have been gone for so long (default: never)",
    )
    return parser
