"""What an attempt may use, and how that grows when it was too little. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from bullpen_operator.fields import Cpu, Model, Size, quantity
from bullpen_operator.seen import Allowance

KINDS: Final = ("cpu", "memory", "ephemeral-storage")
"""Kubernetes' names of what is requested and limited."""


class Limits(Model):
    """Amounts of a container: requests or limits."""

    cpu: Cpu | None = None
    memory: Size | None = None
    ephemeral_storage: Annotated[Size | None, Field(alias="ephemeral-storage")] = None

    def of(self, kind: str) -> str | None:
        """Amount by Kubernetes' name of it."""
        amount: str | None = getattr(self, kind.replace("-", "_"))
        return amount


class Resources(Model):
    """What an attempt may use. Limits hold on a laptop too (memory, cpu)."""

    requests: Limits = Limits()
    """What a node must have free."""
    limits: Limits = Limits()
    """What must not be exceeded."""

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for kind in KINDS:
            request, limit = self.requests.of(kind), self.limits.of(kind)
            if request and limit and quantity(request) > quantity(limit):
                raise ValueError(above(kind))
        return self


def above(kind: str) -> str:
    """Say that a request is above its limit."""
    return f"requests.{kind} is above limits.{kind}; lower the request or raise the limit"


class Escalation(Model):
    """More of what was too little: the next attempt's limit is `factor` times the last one's, up to `max`."""

    factor: Annotated[float, Field(gt=1, le=10)] = 2.0
    """Of the last limit."""
    max: Size
    """The largest limit; an attempt that had it and needed more fails its job."""


def allowance(limit: str | None, escalation: Escalation | None) -> Allowance:
    """Freeze one limit and its growth, in bytes."""
    size = int(quantity(limit)) if limit else 0
    if escalation is None:
        return Allowance(size)
    return Allowance(size, escalation.factor, int(quantity(escalation.max)))


def complaint(resources: Resources, on_out_of_memory: Escalation | None, on_out_of_disk: Escalation | None) -> str:
    """Say which escalation has nothing to raise, or nowhere to raise it to; empty: all is well."""
    grown = (("onOutOfMemory", "memory", on_out_of_memory), ("onOutOfDisk", "ephemeral-storage", on_out_of_disk))
    return next((text for name, kind, one in grown for text in _troubles(name, kind, resources, one)), "")


def _troubles(name: str, kind: str, resources: Resources, escalation: Escalation | None) -> Iterator[str]:
    if escalation is None:
        return
    limit = resources.limits.of(kind)
    if limit is None:
        yield nothing_to_raise(name, kind)
    elif quantity(limit) > quantity(escalation.max):
        yield nowhere_to_raise(name, kind)


def nothing_to_raise(name: str, kind: str) -> str:
    """Say that an escalation has no limit to begin with."""
    return f"{name} raises resources.limits.{kind}, which is not set; set it"


def nowhere_to_raise(name: str, kind: str) -> str:
    """Say that an escalation ends below its beginning."""
    return f"{name}.max is below resources.limits.{kind}; raise max or lower the limit"
