"""Ceph's S3 (RADOS gateway) on loopback: Debian's packages, with a monitor and an OSD in memory beside it.

Belongs here: the smallest cluster that a gateway runs on, its configuration, and starting all three.
Does not: getting the packages (programs.py), what is stored there (stores.py).

No keys between the three, one copy of everything, and no manager: enough for S3, and up within a second.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slipway.stack.ports import free_ports
from testbed import programs
from testbed.server_processes import START_DEADLINE_S, process, wait_until_answered

_HOST = "127.0.0.1"
_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
_FSID = "5119a700-0000-4000-8000-000000000001"
_OSD_UUID = "5119a700-0000-4000-8000-000000000002"
_OSD_BYTES = 2**31
# What the OSD logs once the monitor has taken it.
_IS_IN = "done with init, starting boot process"
# The monitor gathers changes for a second by default, and each pool of the gateway waits for several.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v1:{host}:{monitor_port}/0]
ms bind msgr2 = false
public addr = {host}
cluster addr = {host}
auth cluster required = none
auth service required = none
auth client required = none
run dir = {root}
log file = {root}/$type.log
admin socket =
pid file =
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code
osd class dir = {libraries}/rados-classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.02
paxos min wait = 0.01
[mon]
mon data = {root}/mon
mon data avail crit = 1
[osd]
osd data = {root}/osd
osd objectstore = memstore
memstore device bytes = {osd_bytes}
osd crush update on start = false
[client]
keyring = {root}/none
rgw data = {root}/rgw
rgw frontends = beast endpoint={host}:{port}
"""


@contextmanager
def gateway(root: Path, access_key: str, secret_key: str) -> Iterator[str]:
    """URL of a gateway with one account. Raises MissingProgramError where Debian's packages cannot be had."""
    unpacked = programs.unpacked("ceph", _PACKAGES)
    libraries = next((unpacked / "usr/lib").glob("*-linux-gnu"))
    environment = _environment(unpacked, libraries)
    bin_ = unpacked / "usr/bin"
    port, monitor_port = free_ports(2)
    _lay_out(root, libraries, port, monitor_port)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(bin_ / program), *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")

    configured = ("-c", str(root / "ceph.conf"))
    monmap, osdmap, keyring = (str(root / name) for name in ("monmap", "osdmap", "keyring"))
    run("monmaptool", "--create", "--addv", "a", f"[v1:{_HOST}:{monitor_port}]", "--fsid", _FSID, monmap)
    run("osdmaptool", *configured, "--createsimple", "1", osdmap)
    run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    of_mon = ("--monmap", monmap, "--osdmap", osdmap, "--keyring", keyring)
    run("ceph-mon", *configured, "-i", "a", "--mkfs", *of_mon)
    with ExitStack() as stack:

        def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [str(bin_ / program), *configured, *arguments, "-f"]
            return stack.enter_context(process(command, root / f"{program}.out", environment))

        start("ceph-mon", "-i", "a")
        run("ceph-osd", *configured, "-i", "0", "--mkfs", "--osd-uuid", _OSD_UUID)
        _start_osd(lambda: start("ceph-osd", "-i", "0"), root / "osd.log")
        account = ("--uid", "testbed", "--display-name", "testbed")
        keys = ("--access-key", access_key, "--secret", secret_key)
        run("radosgw-admin", *configured, "user", "create", *account, *keys)
        started = start("radosgw", "-n", "client.rgw")
        url = f"http://{_HOST}:{port}"
        wait_until_answered(url, root / "radosgw.out", by=started)
        yield url


def _start_osd(start: Callable[[], subprocess.Popen[bytes]], log: Path) -> None:
    """Start it until it has told the monitor of itself.

    It ends where it asks before it heard the cluster's id from the monitor ("wrong fsid"), which is a race.
    """
    deadline = time.monotonic() + START_DEADLINE_S
    started = start()
    while time.monotonic() < deadline:
        if log.exists() and _IS_IN in log.read_text(errors="replace"):
            return
        if started.poll() is not None:
            started = start()
        time.sleep(0.02)
    raise TimeoutError(f"ceph-osd did not begin within {START_DEADLINE_S:.0f} s: see {log}")


def _lay_out(root: Path, libraries: Path, port: int, monitor_port: int) -> None:
    for name in ("mon", "osd", "rgw"):
        (root / name).mkdir()
    text = _CONFIGURATION.format(
        fsid=_FSID,
        host=_HOST,
        port=port,
        monitor_port=monitor_port,
        root=root,
        libraries=libraries,
        osd_bytes=_OSD_BYTES,
    )
    (root / "ceph.conf").write_text(text)


def _environment(unpacked: Path, libraries: Path) -> dict[str, str]:
    of_root = unpacked / "lib" / libraries.name
    return programs.Program(unpacked, (libraries, libraries / "ceph", of_root)).environment()
