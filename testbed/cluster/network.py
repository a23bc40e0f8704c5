"""The bridge that pods hang on, kernel settings, and iptables rules that are left behind.

Belongs here: making the bridge, taking everything away again. Does not: Services (they are kube-proxy's).
"""

import contextlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import BRIDGE, BRIDGE_IP, POD_NETWORK, SERVICE_NETWORK, Layout

# The kubelet, kube-proxy and the bridge change these; they are put back when the cluster is taken down.
_KERNEL_SETTINGS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_BRIDGE = Path("/sys/class/net") / BRIDGE
_TABLES = ("filter", "nat", "mangle")
_CHAIN = re.compile(r"^:(KUBE-\S+) ")
_RULE = re.compile(r"^-A (\S+) (.*)$")


def bridge_owner() -> Path | None:
    """The run directory that the bridge's alias names; None when there is no bridge, or a nameless one."""
    alias = _BRIDGE / "ifalias"
    name = alias.read_text().strip() if alias.exists() else ""
    return Path(name) if name else None


def make_bridge(layout: Layout) -> None:
    """Make the bridge, marked with whose it is, and let this machine forward packets.

    Raises ClusterError when another cluster has it.
    """
    owner = bridge_owner()
    if owner is not None and owner != layout.run:
        raise ClusterError(
            f"the network bridge {BRIDGE} belongs to the test cluster in {owner}. One runs per machine: take"
            " that one down (`make cluster-down` as its user, with its SLIPWAY_CLUSTER_CACHE)."
        )
    _keep_kernel_settings(layout)
    if not _BRIDGE.exists():
        _ip("link", "add", BRIDGE, "type", "bridge")
    (_BRIDGE / "ifalias").write_text(str(layout.run))
    prefix = POD_NETWORK.partition("/")[2]
    _ip("addr", "replace", f"{BRIDGE_IP}/{prefix}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    # Until kube-proxy knows a Service its address must lead nowhere: by the default route, whatever is out
    # there would answer in its place.
    _ip("route", "replace", SERVICE_NETWORK, "dev", BRIDGE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def is_left(layout: Layout) -> bool:
    """Whether there is a bridge that is this cluster's, or was to become it when `up` was killed."""
    return _BRIDGE.exists() and bridge_owner() in (None, layout.run)


def remove_bridge() -> None:
    """Remove the bridge; the pods' ends of their links have gone with their network namespaces."""
    if _BRIDGE.exists():
        _ip("link", "delete", BRIDGE)


def remove_namespaces() -> None:
    """Remove the network namespaces of pods that have no one to do it.

    `ip netns add`, when somebody uses it meanwhile, mounts the folder over itself and hides what was mounted
    before. Such a name stays: taking it would take that person's namespaces, and nothing runs in it.
    """
    for path in Path("/run/netns").glob("cni-*"):
        subprocess.run(["umount", "-l", str(path)], capture_output=True)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def remove_mounts(directory: Path) -> None:
    """Unmount all that is mounted below a directory: root file systems, volumes, secrets."""
    for point in mounts(directory):
        subprocess.run(["umount", "-l", point], capture_output=True)
    if left := mounts(directory):
        raise ClusterError(f"cannot unmount {', '.join(left)}. Unmount by hand, then run down again.")


def mounts(directory: Path) -> list[str]:
    """Mount points below a directory, the deepest first."""
    points = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    decoded = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point) for point in points]
    return sorted((each for each in decoded if each.startswith(f"{directory}/")), reverse=True)


def foreign_rules(environment: Mapping[str, str]) -> bool:
    """Whether kube-proxy's rules are there already: another Kubernetes node on this machine."""
    return ":KUBE-SERVICES " in _saved("iptables", environment)


def remove_rules(environment: Mapping[str, str]) -> None:
    """Remove kube-proxy's and the kubelet's chains, IPv4 and IPv6."""
    for family in ("iptables", "ip6tables"):
        if script := removal(_saved(family, environment)):
            result = subprocess.run(
                [f"{family}-restore", "--noflush"],
                input=script,
                env=environment,
                capture_output=True,
                text=True,
            )
            if result.returncode != 0:
                raise ClusterError(
                    f"{family}-restore cannot remove the KUBE- chains: {result.stderr.strip()}"
                )


def removal(saved: str) -> str:
    """What `iptables-restore --noflush` needs to remove all KUBE- chains of `iptables-save`'s output.

    Rules of other chains that jump to them go first, then the chains are emptied and deleted.
    """
    lines: list[str] = []
    for table, text in re.findall(r"^\*(\w+)\n(.*?)^COMMIT", saved, re.MULTILINE | re.DOTALL):
        chains = [match[1] for line in text.splitlines() if (match := _CHAIN.match(line))]
        if table not in _TABLES or not chains:
            continue
        rules = [match for line in text.splitlines() if (match := _RULE.match(line))]
        jumps = [
            f"-D {rule[1]} {rule[2]}" for rule in rules if rule[1] not in chains and "-j KUBE-" in rule[2]
        ]
        emptied = [f":{chain} - [0:0]" for chain in chains]  # declaring a chain again empties it
        lines += [f"*{table}", *emptied, *jumps, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join(lines) + "\n" if lines else ""


def restore_kernel_settings(layout: Layout) -> None:
    """Put kernel settings back as they were before the cluster."""
    if not layout.kernel_settings_file.exists():
        return
    for name, value in json.loads(layout.kernel_settings_file.read_text()).items():
        (Path("/proc/sys") / name).write_text(value)


def _keep_kernel_settings(layout: Layout) -> None:
    if layout.kernel_settings_file.exists():
        return
    paths = {name: Path("/proc/sys") / name for name in _KERNEL_SETTINGS}
    before = {name: path.read_text().strip() for name, path in paths.items() if path.exists()}
    layout.kernel_settings_file.write_text(json.dumps(before))


def _saved(family: str, environment: Mapping[str, str]) -> str:
    result = subprocess.run([f"{family}-save"], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(
            f"{family}-save failed; does this kernel have nftables or iptables? {result.stderr.strip()}"
        )
    return result.stdout


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
