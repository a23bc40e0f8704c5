"""The plotting library in the tree is the one that its authors published, bit for bit."""

import hashlib
from pathlib import Path

import pytest

import slipway.metering.reports as reports

# Of the files of `dist/` in the npm package `uplot` 1.6.32, whose integrity docs/adr/0033 has.
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.mark.parametrize("name", UPLOT)
def test_uplot_is_as_published(name: str) -> None:
    body = (Path(reports.__file__).parent / "vendor" / name).read_bytes()
    assert hashlib.sha256(body).hexdigest() == UPLOT[name]
