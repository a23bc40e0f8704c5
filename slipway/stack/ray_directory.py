"""The directory that Ray keeps its sessions, sockets and logs in: made afresh, and removed.

Belongs here: that it is ours alone, as it lies where every user of the machine may write.
Does not: its path (layout.py), the Ray that uses it (ray_head.py).
"""

from __future__ import annotations

import os
import shutil
import stat

from slipway.stack.errors import StackError
from slipway.stack.layout import Layout


def make(layout: Layout) -> None:
    """Make Ray's directory afresh. It lies in a directory that all users share, so it must be ours alone."""
    remove(layout)
    try:
        layout.ray_dir.mkdir(mode=0o700)
    except FileExistsError:
        raise StackError(
            f"ray: {layout.ray_dir} belongs to another user. Have it removed, or choose another SLIPWAY_HOME."
        ) from None


def remove(layout: Layout) -> None:
    """Remove Ray's sessions, sockets and logs; harmless when there are none, or they are another user's."""
    try:
        status = layout.ray_dir.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        shutil.rmtree(layout.ray_dir, ignore_errors=True)
