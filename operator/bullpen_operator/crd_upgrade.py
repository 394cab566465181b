"""`python -m bullpen_operator crd`: brings the cluster's JobQueue definition up to this operator's.

Helm installs what is in a chart's `crds/` once and never touches it again.
"""

from __future__ import annotations

import logging
from typing import Final

from bullpen_operator.crd import crd
from bullpen_operator.kube import KubeApi, KubeError
from bullpen_operator.pacing import Pacer

logger = logging.getLogger(__name__)

PATH: Final = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd()['metadata']['name']}"


async def upgrade(api: KubeApi) -> bool:
    """Replace the definition's spec; whether there is one. Raises KubeError.

    Replaced and not applied: what a newer version no longer has must go. JobQueues stay as they are.
    """
    found = await api.get(PATH)
    if found is None:
        return False
    wanted = crd()
    await api.replace(PATH, {**wanted, "metadata": {**found["metadata"], **wanted["metadata"]}})
    logger.info("the JobQueue definition is this version's", extra={"crd": wanted["metadata"]["name"]})
    return True


async def run() -> int:
    """Upgrade in the cluster that this pod is in; the exit code is 1 if there is nothing to upgrade."""
    api = await KubeApi.connect(Pacer())
    try:
        if await upgrade(api):
            return 0
        logger.error("the JobQueue definition is missing; kubectl apply -f charts/bullpen/crds")
        return 1
    except KubeError as error:
        logger.error("the JobQueue definition can't be upgraded", extra={"error": str(error)})
        return 1
    finally:
        await api.close()
