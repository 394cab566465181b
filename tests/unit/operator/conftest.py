"""An API server of our own and a client of it, for whatever a test puts on top."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from bullpen_operator.kube import KubeApi
from fakes.api_server import FakeApiServer


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    made = FakeApiServer()
    yield made
    await made.stop()


@pytest.fixture
async def api(server: FakeApiServer) -> AsyncIterator[KubeApi]:
    made = KubeApi(ApiClient(Configuration(host=await server.start())), timeout_s=1)
    yield made
    await made.close()
