"""`make bench-artifacts`: weights and images against the usual tools, both sides in one run.

Belongs here: the figures of step 2 and their targets. Does not: the work (hub_to_store.py, image_mirror.py).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import hub_to_store, image_mirror, servers
from bench.figures import Figure, report

MIB = 2**20


def main() -> int:
    """Measure everything, print it, return the exit status."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        return report(figures(Path(directory)))


def figures(root: Path) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    for content in (hub_to_store.SHARDS, hub_to_store.SMALL_FILES):
        found = hub_to_store.compare(content, root / "transfer", servers.minio)
        yield Figure(f"hub_to_s3_{content.name}_throughput_ratio", found.throughput_ratio, 1.5, "x", "least")
        yield Figure(f"hub_to_s3_{content.name}_cpu_ratio", found.cpu_ratio, 0.55, "x")
        resident = found.ours.resident_bytes / MIB
        yield Figure(f"hub_to_s3_{content.name}_resident", resident, 400, "MiB")
    # SeaweedFS takes most of two cores for whoever sends it something: docs/weights.md, "How fast".
    found = hub_to_store.compare(hub_to_store.SHARDS, root / "seaweed", servers.seaweed)
    yield Figure("hub_to_seaweedfs_shards_throughput_ratio", found.throughput_ratio, 1.3, "x", "least")
    yield Figure("hub_to_seaweedfs_shards_cpu_ratio", found.cpu_ratio, 0.55, "x")
    reading = hub_to_store.compare_reading(hub_to_store.SHARDS, root / "reading")
    yield Figure("verify_throughput_ratio", reading.throughput_ratio, 0.8, "x", "least")
    images = image_mirror.compare(root / "images", image_mirror.SMALL)
    yield Figure("image_mirror_throughput_ratio", images.throughput_ratio, 1.1, "x", "least")
    yield Figure("image_mirror_cpu_ratio", images.cpu_ratio, 1.0, "x")
    large = image_mirror.compare(root / "large-images", image_mirror.LARGE)
    yield Figure("image_mirror_3gib_throughput_ratio", large.throughput_ratio, 1.1, "x", "least")
    yield Figure("image_mirror_3gib_cpu_ratio", large.cpu_ratio, 1.0, "x")
    yield Figure("image_mirror_again", images.again_s, 0.3, "s")


if __name__ == "__main__":
    sys.exit(main())
