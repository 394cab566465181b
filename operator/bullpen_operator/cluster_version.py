"""What this cluster is too old for: its version is asked once."""

from __future__ import annotations

import re
from typing import Final

from bullpen_operator.kube import KubeApi
from bullpen_operator.model import JobQueueSpec

NATIVE_SIDECARS: Final = (1, 29)
"""Since then an init container with restartPolicy Always runs beside the main one, and ends after it."""


class ClusterVersion:
    """The version of one API server."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._known: tuple[int, int] | None = None

    async def complaint(self, spec: JobQueueSpec) -> str:
        """Say why this cluster can't serve *spec*; empty: it can. Raises KubeError."""
        plain = next((one.name for one in spec.job_types if (spec.job_type(one.name) or one).runner == "plain"), None)
        if plain is None:
            return ""
        major, minor = await self._version()
        if (major, minor) >= NATIVE_SIDECARS:
            return ""
        return (
            f"job type {plain!r} has runner: plain, which needs Kubernetes 1.29 (native sidecars); "
            f"this cluster has {major}.{minor}"
        )

    async def _version(self) -> tuple[int, int]:
        if self._known is None:
            self._known = version_of(await self._api.get("/version") or {})
        return self._known


def version_of(body: dict[str, str]) -> tuple[int, int]:
    """Read the API server's version; what can't be read counts as new enough: the server itself will say no."""
    # Some vendors write the minor version as `29+`.
    numbers = [re.match(r"\d+", str(body.get(part) or "")) for part in ("major", "minor")]
    major, minor = (int(number[0]) if number else None for number in numbers)
    return NATIVE_SIDECARS if major is None or minor is None else (major, minor)
