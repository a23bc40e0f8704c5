"""Python environments of other people's programs: outside of the tree, pinned by lock files with hashes.

They pin what Slipway uses in other versions, or are large. Belongs here: making them, once, by `uv`.
Does not: what runs in them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from testbed.programs import MissingProgramError, cache

_HERE = Path(__file__).parent
AWS = _HERE / "aws" / "requirements-aws.lock"


def interpreter(lock: Path) -> Path:
    """The interpreter of the environment that `requirements-<name>.lock` describes, made where it is not.

    Raises MissingProgramError when it cannot be made here.
    """
    directory = _directory(lock)
    directory.mkdir(parents=True, exist_ok=True)
    finished, python = directory / "finished", directory / "venv" / "bin" / "python"
    with FileLock(directory / ".lock"):
        if not finished.exists():
            shutil.rmtree(directory / "venv", ignore_errors=True)
            _run([_uv(), "venv", "--quiet", "--python", sys.executable, str(directory / "venv")])
            sync = [_uv(), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
            _run([*sync, str(lock)])
            finished.touch()
    return python


def made(lock: Path) -> Path | None:
    """That environment where it is made already; None where it is not."""
    directory = _directory(lock)
    return directory / "venv" if (directory / "finished").exists() else None


def _directory(lock: Path) -> Path:
    name = lock.stem.removeprefix("requirements-")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:16]
    return cache() / f"{name}-{digest}"


def program(lock: Path, name: str) -> Path:
    """A command of that environment."""
    return interpreter(lock).with_name(name)


def _uv() -> str:
    """What `make install` put beside the environment, or the PATH's."""
    beside = _HERE.parent / ".venv" / "uv" / "bin" / "uv"
    found = os.environ.get("UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    if not found:
        raise MissingProgramError("uv is neither in .venv/uv nor on the PATH. Run `make install`.")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingProgramError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-1500:]}")
