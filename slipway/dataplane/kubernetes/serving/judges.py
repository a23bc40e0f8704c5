"""Which judge a kind of workload has.

Belongs here: the table. Does not: any judgement.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.dynamo import judge as dynamo
from slipway.runtimes.judging import deployments
from slipway.runtimes.judging.verdict import Judge
from slipway.runtimes.kserve import judge as kserve
from slipway.runtimes.kubeai import judge as kubeai
from slipway.runtimes.kuberay import judge as kuberay
from slipway.runtimes.nim import judge as nim
from slipway.runtimes.vllm import leaderworkerset_judge as leaderworkerset

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
