"""The table of operations: whole, and without rows that contradict each other."""

from typing import get_args

from slipway.catalog.fields import Task
from slipway.gateway.api.operations import OPERATIONS, TASKS


def test_every_task_of_a_model_has_a_path() -> None:
    assert frozenset(get_args(Task)) == TASKS


def test_what_is_asked_of_an_engine_is_a_path_of_the_gateway_too() -> None:
    assert {each.at_engine for each in OPERATIONS.values()} <= OPERATIONS.keys()
