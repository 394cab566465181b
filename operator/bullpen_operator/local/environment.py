"""What a local runner gets as its environment: flags in the place of Secrets, and nothing of the operator's own."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bullpen_operator.fields import quantity
from bullpen_operator.model import EnvVar, JobQueueSpec, JobType
from bullpen_operator.seen import Attempt
from bullpen_protocol.assignment import Assignment
from bullpen_protocol.forwarding import entries as forwarding

INHERITED: Final = (
    "LANG", "LC_ALL", "LC_CTYPE", "LOG_FORMAT", "LOG_LEVEL", "PATH", "PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "TZ", *forwarding.VARIABLES,
)  # fmt: skip
"""Variables that a runner shares with the operator; a pod gets none of them but from its image."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Where the stores are: what the Secrets of a manifest would say."""

    redis_url: str = field(repr=False)
    redis_ca: str | None = None
    graph_url: str | None = None
    graph_update_url: str | None = None
    graph_username: str | None = None
    graph_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RunnerEnvironment:
    """Builds environments for the attempts of one machine."""

    connections: Connections
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    """The operator's own: variables of manifests that Secrets would fill are taken from it by their name."""

    def __call__(self, attempt: Attempt, job_type: JobType, pod_uid: str, folder: Path) -> Mapping[str, str]:
        """Build the whole environment of one runner."""
        scratch = str(folder / "scratch")
        inherited = {name: self.environ[name] for name in INHERITED if name in self.environ}
        own = {variable.name: self._value(variable) for variable in job_type.env}
        assignment = self._assignment(attempt, job_type, pod_uid, folder).to_environment()
        return {"PATH": os.defpath, **inherited, "HOME": scratch, "TMPDIR": scratch, **own, **assignment}

    def _value(self, variable: EnvVar) -> str:
        return self.environ.get(variable.name, "") if variable.value is None else variable.value

    def _assignment(self, attempt: Attempt, job_type: JobType, pod_uid: str, folder: Path) -> Assignment:
        stores = self.connections
        graph = job_type.graph is not None
        return Assignment(
            redis_url=stores.redis_url,
            redis_ca=stores.redis_ca,
            prefix=attempt.prefix,
            queue=attempt.queue,
            job_id=attempt.job_id,
            token=attempt.token,
            pod_uid=pod_uid,
            processor=job_type.processor or attempt.job_name,
            lock_ms=attempt.settings.lock_ms,
            timeout_s=attempt.settings.timeout_s,
            on_timeout=attempt.settings.on_timeout,
            attempt=attempt.number,
            graph_url=stores.graph_url if graph else None,
            graph_update_url=stores.graph_update_url if graph else None,
            graph_username=stores.graph_username if graph else None,
            graph_password=stores.graph_password if graph else None,
            graph_timeout_s=attempt.settings.graph_timeout_s,
            memory_limit_bytes=_amount(job_type.resources.limits.memory),
            cpu_limit_millicores=_amount(job_type.resources.limits.cpu, 1000),
            termination_log=str(folder / "termination-log"),
            settings=job_type.settings,
        )


def _amount(text: str | None, factor: int = 1) -> int | None:
    """Read a quantity, as the downward API gives it to a pod: rounded up."""
    return None if text is None else math.ceil(quantity(text) * factor)


def shown(url: str | None) -> str:
    """Return a URL without its credentials, for people; empty for none."""
    if not url:
        return ""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def resolved(spec: JobQueueSpec) -> Iterator[JobType]:
    """Job types with the defaults filled in."""
    for job_type in spec.job_types:
        yield spec.job_type(job_type.name) or job_type
