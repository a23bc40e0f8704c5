"""A gateway's background jobs against a store that answers as none should."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.environment import S3Location
from slipway.gateway.usage.shipper import Shipped, Shipper
from slipway.gateway.usage.spool import Spool
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.records import usage
from testbed import gateways

LINE = b'{"request_id": "01942c2e-5a4e-7000-8000-000000000000"}\n'


class FakeStore(BaseHTTPRequestHandler):
    """Answers any request with success, without the fields that a store's answer has."""

    body = b""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet."""

    def _answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_PUT = _answer  # noqa: N815


@contextlib.contextmanager
def answering(body):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (FakeStore,), {"body": body}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield ObjectStore(S3Location(f"http://127.0.0.1:{server.server_port}", "b", "us-east-1", "a", "s"))
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("body", [b"", b"<html>Sign in to this network</html>"])
def test_a_success_without_an_entity_tag_is_an_outage_and_the_events_stay(body, tmp_path):
    spool = Spool(tmp_path, "gateway-0")
    spool.append(LINE)
    with answering(body) as store:
        with pytest.raises(ObjectStoreError, match=r"without ETag.*SLIPWAY_S3_ENDPOINT"):
            Shipper(spool, store).ship()
        with pytest.raises(ObjectStoreError, match="without ETag"):
            store.create("routes/000000000001.json", b"{}")
        with pytest.raises(ObjectStoreError, match="without ETag"):
            store.get("routes/000000000001.json")
    assert spool.events == 1


def test_a_listing_without_sizes_is_an_outage():
    listing = (
        b"<ListBucketResult><IsTruncated>false</IsTruncated>"
        b"<Contents><Key>a</Key></Contents></ListBucketResult>"
    )
    with answering(listing) as store, pytest.raises(ObjectStoreError, match="without Size"):
        list(store.list(""))


def test_a_segment_that_cannot_be_shipped_holds_up_no_other(store, tmp_path):
    spool = Spool(tmp_path, "gateway-0")
    for _ in range(3):
        spool.append(LINE)
        spool.seal()
    broken = sorted(tmp_path.glob("*.ndjson"))[0]
    kept = broken.read_bytes()
    broken.unlink()
    broken.mkdir()  # reading it fails, as on a bad disk
    shipper = Shipper(spool, store)
    with pytest.raises(IsADirectoryError):
        shipper.ship()
    assert len(list(store.list(usage.PREFIX))) == 2
    broken.rmdir()
    broken.write_bytes(kept)
    assert shipper.ship() == Shipped(objects=1, events=1)


def test_readiness_tells_the_age_of_each_job(gateway, eventually):
    status, _, body = gateway.raw("/-/ready")
    assert (status, json.loads(body)["waiting_for"]) == (200, [])
    names = {
        "reading API keys", "reading routes", "shipping usage", "telling of itself", "noting uses of keys",
    }  # fmt: skip

    def ages():
        return json.loads(gateway.raw("/-/ready")[2])["last_done_s_ago"]

    assert set(ages()) == names
    eventually(lambda: ages()["reading API keys"] < 2 and ages()["reading routes"] < 2)
    jobs = {job["name"]: job for job in gateway.status()["jobs"]}
    assert {name: job["bound_s"] for name, job in jobs.items()} == {
        "reading API keys": 600,
        "reading routes": 600,
        "shipping usage": 3_600 + 3_600,  # and the interval, which the test set so
        "telling of itself": None,  # whatever becomes of it, the replica serves
        "noting uses of keys": None,  # never
    }
    metrics = gateway.metrics()
    for name in names:
        assert f'slipway_gateway_job_age_seconds{{job="{name}"}}' in metrics


def is_ready(gateway):
    with contextlib.suppress(OSError):
        return gateway.raw("/-/ready")[0] == 200


def test_a_log_reader_that_stands_still_stops_nothing(own_gateway, fake, route, eventually):
    gateway = own_gateway
    gateway.route(route("chat", fake.url))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)  # full after some ten requests
    environment = {**os.environ, **gateway.environment}
    gateway.process = subprocess.Popen(gateways.COMMAND, env=environment, stderr=writing)
    os.close(writing)
    eventually(lambda: is_ready(gateway))
    for _ in range(100):
        status, _, body = gateway.raw("/v1/models", b"", method="POST", secret=gateway.secrets["acme"])
        assert status == 405, body
    assert gateway.raw("/-/health")[0] == 200
    gateway.process.send_signal(signal.SIGTERM)
    with os.fdopen(reading, "rb") as log:  # the reader goes on
        lines = [json.loads(line) for line in log]
    assert gateway.process.wait(30) == 0
    assert sum(line["message"] == "refused" for line in lines) == 100
    assert lines[-1]["message"] == "gateway ends"
