"""Registry to registry: our mirror against the best of `skopeo copy`, `crane copy` and `regctl image copy`.

Belongs here: all sides, and the image that they copy. Does not: targets (artifacts.py).
Our side, once, is mirror_once.py.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import servers, sides
from bench.mirror_once import REPOSITORY, mirror_once
from slipway.objectstore import ObjectStore
from testbed import programs
from testbed.registries.made_images import OCI_INDEX, ImageMaker
from testbed.registries.registry_server import DistributionRegistry

# From registry to registry, by host and port.
Copying = Callable[[str, str], list[str]]

MIB = 2**20
AGAIN_ROUNDS = 5
LAYER_BYTES = 1024 * MIB // 6


@dataclass(frozen=True)
class Size:
    """An image by its layers, and how often each side copies it."""

    layers: int
    rounds: int


# A process's start is a sixth of ours for the first; engines' images are rather like the second.
SMALL, LARGE = Size(layers=6, rounds=8), Size(layers=18, rounds=4)
# Sections of a registry's configuration: what it logs would count as the mirror's work.
_SILENT: dict[str, object] = {"log": {"accesslog": {"disabled": True}, "level": "error"}}


@dataclass(frozen=True)
class Mirroring(sides.Compared):
    """Ours and the least time and CPU of the others, and how long our next mirror of the same image takes."""

    again_s: float


def compare(root: Path, size: Size) -> Mirroring:
    """Copy the image with each side in turns, each time into a registry that was never used before."""
    with registry(root / "source") as source, servers.seaweed(root / "store") as store:
        push_image(source, size)

        def ours() -> sides.Cost:
            with registry(root / f"ours-{time.monotonic_ns()}") as target:
                _forget(store)
                return sides.run(
                    [sys.executable, "-m", "bench.mirror_once", json.dumps(_job(source, target, store))]
                )

        def theirs(copying: Copying) -> Callable[[], sides.Cost]:
            def run() -> sides.Cost:
                with registry(root / f"theirs-{time.monotonic_ns()}") as target:
                    return sides.run(copying(source, target), programs.skopeo().environment())

            return run

        others = {"skopeo": theirs(_skopeo), "crane": theirs(_crane), "regctl": theirs(_regctl)}
        costs = sides.in_turns({"ours": ours, **others}, size.rounds)
        with registry(root / "again") as target:
            _forget(store)
            again_s = _again_s(_job(source, target, store))
    return Mirroring(costs["ours"], sides.best([costs[name] for name in others]), again_s)


@contextmanager
def registry(root: Path) -> Iterator[str]:
    """host:port of an empty registry (distribution) over plain http; its files go with it."""
    distribution = DistributionRegistry(root, program=programs.current_registry, more=_SILENT)
    with servers.folder(root), distribution as running:
        yield running.host


def push_image(host: str, size: Size) -> None:
    """Push an index over one platform of incompressible layers under the tag `v1`."""
    maker = ImageMaker(f"http://{host}", REPOSITORY)
    image = maker.image(layers=tuple(os.urandom(LAYER_BYTES) for _ in range(size.layers)))
    platform = {"architecture": "amd64", "os": "linux"}
    manifests = [{**image, "platform": platform}]
    maker.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}, "v1")


def _skopeo(source: str, target: str) -> list[str]:
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    return [
        str(programs.skopeo().path),
        "--insecure-policy",
        "copy",
        "--all",
        "--preserve-digests",
        *plain,
        f"docker://{source}/{REPOSITORY}:v1",
        f"docker://{target}/{REPOSITORY}:v1",
    ]


def _crane(source: str, target: str) -> list[str]:
    image = f"{REPOSITORY}:v1"
    program = str(programs.crane().path)
    return [program, "copy", "--insecure", f"{source}/{image}", f"{target}/{image}"]


def _regctl(source: str, target: str) -> list[str]:
    plain = [word for host in (source, target) for word in ("--host", f"reg={host},tls=disabled")]
    image = f"{REPOSITORY}:v1"
    program = str(programs.regctl().path)
    return [program, *plain, "image", "copy", f"{source}/{image}", f"{target}/{image}"]


def _job(source: str, target: str, store: ObjectStore) -> dict[str, Any]:
    return {"source": source, "target": target, "store": vars(store.location)}


def _forget(store: ObjectStore) -> None:
    for item in list(store.list("images/")):
        store.delete(item.key)


def _again_s(job: Mapping[str, Any]) -> float:
    """Seconds of a mirror call when nothing changed, in a process that lives, as Dagster's does."""
    mirror_once(job)
    took = []
    for _ in range(AGAIN_ROUNDS):
        began = time.perf_counter()
        assert mirror_once(job).moved_bytes == 0
        took.append(time.perf_counter() - began)
    return statistics.median(took)
