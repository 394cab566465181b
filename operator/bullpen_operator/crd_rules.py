"""What the validators of the models say in Python, in CEL: the API server then refuses with the same sentences.

CEL's `quantity` library needs Kubernetes 1.29, as Bullpen does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bullpen_operator.resources import above, nothing_to_raise, nowhere_to_raise

Rule = Mapping[str, str]

FORM_OF_QUANTITY: Final = r"^[0-9]+([.][0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
_FORM_OF_DURATION: Final = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"


def _rule(cel: str, message: str) -> Rule:
    return {"rule": cel, "message": message}


SIZE_RULE: Final = _rule(
    f"self.matches('{FORM_OF_QUANTITY}') && quantity(self).isGreaterThan(quantity('0'))",
    "expected a quantity above 0, such as 512Mi",
)


def duration_rule(at_least_1s: bool) -> Rule:
    """Make the rule of a duration's text; CEL reads more forms than we do, so the form comes first."""
    bound, expected = (">= duration('1s')", "of 1s or more") if at_least_1s else ("> duration('0s')", "above 0")
    return _rule(
        f"self.matches('{_FORM_OF_DURATION}') && duration(self) {bound}",
        f"expected a duration {expected}, such as 30s, 10m or 1h30m",
    )


def _within(kind: str) -> Rule:
    field = kind.replace("-", "__dash__")  # as CEL escapes names
    absent = " || ".join(f"!has(self.{part}) || !has(self.{part}.{field})" for part in ("requests", "limits"))
    request, limit = (f"quantity(self.{part}.{field})" for part in ("requests", "limits"))
    return _rule(f"{absent} || {request}.compareTo({limit}) <= 0", above(kind))


def _grows(name: str, kind: str) -> Rule:
    """Where an escalation and its limit stand side by side; across `defaults`, the operator checks them."""
    field = kind.replace("-", "__dash__")
    limit = f"self.resources.limits.{field}"
    absent = f"!has(self.{name}) || !has(self.resources) || !has(self.resources.limits) || !has({limit})"
    bounds = f"quantity(self.{name}.max).compareTo(quantity({limit})) >= 0"
    return _rule(f"{absent} || {bounds}", nowhere_to_raise(name, kind))


def _has_room(name: str, kind: str) -> Rule:
    """`resources` of a job type replace those of `defaults` whole."""
    own, inherited = (_limited(part, kind) for part in ("t", "self.defaults"))
    wanted = f"has(t.{name}) || has(self.defaults) && has(self.defaults.{name})"
    limited = f"has(t.resources) ? {own} : has(self.defaults) && has(self.defaults.resources) && {inherited}"
    return _rule(f"self.jobTypes.all(t, !({wanted}) || ({limited}))", nothing_to_raise(name, kind))


def _limited(part: str, kind: str) -> str:
    limits = f"{part}.resources.limits"
    return f"has({limits}) && has({limits}.{kind.replace('-', '__dash__')})"


_RUNNER: Final = (
    "(has(t.runner) ? t.runner : has(self.defaults) && has(self.defaults.runner) ? self.defaults.runner : 'managed')"
)
"""CEL: the runner of job type *t*."""
_RUNNERS: Final = (
    _rule(
        f"self.jobTypes.all(t, {_RUNNER} != 'plain' || has(t.image)"
        " || (has(self.defaults) && has(self.defaults.image)))",
        "a job type with runner: plain needs an image",
    ),
    _rule(
        f"self.jobTypes.all(t, {_RUNNER} != 'plain' || !(has(t.processor) || has(t.settings) || has(t.graph)))",
        "a job type with runner: plain has no processor, settings or graph: only a managed runner reads them",
    ),
    _rule(
        f"self.jobTypes.all(t, {_RUNNER} == 'plain' || !has(t.onUnreachable))",
        "onUnreachable is for job types with runner: plain",
    ),
)

_ESCALATIONS: Final = (("onOutOfMemory", "memory"), ("onOutOfDisk", "ephemeral-storage"))
_GROWTH: Final = tuple(_grows(*one) for one in _ESCALATIONS)

RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "ValueFrom": (
        _rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            "expected exactly one of secretKeyRef and configMapKeyRef",
        ),
    ),
    "EnvVar": (
        _rule("has(self.value) != has(self.valueFrom)", "expected exactly one of value and valueFrom"),
        _rule(
            "!self.name.startsWith('BULLPEN_')",
            "names that start with BULLPEN_ are the operator's own; choose another",
        ),
    ),
    "Resources": tuple(_within(kind) for kind in ("memory", "ephemeral-storage")),
    "Escalation": (
        _rule("!has(self.factor) || self.factor > 1.0 && self.factor <= 10.0", "expected a factor above 1, up to 10"),
    ),
    "Defaults": _GROWTH,
    "JobType": _GROWTH,
    "JobQueueSpec": (*(_has_room(*one) for one in _ESCALATIONS), *_RUNNERS),
}
"""By model."""
