"""A full spool gives nothing away, and a gateway that is killed loses at most seconds of what it streamed."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway.gateway.usage import slots

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def small_disk(own_gateway, tmp_path):
    """A file system of its own for the spool: it holds one growth of slots and some pages."""
    directory = tmp_path / "small-disk"
    directory.mkdir()
    size = slots.GROWTH * slots.SLOT_BYTES + 6 * os.sysconf("SC_PAGE_SIZE")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"file systems cannot be mounted here: {mounted.stderr}")
    own_gateway.environment["SLIPWAY_GATEWAY_SPOOL"] = str(directory)
    yield directory
    own_gateway.kill()
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> Path:
    """Take all room that is left on a file system."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return ballast


def test_a_full_spool_refuses_before_the_first_byte_and_never_after(
    own_gateway, small_disk, fake, route, eventually
):
    gateway, streams = own_gateway, 12
    gateway.route(route("chat", fake.url, upstream_model="pauses"))
    gateway.start()

    def ask(_: int = 0):
        body = {"model": "chat", "messages": HI, "stream": True}
        return gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])

    with ThreadPoolExecutor(streams) as clients:
        running = [clients.submit(ask) for _ in range(streams)]
        eventually(lambda: len(fake.requests) == streams)
        ballast = fill(small_disk)
        fake.release.set()
        answers = [each.result(30) for each in running]
    # All that had begun is complete and recorded; nothing new begins, and no engine works for it.
    assert all(raw.endswith(b"data: [DONE]\n\n") and b"error" not in raw for _, _, raw in answers)
    assert gateway.status()["spooled_events"] == streams
    for _ in range(3):
        status, _, raw = ask()
        assert (status, json.loads(raw)["error"]["code"]) == (503, "usage_not_recorded")
    assert len(fake.requests) == streams
    gateway.kill()
    gateway.start()
    ballast.unlink()
    assert ask()[0] == 200
    events = gateway.events()
    asked = {headers["x-request-id"] for _, headers, _ in answers}
    assert len(events) == streams + 1 and asked <= {event["request_id"] for event in events}
    assert {(event["status"], event["output_tokens"]) for event in events} == {("success", 3)}
    assert gateway.status()["spooled_events"] == 0


def test_a_killed_gateway_bills_what_a_stream_had_used_once_and_nothing_to_who_got_nothing(
    own_gateway, fake, route, eventually
):
    gateway = own_gateway
    gateway.route(
        route("chat", fake.url, upstream_model="pauses"), route("silent", fake.url, upstream_model="hangs")
    )
    gateway.start()
    kept = gateway.home / "gateway" / "spool" / "in-flight"
    bodies = [{"model": model, "messages": HI, "stream": model == "chat"} for model in ("chat", "silent")]
    with (
        gateway.hanging_up_after({**bodies[1], "stream": True}, events=0),
        gateway.hanging_up_after(bodies[1], events=0),
        gateway.hanging_up_after(bodies[0], events=3),
    ):
        eventually(lambda: len(fake.requests) == 3)
        eventually(lambda: b"request_id" in kept.read_bytes())
        gateway.kill()
    gateway.start()
    assert gateway.status()["spooled_events"] == 1
    gateway.kill()  # once more, with nothing shipped yet
    gateway.start()
    (event,) = gateway.events()
    found = event["status"], event["error_type"], event["output_tokens"], event["counted_by"]
    assert found == ("server_error", "gateway_killed", 3, "bound")
    assert gateway.ship() == {"objects": 0, "events": 0}
