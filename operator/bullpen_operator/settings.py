"""The knobs of the operator in a cluster: its environment, read once. A queue's own are in its JobQueue (model.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from bullpen_operator.allowed import Allowed
from bullpen_protocol.forwarding.entries import ForwardingError, Target

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(ValueError):
    """The environment is wrong: one sentence says which variable and what was expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the chart sets."""

    namespaces: tuple[str, ...]
    """BULLPEN_NAMESPACES: whose JobQueues are served, separated by commas; the operator's own if not set."""
    runner_image: str | None = None
    """BULLPEN_RUNNER_IMAGE: for job types that name no image."""
    image_pull_policy: str | None = None
    """BULLPEN_IMAGE_PULL_POLICY: of every runner; Kubernetes' own rule if not set."""
    image_pull_secrets: tuple[str, ...] = ()
    """BULLPEN_IMAGE_PULL_SECRETS: for the runners' images, separated by commas."""
    http_port: int = 8080
    """BULLPEN_HTTP_PORT: /healthz and /metrics."""
    log_level: str = "INFO"
    """LOG_LEVEL."""
    audit_interval_s: float = 60.0
    """BULLPEN_AUDIT_INTERVAL_S: how often Redis, KubeJobs and pods are compared."""
    status_interval_s: float = 5.0
    """BULLPEN_STATUS_INTERVAL_S: how often the status of the JobQueues is brought up to date."""
    resync_interval_s: float = 60.0
    """BULLPEN_RESYNC_INTERVAL_S: how often JobQueues and their Secrets are read again, whatever was heard of them."""
    stale_after_s: float = 300.0
    """BULLPEN_STALE_AFTER_S: a loop that has not turned for so long makes the operator unhealthy."""
    api_rate: float = 50.0
    """BULLPEN_API_RATE: requests a second to the API server; a tenth right after the start."""
    api_burst: float = 100.0
    """BULLPEN_API_BURST: requests at once after a rest."""
    podless_limit: int = 50
    """BULLPEN_PODLESS_LIMIT: no more KubeJobs are made while so many have no pod yet."""
    allowed: Allowed = field(default_factory=Allowed)
    """BULLPEN_ALLOWED_IMAGES, _SERVICE_ACCOUNTS, _VOLUMES, _NODE_SELECTORS: what JobQueues may ask for (allowed.py),
    separated by commas; unset, allowed.py's defaults."""
    lease: str = ""
    """BULLPEN_LEASE: name of the Lease by which one of several operators serves; none if not set."""
    own_namespace: str = ""
    """BULLPEN_OWN_NAMESPACE, else the service account's: where the Lease is."""
    log_server: Target | None = None
    """LOGS_WS_URL, LOG_COALESCE_WINDOW_MS: where log entries of attempts go, from here and from every runner."""


def from_environment(environment: Mapping[str, str], own_namespace: str | None = None) -> Settings:
    """Read and check the environment.

    Raises:
        SettingsError: one sentence.
    """
    own = environment.get("BULLPEN_OWN_NAMESPACE") or (own_namespace or _service_account()).strip()
    namespaces = _list(environment.get("BULLPEN_NAMESPACES", "")) or _list(own)
    if not namespaces:
        raise SettingsError("BULLPEN_NAMESPACES is not set; name the namespace whose JobQueues are to be served")
    if environment.get("BULLPEN_LEASE") and not own:
        raise SettingsError("BULLPEN_LEASE is set and BULLPEN_OWN_NAMESPACE is not; name the namespace of the Lease")
    policy = environment.get("BULLPEN_IMAGE_PULL_POLICY") or None
    if policy not in (None, "Always", "IfNotPresent", "Never"):
        raise SettingsError(f"BULLPEN_IMAGE_PULL_POLICY is {policy[:40]!r}; expected Always, IfNotPresent or Never")
    return Settings(
        namespaces=namespaces,
        runner_image=environment.get("BULLPEN_RUNNER_IMAGE") or None,
        image_pull_policy=policy,
        image_pull_secrets=_list(environment.get("BULLPEN_IMAGE_PULL_SECRETS", "")),
        allowed=_allowed(environment),
        http_port=int(_number(environment, "BULLPEN_HTTP_PORT", 8080)),
        log_level=environment.get("LOG_LEVEL", "INFO").upper(),
        audit_interval_s=_number(environment, "BULLPEN_AUDIT_INTERVAL_S", 60),
        status_interval_s=_number(environment, "BULLPEN_STATUS_INTERVAL_S", 5),
        api_rate=_number(environment, "BULLPEN_API_RATE", 50),
        api_burst=max(1.0, _number(environment, "BULLPEN_API_BURST", 100)),
        podless_limit=max(1, int(_number(environment, "BULLPEN_PODLESS_LIMIT", 50))),
        resync_interval_s=_number(environment, "BULLPEN_RESYNC_INTERVAL_S", 60),
        stale_after_s=_number(environment, "BULLPEN_STALE_AFTER_S", 300),
        lease=environment.get("BULLPEN_LEASE", ""),
        own_namespace=own,
        log_server=_log_server(environment),
    )


def _allowed(environment: Mapping[str, str]) -> Allowed:
    names = (one.name for one in fields(Allowed))
    given = {name: environment.get(f"BULLPEN_ALLOWED_{name.upper()}") for name in names}
    return Allowed(**{name: _list(text) for name, text in given.items() if text is not None})


def _log_server(environment: Mapping[str, str]) -> Target | None:
    try:
        return Target.from_environment(environment)
    except ForwardingError as error:
        raise SettingsError(str(error)) from error


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:  # NaN fails here too
        raise SettingsError(f"{name} is {text[:40]!r}; expected a number above 0")
    return number


def _service_account() -> str:
    try:
        return _NAMESPACE_FILE.read_text()
    except OSError:
        return ""
