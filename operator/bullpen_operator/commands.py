"""The command line of the operator's image: what it serves with, and what a release's hooks run."""

from __future__ import annotations

import argparse
from typing import Final

_ABOUT: Final = "The operator of Bullpen: every BullMQ job in its own pod. Its settings are environment variables."


def parser() -> argparse.ArgumentParser:
    """Describe the command line; without a command it serves."""
    described = argparse.ArgumentParser("python -m bullpen_operator", description=_ABOUT)
    commands = described.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser(
        "serve", help="serve the JobQueues of BULLPEN_NAMESPACES until SIGTERM (without a command, too)"
    )
    commands.add_parser("crd", help="bring the cluster's JobQueue definition up to this version")
    draining = commands.add_parser("drain", help="stop the operator, give back what runs and remove what has ended")
    draining.add_argument(
        "--deployment", required=True, metavar="NAME", help="the operator's, in BULLPEN_OWN_NAMESPACE"
    )
    draining.add_argument("--grace", type=float, default=60.0, metavar="SECONDS", help="then what runs is killed (60)")
    draining.add_argument("--tests", metavar="POD", help="the pod of `helm test`, which is removed as well")
    trying = commands.add_parser("try", help="add a job to the Redis of BULLPEN_REDIS_URL and wait until it completed")
    trying.add_argument("queue", help="name of the BullMQ queue")
    trying.add_argument("name", help="name of the job")
    trying.add_argument("data", help="its payload in JSON")
    trying.add_argument("--prefix", default="bull", help="BullMQ's prefix (bull)")
    trying.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="longest wait (120)")
    return described
