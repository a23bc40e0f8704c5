"""`python -m testbed.cluster build|up|down`: what `make cluster-up` and `make cluster-down` run.

Belongs here: arguments and what is printed. Does not: anything else.
"""

import argparse
import sys
import time

from testbed.cluster import binaries, cluster
from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import Layout

_USE = """\
The cluster is up ({seconds:.0f} s). Its administrator:
  export KUBECONFIG={kubeconfig}
  export PATH={programs}:$PATH    # kubectl
`make cluster-down` takes it down."""


def main() -> int:
    """Exit status: 0, or 1 with a message."""
    parser = argparse.ArgumentParser(prog="python -m testbed.cluster", description=__doc__)
    parser.add_argument("command", choices=("build", "up", "down"))
    names = {each.name: each for each in binaries.OPERATORS}
    parser.add_argument("--with", nargs="*", default=(), choices=names, dest="extra", help="build these, too")
    parser.add_argument("--force", action="store_true", help="take down another checkout's cluster")
    arguments = parser.parse_args()
    layout = Layout.default()
    try:
        if arguments.command == "build":
            cluster.build(layout, print, (*binaries.CORE, *(names[name] for name in arguments.extra)))
        elif arguments.command == "up":
            _up(layout)
        else:
            cluster.down(layout, print, arguments.force)
    except ClusterError as error:
        print(f"test cluster: {error}", file=sys.stderr)
        return 1
    return 0


def _up(layout: Layout) -> None:
    before = time.monotonic()
    running = cluster.up(layout, print, kept=True)
    programs = binaries.program(layout, "kubectl").parent
    print(_USE.format(seconds=time.monotonic() - before, kubeconfig=running.kubeconfig, programs=programs))


if __name__ == "__main__":
    sys.exit(main())
