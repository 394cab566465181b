"""How a command ends: its exit codes, and one sentence on standard error when it can't do what it was asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import typer

from bullpen_operator.escaping import safe
from bullpen_protocol.bullmq.errors import JobOptionsError, RedisAwayError, RedisFaultError, ServerUrlError

NEGATIVE: Final = 1
"""The answer is no: the job failed, there is no such job or finding, something was not retried or cancelled."""
USAGE_ERROR: Final = 2
"""The command line is wrong, or a server can't be reached or refuses; nothing is known of what was asked."""


class CannotAskError(Exception):
    """The command can't begin; one sentence says what to give."""


@contextmanager
def refusals(command: str) -> Iterator[None]:
    """Make one sentence and exit code 2 of whatever hinders *command*."""
    try:
        yield
    except (CannotAskError, JobOptionsError, ServerUrlError) as error:
        refuse(command, str(error))
    except RedisAwayError as error:
        refuse(command, f"Redis can't be reached: {error}")
    except RedisFaultError as error:
        refuse(command, f"Redis refuses: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        raise typer.Exit(0) from None


def refuse(command: str, sentence: str) -> NoReturn:
    """Say on standard error why *command* can't be done."""
    say(command, sentence)
    raise typer.Exit(USAGE_ERROR)


def say(command: str, sentence: str) -> None:
    """Tell people something that is not the answer."""
    print(f"bullpen {command}: {safe(sentence, 1000)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print an answer for programs: one line, ASCII, so that no terminal obeys what is in it."""
    print(json.dumps(value))
