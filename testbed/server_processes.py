"""A server as a process of its own, for as long as somebody needs it.

Belongs here: starting and ending it, waiting until it answers. Does not: which servers there are (stores.py,
registries/), the cluster's processes (cluster/processes.py).
"""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# Long, as it costs nothing where all is well: a machine may be busy with other tests.
START_DEADLINE_S = 120.0


@contextmanager
def process(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    ended_by_term: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that writes to `log`, in this process's environment and `environment`; killed at the end.

    `ended_by_term`: it is asked to end, and killed when it has not within 20 s.
    """
    with log.open("ab") as output:
        started = subprocess.Popen(
            list(command), env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield started
    finally:
        end(started, term_s=20 if ended_by_term else 0)


def end(started: subprocess.Popen[bytes], *, term_s: float = 0) -> None:
    """End a process, and wait until it has; `term_s`: how long it may take to do so by itself."""
    if term_s:
        started.terminate()
        try:
            started.wait(term_s)
            return
        except subprocess.TimeoutExpired:
            pass
    started.kill()
    started.wait()


def wait_until_answered(
    url: str,
    log: Path,
    *,
    by: subprocess.Popen[bytes] | None = None,
    tls: ssl.SSLContext | None = None,
    deadline_s: float = START_DEADLINE_S,
) -> None:
    """Return when the URL answers below 500.

    Raises TimeoutError with the end of the log when it does not, at once when the process `by` has ended.
    """
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline and (by is None or by.poll() is None):
        try:
            urllib.request.urlopen(url, timeout=10, context=tls).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer:\n{log.read_text(errors='replace')[-4000:]}")
