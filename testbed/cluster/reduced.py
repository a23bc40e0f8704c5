"""A dependency without the parts that nobody here uses, where its own source has no switch for that.

Belongs here: which files of KEDA are left out, and the Go workspace that takes the rest. Does not: building.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.cluster.errors import ClusterError


@dataclass(frozen=True)
class Reduced:
    """Of the files in `folder` of a Go module only those in `kept` are built, and `instead` for the others.

    `instead` is a file of the component's; it declares what the rest of the module calls.
    """

    module: str
    folder: str
    kept: tuple[str, ...]
    instead: str


# 65 of KEDA's 72 scalers are clients of other systems, and two thirds of the time that it takes to build.
KEDA_SCALERS = Reduced(
    "github.com/kedacore/keda/v2",
    "pkg/scalers",
    (
        "scaler.go",
        "cpu_memory_scaler.go",
        "cron_scaler.go",
        "external_scaler.go",
        "kubernetes_workload_scaler.go",
        "metrics_api_scaler.go",
        "prometheus_scaler.go",
    ),
    "_scalers/left_out.go",
)


def reduced_workspace(reduced: Reduced, module: Path, instead: Path, whole: Path, directory: Path) -> Path:
    """A copy of the workspace file `whole` in `directory`; the reduced module stands for the whole one.

    `module` is its unpacked source. Versions are chosen as before, since its go.mod is the same. Raises
    ClusterError when the module has none of the files that are to be kept.
    """
    source = directory / "source"
    shutil.copytree(module, source, ignore=shutil.ignore_patterns("*_test.go", "tests"))
    for path in (source, *source.rglob("*")):  # the module cache is read-only
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder = source / reduced.folder
    if missing := [name for name in reduced.kept if not (folder / name).is_file()]:
        raise ClusterError(f"{reduced.module} has no {missing} in {reduced.folder}: correct {__file__}.")
    for path in folder.glob("*.go"):
        if path.name not in reduced.kept:
            path.unlink()
    shutil.copyfile(instead, folder / instead.name)
    text = re.sub(r"(?m)^\t\./", f"\t{whole.parent}/", whole.read_text())
    changed = directory / whole.name
    changed.write_text(f"{text}\nreplace {reduced.module} => {source}\n")
    shutil.copyfile(whole.with_name("go.work.sum"), directory / "go.work.sum")
    return changed
