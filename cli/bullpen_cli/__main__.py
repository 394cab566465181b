"""`bullpen`: the root of the command line. A sub-command is imported only when it is called by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, metadata
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class _Lazy(NamedTuple):
    """Where the code of a sub-command is: the function named like the command, in the module named like it."""

    module: str
    summary: str


COMMANDS: Final = {
    "add": _Lazy("bullpen_cli.add", "Add a job to a queue, as a producer does."),
    "queues": _Lazy("bullpen_cli.queues", "List the queues with their jobs by state."),
    "jobs": _Lazy("bullpen_cli.jobs", "List the jobs of a queue."),
    "job": _Lazy("bullpen_cli.job", "Say why a job is where it is: state, attempts, reason, pod, log."),
    "cancel": _Lazy("bullpen_cli.cancel", "End a job that runs, or fail one that waits."),
    "retry": _Lazy("bullpen_cli.retry", "Put failed jobs back to wait."),
    "findings": _Lazy("bullpen_cli.findings", "List what jobs have found, from the graph store."),
    "why": _Lazy("bullpen_cli.why", "Say which job found a finding: image, input, when."),
    "local": _Lazy("bullpen_cli.local", "Serve JobQueue manifests on this machine: one process per job, no cluster."),
    "process": _Lazy("bullpen_cli.process", "Run one processor on a payload from stdin: no Redis, no store."),
}

_EXAMPLES: Final = """
\b
Examples:
  bullpen local -f examples/demo/http-requests.yaml
  bullpen add http-requests http-ingest @payload.json --wait
  bullpen jobs http-requests --state failed
  bullpen job http-requests 7
  bullpen findings --severity HIGH
  bullpen --install-completion

Each command has examples of its own: bullpen COMMAND --help. Exit codes: 0 yes, 1 no, 2 could not be asked.
"""


class _LazyGroup(TyperGroup):
    """Lists sub-commands by name and summary; imports one when it runs, or when its options are completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None or command is None else _load(name), rest


def _load(name: str) -> Any:
    function: Callable[..., Any] = getattr(import_module(COMMANDS[name].module), name)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(function)
    return typer.main.get_command(single)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bullpen {metadata.version('bullpen')}")
        raise typer.Exit


app = typer.Typer(
    name="bullpen",
    cls=_LazyGroup,
    epilog=_EXAMPLES,
    help="Every BullMQ job in its own Kubernetes pod, or its own process here.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take longer to import than all else that --help needs
)


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def _register(name: str, summary: str) -> None:
    @app.command(name, help=summary, cls=TyperCommand)
    def stub() -> None:
        raise AssertionError("a listed command is always replaced by the loaded one")


for _name, _lazy in COMMANDS.items():
    _register(_name, _lazy.summary)


def main() -> None:
    """Run the command line; the console script `bullpen`."""
    app(prog_name="bullpen")


if __name__ == "__main__":
    main()
