"""`python -m slipway.stack.standin_hub`: serve the demo's repositories, or list their commits.

Belongs here: the command line. Does not: anything that a test would call (server.py, demo.py).
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
from pathlib import Path

import click

from slipway.stack.standin_hub import demo, tasks
from slipway.stack.standin_hub.server import HOST, StandinHub


@click.command()
@click.option("--port", default=0, help="Port of the hub's API; 0 takes a free one.")
@click.option("--cdn-port", default=0, help="Port of the content that the API redirects to.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Where files that are made are kept.")
@click.option("--list", "list_only", is_flag=True, help="Print repository, commit and files, and end.")
@click.option("--verbose", is_flag=True, help="Print a line per request.")
def main(port: int, cdn_port: int, cache_dir: Path | None, list_only: bool, verbose: bool) -> None:
    """Serve a stand-in for the Hugging Face Hub on loopback until SIGTERM or Ctrl-C."""
    with contextlib.ExitStack() as stack:
        cache_dir = cache_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repositories = [*demo.repositories(cache_dir), *tasks.repositories(cache_dir)]
        if list_only:
            for repository in repositories:
                click.echo(f"hf://{repository.id}@{repository.refs['main']}")
                for path, file in repository.commits[repository.refs["main"]].files.items():
                    click.echo(f"  {file.size_bytes:>12}  {file.sha256}  {path}")
            return
        try:
            hub = StandinHub(repositories, port=port, cdn_port=cdn_port, verbose=verbose)
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {HOST} ports {port} and {cdn_port}: {error.strerror}. Choose free ports."
            ) from error
        with hub:
            click.echo(f"stand-in hub at {hub.url}, content at {hub.cdn_url}")
            sys.stdout.flush()
            _wait_for_the_end()


def _wait_for_the_end() -> None:
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
