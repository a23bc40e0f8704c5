"""`file://` sources: a directory or one file of the machine that pulls.

Belongs here: walking, digesting and reading local files, and noticing that they change meanwhile.
Does not: moving bytes into the store (slipway.artifacts.transfer), which paths may become keys
(weights/paths.py).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.artifacts.errors import AccessError, SourceError
from slipway.artifacts.source import (
    Count,
    Digest,
    SourceFile,
    StoredAt,
    check_pin,
    commit_of,
    is_never_published,
)
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.retry import RetryPolicy, TransientError, attempt
from slipway.catalog.fields import SecretRef

SCHEME = "file://"
_CHUNK_BYTES = 2**20
_READERS = 4
_RETRY = RetryPolicy()
_MOST_NAMED = 5
_CHANGED = "changed while it was read. Wait until it is complete, then run this again."


@dataclass(frozen=True)
class _Walked:
    """One file as the walk found it; everything but the path tells whether it is still the same."""

    path: str
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> _Walked:
        return cls(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class FileSource:
    """Files of this machine. The commit is made of their sha256, so resolving reads all of them once."""

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> FileSnapshot:
        """Digest what lies there now. See `source.Source`; all that is no plain file is named at once."""
        root = Path(location.removeprefix(SCHEME))
        walked = {file.path: file for file in _walk(location, root)}
        folder = root if root.is_dir() else root.parent
        digests: dict[str, str] = {}

        def digest(file: _Walked) -> None:
            digests[file.path] = attempt(_RETRY, lambda: _sha256(location, folder, file), time.sleep)

        workers.each(list(walked.values()), digest, workers=_READERS, tick=lambda: None)
        commit = commit_of((path, file.size_bytes, digests[path]) for path, file in walked.items())
        check_pin(location, revision, commit)
        return FileSnapshot(location, folder, walked, digests, commit)


class FileSnapshot:
    """Files as they were when they were digested; implements `source.Snapshot`."""

    licence: str | None = None

    def __init__(
        self, location: str, folder: Path, walked: dict[str, _Walked], digests: dict[str, str], commit: str
    ) -> None:
        self._location = location
        self._folder = folder
        self._walked = walked
        self._digests = digests
        self.commit = commit

    def files(self) -> tuple[SourceFile, ...]:
        """Every file below the location, with its sha256."""
        return tuple(
            SourceFile(path, file.size_bytes, Digest("sha256", self._digests[path]))
            for path, file in self._walked.items()
        )

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer from the file, which must be the one that was digested, before and after."""

        def fill(descriptor: int) -> None:
            at = 0
            while at < len(buffer):
                read = os.preadv(descriptor, [buffer[at : at + _CHUNK_BYTES]], offset + at)
                if not read:
                    raise SourceError(f"{self._location} file {file.path}: {_CHANGED}")
                at += read
                count(read)

        _read(self._location, self._folder, self._walked[file.path], fill)

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        """None: a disk is no S3 store."""
        return None


def _walk(location: str, root: Path) -> list[_Walked]:
    """Every file below the root, or the root itself. All that cannot be taken is named at once."""
    refused: list[str] = []
    try:
        files = list(_entries(root, "", refused))
    except FileNotFoundError as error:
        raise SourceError(
            f"{location}: this machine has no {error.filename}. Correct the path, or pull where it lies."
        ) from error
    if refused:
        more = f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
        raise SourceError(
            f"{location}: {', '.join(refused[:_MOST_NAMED])}{more}. Only plain, readable files are taken and "
            "no link is followed: copy what is meant into a directory of its own (`cp -rL`), and name that."
        )
    if not files:
        raise SourceError(f"{location}: holds no file. Correct the path.")
    return files


def _entries(place: Path, path: str, refused: list[str]) -> Iterator[_Walked]:
    """The file at this place, or all below it; appends to `refused` what is neither file nor directory."""
    shown = path or str(place)
    status = os.lstat(place)
    if stat.S_ISDIR(status.st_mode):
        try:
            names = sorted(entry.name for entry in place.iterdir())
        except PermissionError:
            refused.append(f"{shown} is not readable")
            return
        for name in names:
            if is_never_published(f"{path}/{name}"):
                continue  # not even read: a clone keeps every version there
            yield from _entries(place / name, f"{path}/{name}" if path else name, refused)
    elif not stat.S_ISREG(status.st_mode):
        refused.append(f"{shown} is {'a symlink' if stat.S_ISLNK(status.st_mode) else 'no plain file'}")
    elif not os.access(place, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        refused.append(f"{shown} is not readable")
    else:
        yield _Walked.of(path or place.name, status)


def _sha256(location: str, folder: Path, walked: _Walked) -> str:
    digest = hashlib.sha256()

    def update(descriptor: int) -> None:
        while piece := os.read(descriptor, _CHUNK_BYTES):
            digest.update(piece)

    _read(location, folder, walked, update)
    return digest.hexdigest()


def _read(location: str, folder: Path, walked: _Walked, action: Callable[[int], None]) -> None:
    """Open the file, act, and make sure that it was the one found by the walk, before and after."""
    what = f"{location} file {walked.path}"
    try:
        # Not a link put in its place, and no waiting for somebody to write into a pipe that was.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(folder / walked.path, flags)
        try:
            _require_same(what, descriptor, walked)
            action(descriptor)
            _require_same(what, descriptor, walked)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(
            f"{what}: was listed, but is gone. Bring it back, or run this again without it."
        ) from error
    except PermissionError as error:
        raise AccessError(f"{what}: is not readable by this user. Change its mode.") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SourceError(f"{what}: {_CHANGED}") from error
        raise TransientError(f"{what}: cannot be read: {error.strerror}.") from error


def _require_same(what: str, descriptor: int, walked: _Walked) -> None:
    if _Walked.of(walked.path, os.fstat(descriptor)) != walked:
        raise SourceError(f"{what}: {_CHANGED}")
