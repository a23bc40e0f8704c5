"""containerd, runc, CNI plugins, iptables, conntrack: Debian's, unpacked into the cache, not installed.

Belongs here: getting them with a private apt state, and one directory for the PATH of the node's processes.
Does not: what is built from source (binaries.py), starting anything.
"""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import Layout

_PACKAGES = ("containerd", "runc", "containernetworking-plugins", "iptables", "conntrack")
_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip6tables", "conntrack")
_IPTABLES = ("", "-save", "-restore")
_INSTALLED_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


@dataclass(frozen=True)
class NodePrograms:
    """Where the node's programs are: a directory for the PATH (None: they are on it) and the CNI plugins'."""

    path_entry: Path | None
    cni_plugins: Path

    def environment(self) -> dict[str, str]:
        """The environment of this process with the programs on its PATH."""
        entries = ["/usr/local/sbin", "/usr/sbin", "/sbin", os.environ.get("PATH", os.defpath)]
        if self.path_entry is not None:
            entries.insert(0, str(self.path_entry))
        return os.environ | {"PATH": ":".join(entries)}


def node_programs(layout: Layout) -> NodePrograms:
    """The programs on the PATH when all are there, else unpacked ones, fetched when they are not yet.

    Raises ClusterError where there is no apt.
    """
    installed = next((each for each in _INSTALLED_PLUGINS if (each / "bridge").exists()), None)
    if installed is not None and all(shutil.which(each) for each in _PROGRAMS):
        return NodePrograms(None, installed)
    root = layout.cache / f"debian-{_release()}"
    if not root.is_dir():
        with FileLock(layout.cache / "debian.lock"):
            if not root.is_dir():
                _unpack(root)
    return NodePrograms(root / "bin", root / "usr" / "lib" / "cni")


def _release() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    named = dict(line.partition("=")[::2] for line in lines)
    return (named.get("VERSION_CODENAME") or named.get("ID") or "unknown").strip('"')


def _unpack(root: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise ClusterError(
            f"the test cluster's node needs {', '.join(_PROGRAMS)} and the CNI plugins on this machine, and"
            f" there is no apt to fetch them. Install {', '.join(_PACKAGES)}."
        )
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in ("apt/state/lists/partial", "apt/cache/archives/partial", "bin"):
        (partial / folder).mkdir(parents=True)
    _apt(partial, "update")
    # What is installed already is fetched, too: half of the programs here and half there would not fit.
    flags = ("--yes", "--no-install-recommends", "--download-only", "--reinstall")
    _apt(partial, "install", *flags, *_PACKAGES)
    for package in sorted((partial / "apt/cache/archives").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(partial)])
    _link_programs(partial, root)
    shutil.rmtree(partial / "apt")
    partial.rename(root)


def _apt(partial: Path, *arguments: str) -> None:
    apt = partial / "apt"
    options = {
        "Dir::State": str(apt / "state"),
        "Dir::State::status": "/var/lib/dpkg/status",  # so that libraries that are there are not fetched
        "Dir::Cache": str(apt / "cache"),
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",
    }
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    _run(["apt-get", "-qq", *flags, *arguments])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(
            f"{command[0]} {command[-1]} failed ({result.returncode}); it fetches or unpacks Debian's"
            f" {', '.join(_PACKAGES)}:\n{result.stderr.strip()[-2000:]}"
        )


def _link_programs(partial: Path, root: Path) -> None:
    """Fill `bin/`: links, and for what needs the unpacked libraries a script that names them."""
    for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
        (partial / "bin" / name).symlink_to(root / "usr/bin" / name)
    (partial / "bin/runc").symlink_to(root / "usr/sbin/runc")
    library = next((partial / "usr/lib").glob("*-linux-gnu")).name
    libraries = root / "usr/lib" / library
    for family in ("iptables", "ip6tables"):
        for suffix in _IPTABLES:
            command = f"{root}/usr/sbin/xtables-nft-multi {family}{suffix}"
            _script(partial / "bin" / f"{family}{suffix}", command, libraries)
    _script(partial / "bin/conntrack", f"{root}/usr/sbin/conntrack", libraries)


def _script(path: Path, command: str, libraries: Path) -> None:
    variables = {"LD_LIBRARY_PATH": libraries, "XTABLES_LIBDIR": libraries / "xtables"}
    given = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    path.write_text(f'#!/bin/sh\n{given} exec {command} "$@"\n')
    path.chmod(0o755)
