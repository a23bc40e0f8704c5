"""The cluster's programs, built from pinned Go modules into a cache outside of the tree.

Belongs here: what is built from which module, when it is built again, one build at a time.
Does not: Debian's programs (debian.py), starting anything.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filelock import FileLock

from testbed import programs
from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import SOURCES, Layout
from testbed.cluster.reduced import KEDA_SCALERS, Reduced, reduced_workspace

GO_VERSION = "go1.26.8"  # with 1.27, kube-apiserver's /openapi/v2 breaks
_KUBERNETES = "v1.36.3"
_VERSION = "k8s.io/component-base/version"
_MODULES = SOURCES / "go"
# One choice of versions for most programs: what they share, Kubernetes' client first, is compiled once.
_WORKSPACE = _MODULES / "go.work"
_CHOICE = ("go.mod", "go.sum", "go.work", "go.work.sum")


@dataclass(frozen=True)
class Component:
    """One Go module below testbed/cluster/go and what is built from it.

    `programs` are packages by the name of the binary, `files` globs by the dependency that holds them:
    manifests that belong to exactly this version. `cold_s` is how long two cores took without any cache but
    what the components before it left there. One that is not `shared` has versions of its own.
    """

    name: str
    programs: Mapping[str, str]
    cold_s: int
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    link_flags: str = ""
    shared: bool = True
    reduced: Reduced | None = None

    @property
    def source(self) -> Path:
        """The directory with go.mod and go.sum."""
        return _MODULES / self.name

    @property
    def digest(self) -> str:
        """Of all that the result depends on."""
        settings = (GO_VERSION, self.programs, self.files, self.link_flags, self.reduced)
        made_of = hashlib.sha256(repr(settings).encode())
        paths = {path for path in self.source.rglob("*") if path.is_file()}
        if self.shared:  # any module of the workspace may raise a version for all
            paths |= {path for name in _CHOICE for path in _MODULES.rglob(name)}
        for path in sorted(paths):
            made_of.update(f"{path.relative_to(_MODULES)}\0".encode() + path.read_bytes())
        return made_of.hexdigest()[:16]


CORE = (
    Component(
        "kube",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        },
        cold_s=370,
        link_flags=f"-X {_VERSION}.gitVersion={_KUBERNETES} -X {_VERSION}.gitMajor=1"
        f" -X {_VERSION}.gitMinor=36 -X k8s.io/client-go/pkg/version.gitVersion={_KUBERNETES}",
    ),
    Component("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, cold_s=15),
    Component("coredns", {"coredns": "."}, cold_s=15),
    Component(
        "kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        cold_s=15,
        files={"sigs.k8s.io/kwok": ("kustomize/stage/node/**/*.yaml", "kustomize/stage/pod/**/*.yaml")},
    ),
    Component("programs", {"pause": "./pause", "web": "./web"}, cold_s=5),
)
KEDA = Component(
    "keda",
    {
        "keda-operator": "github.com/kedacore/keda/v2/cmd/operator",
        "keda-adapter": "github.com/kedacore/keda/v2/cmd/adapter",
    },
    cold_s=85,
    files={"github.com/kedacore/keda/v2": ("config/crd/bases/*.yaml",)},
    reduced=KEDA_SCALERS,
)
CERT_MANAGER = Component(
    "cert-manager",
    {"cert-manager": "."},
    cold_s=20,
    files={"github.com/cert-manager/cert-manager": ("deploy/crds/*.yaml",)},
)
METALLB = Component(
    "metallb",
    {"metallb-controller": "go.universe.tf/metallb/controller"},
    cold_s=40,
    files={"go.universe.tf/metallb": ("config/crd/bases/*.yaml",)},
    shared=False,  # of 2022
)
ENVOY_GATEWAY = Component(
    "envoy-gateway",
    {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
    cold_s=160,
    files={
        "github.com/envoyproxy/gateway": ("charts/gateway-crds-helm/templates/generated/*.yaml",),
        "sigs.k8s.io/gateway-api": ("config/crd/standard/gateway.networking.k8s.io_*.yaml",),
    },
    shared=False,  # it needs an older go-control-plane
)
METRICS_SERVER = Component(
    "metrics-server", {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}, cold_s=20
)
OPERATORS = (KEDA, METRICS_SERVER, CERT_MANAGER, METALLB, ENVOY_GATEWAY)

Say = Callable[[str], None]

# An eighth less time: not to make what debuggers read, which the linker drops, and to collect garbage less.
_FASTER = ("-gcflags=all=-dwarf=false",)
_GARBAGE_PERCENT = "400"


def location(layout: Layout, component: Component) -> Path:
    """Directory of a component's binaries, with `files/` beside them; another one for each digest."""
    return layout.cache / "bin" / f"{component.name}-{component.digest}"


def program(layout: Layout, name: str) -> Path:
    """Path of a built program by its name."""
    for component in (*CORE, *OPERATORS):
        if name in component.programs:
            return location(layout, component) / name
    raise KeyError(name)


def build(layout: Layout, components: Iterable[Component], say: Say) -> None:
    """Build what is missing; one process at a time, and an interrupted build is begun again.

    Raises ClusterError with the compiler's last lines.
    """
    missing = [each for each in components if not location(layout, each).is_dir()]
    if not missing:
        return
    layout.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(layout.cache / "build.lock"):
        for each in missing:
            if not location(layout, each).is_dir():
                say(f"building {each.name} (some {each.cold_s} s on two cores when nothing is cached)")
                _build(layout, each)


def _build(layout: Layout, component: Component) -> None:
    target = location(layout, component)
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f".{component.name}-*"):
        shutil.rmtree(left_over)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{component.name}-", dir=target.parent))
    with tempfile.TemporaryDirectory() as scratch:
        go = partial(_go, component.source, _workspace(component, Path(scratch)))
        packages = list(component.programs.values())
        flags = f"-s -w {component.link_flags}".strip()
        go(["build", "-trimpath", *_FASTER, "-ldflags", flags, "-o", f"{unfinished}/", *packages])
        for name, package in component.programs.items():
            (unfinished / _built_name(component, package)).rename(unfinished / name)
        for module, globs in component.files.items():
            _copy_files(go, module, globs, unfinished / "files")
    unfinished.chmod(0o755)
    unfinished.rename(target)


def _workspace(component: Component, scratch: Path) -> str:
    """What Go reads as GOWORK."""
    if not component.shared:
        return "off"
    if (less := component.reduced) is None:
        return str(_WORKSPACE)
    downloaded = json.loads(_go(component.source, str(_WORKSPACE), ["mod", "download", "-json", less.module]))
    whole, instead = Path(downloaded["Dir"]), component.source / less.instead
    return str(reduced_workspace(less, whole, instead, _WORKSPACE, scratch))


def _built_name(component: Component, package: str) -> str:
    """As `go build` names it: the last element of the import path that is no major version."""
    if package == ".":
        return component.name
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


def _copy_files(go: Callable[[list[str]], str], module: str, globs: tuple[str, ...], target: Path) -> None:
    source = Path(go(["list", "-m", "-f", "{{.Dir}}", module]).strip())
    for pattern in globs:
        found = sorted(source.glob(pattern))
        if not found:
            raise ClusterError(f"{module} has no {pattern}: correct `files` in {__file__}.")
        for path in found:
            copy = target / module.replace("/", "_") / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _go(source: Path, workspace: str, arguments: list[str]) -> str:
    try:
        go = programs.go()
    except programs.MissingProgramError as error:
        raise ClusterError(
            f"no `go` on the PATH, and none to be had: {error} Install {GO_VERSION}."
        ) from error
    settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": GO_VERSION, "GOFLAGS": "-buildvcs=false"}
    environment = os.environ | settings | {"GOGC": _GARBAGE_PERCENT, "GOWORK": workspace}
    # A build takes minutes and all cores; whoever works at the machine comes first.
    command = ["nice", "-n", "15", str(go), *arguments]
    result = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        last = "\n".join(result.stderr.strip().splitlines()[-20:])
        raise ClusterError(
            f"go {' '.join(arguments[:2])} in {source} failed. It needs {GO_VERSION} (a newer Go"
            f" fetches it by itself) and a Go module proxy:\n{last}"
        )
    return result.stdout
