"""What the result file of a plain job means as a return value. Pure."""

from __future__ import annotations

from bullpen_runner.values import ValueNotJsonError, dump_value, parse_json


class ResultError(ValueError):
    """The result can't be a job's return value; one sentence, without any of it."""


def value_of(content: bytes) -> str:
    """Read JSON, or else text, as JSON; an empty file is null. Raises ResultError.

    A shell writes `echo done > "$BULLPEN_RESULT"`: text is taken as such, without the newline at its end.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ResultError(f"the result is not UTF-8: byte {error.start}") from None
    if not text.strip():
        return "null"
    try:
        return dump_value(parse_json(text))
    except RecursionError:
        raise ResultError("the result is nested too deep") from None
    except ValueNotJsonError as error:
        raise ResultError(str(error)) from None
    except ValueError:
        return dump_value(text.removesuffix("\n").removesuffix("\r"))
