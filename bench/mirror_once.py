"""Our side of the image benchmark, once: `python -m bench.mirror_once JOB`.

Belongs here: a call of `mirror`, as the asset makes it. Does not: what the benchmark itself needs, whose
imports would count as ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.artifacts.images.mirror import ImageRequest, Mirrored, mirror
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.transfer.progress import Progress
from slipway.catalog import Settings
from slipway.catalog.documents import Registry
from slipway.environment import Environment, S3Location
from slipway.objectstore import ObjectStore

REPOSITORY = "bench/engine"


def mirror_once(job: Mapping[str, Any]) -> Mirrored:
    """Mirror the image of registry `source` to registry `target`, recorded in `store`."""
    settings = Settings(name="bench", registries={job["source"]: Registry(insecure_http=True)})
    variables = {"SLIPWAY_REGISTRY": job["target"], "SLIPWAY_REGISTRY_PLAIN_HTTP": "1"}
    registries = Registries(Environment(variables, Path.cwd()), settings)
    image = f"{job['source']}/{REPOSITORY}"
    request = ImageRequest(engine="bench", accelerator="cpu", image=image, tag="v1")
    return mirror(request, ObjectStore(S3Location(**job["store"])), registries, _silent)


def _silent(look: Progress) -> None:
    """Report to nobody."""


if __name__ == "__main__":
    mirror_once(json.loads(sys.argv[1]))
