"""A server to be supervised in tests: `python supervised_server.py PORT [--part] [--deaf] [--fails WORDS]`.

It answers every GET with 200. `--part` gives it a child process that it does not watch; `--deaf` makes it
ignore SIGTERM; `--fails` makes it print words and end at once; `--once` makes it listen only when that file
is there; `--other` is another setting, and no more.
"""

import argparse
import http.server
import signal
import subprocess
import sys
import time
from pathlib import Path


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--fails")
    parser.add_argument("--once", type=Path)
    parser.add_argument("--other", action="store_true")
    settings = parser.parse_args()
    if settings.fails:
        sys.exit(settings.fails)
    if settings.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings.part:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # a part"])
    while settings.once and not settings.once.exists():
        time.sleep(0.02)
    http.server.ThreadingHTTPServer(("127.0.0.1", settings.port), Answer).serve_forever()


if __name__ == "__main__":
    main()
