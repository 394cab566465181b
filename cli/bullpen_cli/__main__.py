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
    "local": _Lazy("bullpen_cli.local", "Serve JobQueue manifests on this machine: one process per job, no cluster."),
    "process": _Lazy("bullpen_cli.process", "Run one processor on a payload from stdin: no Redis, no store."),
}

_EXAMPLES: Final = """Examples:

bullpen local -f examples/demo/jobqueue.yaml

bullpen process http-ingest < payload.json

bullpen --install-completion
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
