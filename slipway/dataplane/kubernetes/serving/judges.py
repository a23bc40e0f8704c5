"""Which judge a kind of workload has.

Belongs here: the table. Does not: any judgement.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.dataplane.kubernetes.serving import (
    deployments,
    dynamo,
    kserve,
    kubeai,
    kuberay,
    leaderworkerset,
    nim,
)
from slipway.dataplane.kubernetes.serving.verdict import Judge

JUDGES: Mapping[str, Judge] = {
    "Deployment": deployments.JUDGE,
    "LeaderWorkerSet": leaderworkerset.JUDGE,
    "Model": kubeai.JUDGE,
    "InferenceService": kserve.JUDGE,
    "LLMInferenceService": kserve.JUDGE,
    "NIMService": nim.JUDGE,
    "DynamoGraphDeployment": dynamo.JUDGE,
    "RayService": kuberay.JUDGE,
}
