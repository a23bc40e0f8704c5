"""Jobs: the groups of assets that people, schedules and sensors launch together.

Belongs here: under which name groups run together, and where their steps run.
Does not: which group is in which job (assets.groups), when a job runs (schedules.py, sensors).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from assets.groups import CLOSE_MONTH, DEPLOY, MAINTENANCE, REPORTS, ROLLUP, Group
from pipelines.overriding import Job
from slipway.catalog import Settings

DESCRIPTIONS = {
    CLOSE_MONTH: "Close months, make their invoices, and tell the webhook of them. It cannot be undone.",
    ROLLUP: "Roll up hours of usage into latency, usage and cost, and of samples into what ran.",
    REPORTS: "Make the pages of latency, usage and economics anew.",
    DEPLOY: "Bring deployments to the catalog's spec: weights and images, rollouts, routes, prices.",
    MAINTENANCE: (
        "Remove weights that nobody names any more, verify those that are stored, and let the usage of hours "
        "that are long over become one object each."
    ),
}

# The checks that run on their own, by the name of their job.
Checks = Mapping[str, Sequence[dg.AssetChecksDefinition]]


def asset_jobs(
    groups: Iterable[Group], checks: Checks, settings: Settings, executor: dg.ExecutorDefinition | None = None
) -> list[Job]:
    """One job for each name that a group or a check has; `executor` goes before what the settings say."""
    groups = list(groups)
    names = {group.job for group in groups if group.job is not None} | checks.keys()
    return [
        dg.define_asset_job(
            name,
            selection=selection(name, groups, checks),
            description=DESCRIPTIONS.get(name),
            executor_def=executor or _executor(name, settings),
        )
        for name in sorted(names)
    ]


def selection(job: str, groups: Iterable[Group], checks: Checks) -> dg.AssetSelection:
    """The groups that name this job, with the checks that their steps make and the checks of this job.

    A check of another job stays out, although its asset is in: reading stored weights back is not a thing
    that rollouts wait for. An asset of a group of another job, or of none, stays out whatever it is.
    """
    assets = dg.AssetSelection.groups(*(group.name for group in groups if group.job == job))
    elsewhere = [each for name in checks.keys() - {job} for each in checks[name]]
    return (assets - dg.AssetSelection.checks(*elsewhere)) | dg.AssetSelection.checks(*checks.get(job, ()))


def _executor(job: str, settings: Settings) -> dg.ExecutorDefinition:
    """One process per run: a rollout's steps follow each other, and a process per step costs an import each.

    Where transfers or rollups should be Kubernetes jobs, every step of the run is one: dagster-k8s chooses by
    run.
    """
    where = {DEPLOY: settings.transfer_executor, ROLLUP: settings.rollup_executor}
    if where.get(job, "in-process") == "in-process":
        return dg.in_process_executor
    from dagster_k8s import k8s_job_executor

    return k8s_job_executor
