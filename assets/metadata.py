"""What Dagster shows beside a materialization: few stable keys, numbers where the UI should plot.

Belongs here: the translation from domain values to metadata. Does not: computing them.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import keys
