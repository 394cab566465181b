"""JobQueue manifests from files: refused whole when anything is wrong, with file, line, field and what was expected."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bullpen_operator.local.yamlfile import Document, YamlError, documents
from bullpen_operator.manifest import Placement, kube_job
from bullpen_operator.model import API_GROUP, KIND, EnvVar, JobQueue
from bullpen_operator.ports import ConfigurationFaultError
from bullpen_operator.seen import Attempt

_GOT_LIMIT: Final = 40


class ManifestError(ValueError):
    """The manifests are refused; `problems` are sentences that each begin with `file:line:`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the files say."""

    jobqueues: tuple[JobQueue, ...]
    notices: tuple[str, ...] = ()
    """What was left out, a sentence each."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A JobQueue and where it is written."""

    jobqueue: JobQueue
    place: str


def load(paths: Iterable[Path], environ: Mapping[str, str]) -> Manifests:
    """Read every JobQueue of *paths*; other Kubernetes objects are left out with a notice.

    Variables that a Secret or ConfigMap would fill must be in *environ*, by their own name.

    Raises:
        ManifestError: with every problem of every file.
    """
    problems: list[str] = []
    notices: list[str] = []
    found: list[_Found] = []
    paths = list(paths)
    for path in paths:
        try:
            for document in documents(_content(path)):
                place = f"{path}:{document.line}"
                if foreign := _foreign(document):
                    notices.append(f"{place}: {foreign} is not for `bullpen local` and was left out")
                else:
                    found.append(_Found(_read(path, document, environ), place))
        except YamlError as error:
            problems.append(f"{path}:{error.line}: {error}" if error.line else f"{path}: {error}")
        except ManifestError as error:
            problems += error.problems
    problems += _clashes(found)
    if not problems and not found:
        problems = [f"{', '.join(map(str, paths))}: no {KIND} in it; expected at least one"]
    if problems:
        raise ManifestError(problems)
    return Manifests(tuple(one.jobqueue for one in found), tuple(notices))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError([f"{path}: {error.strerror or error}; expected a file of YAML"]) from error


def _foreign(document: Document) -> str:
    """Name an object of Kubernetes that is not ours; empty for all that should be a JobQueue."""
    value = document.value
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("apiVersion", "kind")):
        return ""
    if value["apiVersion"].split("/")[0] == API_GROUP or value["kind"] == KIND:
        return ""
    return f"{value['kind'][:_GOT_LIMIT]} ({value['apiVersion'][:_GOT_LIMIT]})"


def _read(path: Path, document: Document, environ: Mapping[str, str]) -> JobQueue:
    if not isinstance(document.value, dict):
        raise ManifestError([f"{path}:{document.line}: expected a mapping with apiVersion, kind, metadata and spec"])
    try:
        # As JSON and by alias only: exactly what the API server takes.
        jobqueue = JobQueue.model_validate_json(json.dumps(document.value), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ManifestError([_sentence(path, document, one) for one in _own(error.errors())]) from error
    problems = [*_job_type_problems(path, document, jobqueue), *_unset(path, document, jobqueue, environ)]
    if problems:
        raise ManifestError(problems)
    return jobqueue


def _own(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out that a list is too short because of what is wrong inside it."""
    for error in errors:
        where = error["loc"]
        inside = any(len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in errors)
        if not (error["type"] == "too_short" and inside):
            yield error


def _sentence(path: Path, document: Document, error: ErrorDetails) -> str:
    where = error["loc"]
    return f"{path}:{document.line_of(where)}: {_dotted(where)}: {_expected(error)}"


def _dotted(where: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.lstrip(".") or "the manifest"


def _expected(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "missing":
        return "missing; expected this field"
    if kind == "extra_forbidden":
        return f"unknown field; {_known(error['loc'])}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    said = _REWORDED.get(kind) or error["msg"].replace("Input should be", "expected", 1)
    return f"{said.format(**error.get('ctx', {}))}, got {_shortened(error['input'])}"


_REWORDED: Final = {
    "string_too_short": "expected at least {min_length} character",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "expected text that matches {pattern}",
    "too_short": "expected at least {min_length} item",
    "too_long": "expected at most {max_length} items",
    "greater_than": "expected more than zero",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "string_type": "expected text (put it in quotes)",
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "tuple_type": "expected a list",
}
"""pydantic's error types in our words; the rest is pydantic's own sentence."""


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _GOT_LIMIT else f"{text[:_GOT_LIMIT]}..."


def _known(where: tuple[str | int, ...]) -> str:
    model: Any = JobQueue
    for part in where[:-1]:
        model = _field_model(model, part)
    names = [info.alias or name for name, info in model.model_fields.items()]
    near = difflib.get_close_matches(str(where[-1]), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(names))}"


def _field_model(model: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return model
    annotation = next(info.annotation for name, info in model.model_fields.items() if (info.alias or name) == part)
    return next(_models_in(annotation))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _job_type_problems(path: Path, document: Document, jobqueue: JobQueue) -> Iterator[str]:
    """Render each job type as the operator in a cluster would: what it refuses there is refused here."""
    placement = Placement("local", jobqueue.metadata.name, "local", "local", default_image="local")
    for index, job_type in enumerate(jobqueue.spec.job_types):
        attempt = Attempt("local", jobqueue.spec.prefix, jobqueue.spec.queue, "1", job_type.name, "token")
        whole = jobqueue.spec.job_type(job_type.name) or job_type
        if whole.runner == "plain":
            yield _plain(path, document, index, job_type.name)
            continue
        try:
            kube_job(attempt, whole, placement)
        except ConfigurationFaultError as error:
            own: tuple[str | int, ...] = ("spec", "jobTypes", index, "podTemplate")
            where = own if own in document.lines else ("spec", "defaults", "podTemplate")
            yield f"{path}:{document.line_of(where)}: {_dotted(where)}: {error}"


def _plain(path: Path, document: Document, index: int, name: str) -> str:
    own: tuple[str | int, ...] = ("spec", "jobTypes", index, "runner")
    where = own if own in document.lines else ("spec", "defaults", "runner")
    sentence = f"job type {name!r} has runner: plain, which needs a cluster: its image can't be run here"
    return f"{path}:{document.line_of(where)}: {_dotted(where)}: {sentence}"


def _unset(path: Path, document: Document, jobqueue: JobQueue, environ: Mapping[str, str]) -> Iterator[str]:
    """Variables whose value would come from a Secret or ConfigMap and is not here."""
    spec = jobqueue.spec
    places: list[tuple[tuple[str | int, ...], tuple[EnvVar, ...]]] = [(("spec", "defaults"), spec.defaults.env)]
    places += [(("spec", "jobTypes", index), one.env) for index, one in enumerate(spec.job_types)]
    for place, variables in places:
        for index, variable in enumerate(variables):
            source = variable.value_from
            if source is not None and not source.optional and variable.name not in environ:
                where = (*place, "env", index, "valueFrom")
                yield (
                    f"{path}:{document.line_of(where)}: {_dotted(where)}: no Secrets or ConfigMaps here; "
                    f"set {variable.name} in the environment of `bullpen local`"
                )


def _clashes(found: Sequence[_Found]) -> Iterator[str]:
    names: dict[str, str] = {}
    queues: dict[tuple[str, str], str] = {}
    for one in found:
        spec, name = one.jobqueue.spec, one.jobqueue.metadata.name
        if name in names:
            yield f"{one.place}: metadata.name: JobQueue {name!r} was given before at {names[name]}"
        elif other := queues.get((spec.prefix, spec.queue)):
            yield f"{one.place}: spec.queue: {spec.queue!r} is served by the JobQueue at {other}"
        names.setdefault(name, one.place)
        queues.setdefault((spec.prefix, spec.queue), one.place)
