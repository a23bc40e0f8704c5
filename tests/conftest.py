"""Marks every test with its tier: the folder's name. Fixtures live with the tier that needs them."""

import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Shells start what is in the background with Ctrl-C ignored, and so would be what the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = item.path.relative_to(HERE).parts[0]
        item.add_marker(tier)
