"""How the stand-in hub sends a file: whole or a range, straight from disk, with the faults asked for.

Belongs here: byte ranges, the HTTP handler's common part, and what it asks of the server that it answers for.
Does not: routes and what they mean (api.py, cdn.py).
"""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from slipway.stack.standin_hub.faults import Fault, Kind, Switchboard
from slipway.stack.standin_hub.repository import HubFile

_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
_CHUNK_BYTES = 2**18
PORTAL = b"<!DOCTYPE html>\n<html><head><title>Sign in to the guest network</title></head></html>\n"
_EXPIRED = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>expired</Message></Error>"


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """(start, end) of one byte range, end exclusive; None for the whole file; ValueError when beyond it."""
    if header is None:
        return None
    match = _RANGE.match(header)
    if not match:
        return None  # RFC 9110: a server may ignore a Range that it does not understand
    start = int(match[1])
    end = min(int(match[2]) + 1, size_bytes) if match[2] else size_bytes
    if start >= end:
        raise ValueError(header)
    return start, end


class Standin(Protocol):
    """What any handler asks of its stand-in (doors.py)."""

    verbose: bool
    faults: Switchboard

    @property
    def url(self) -> str:
        """Base URL of the API."""

    def cdn_location(self, repo: str, path: str, file: HubFile) -> str:
        """A signed link to the file's content."""

    def linked_file(self, door: str, query: str) -> tuple[str, HubFile] | None:
        """Path and file of a link that this stand-in signed; None for any other."""

    def count_request(self, method: str, path: str) -> None:
        """Remember a request for a file."""

    def count_bytes(self, sent: int) -> None:
        """Add to the bytes of files that were sent."""


class Handler(BaseHTTPRequestHandler, ABC):
    """One connection. Subclasses answer `get`, which also answers HEAD, without the body."""

    protocol_version = "HTTP/1.1"
    server_version = "slipway-standin"
    disable_nagle_algorithm = True
    wbufsize = 2**16
    standin: Standin

    def do_GET(self) -> None:
        """http.server's entry for GET."""
        self._answer()

    def do_HEAD(self) -> None:
        """http.server's entry for HEAD."""
        self._answer()

    @abstractmethod
    def get(self, path: str, query: str) -> None:
        """Answer a GET or HEAD of this (unquoted) path."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        try:
            self.get(unquote(url.path), url.query)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client hung up; nothing to tell it

    def log_message(self, format: str, *args: Any) -> None:
        """Access lines are off unless the hub was started verbosely."""
        if self.standin.verbose:
            super().log_message(format, *args)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a short answer, complete with its length."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, value: object, headers: dict[str, str] | None = None) -> None:
        """Send a JSON answer with status 200."""
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        """Send an error as the Hub words it: `X-Error-Code` and `X-Error-Message`."""
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        self.reply(status, json.dumps({"error": message}).encode(), headers)

    def struck_down(self, faults: dict[Kind, Fault]) -> bool:
        """Carry out the faults that answer in place of the real answer; True when one did."""
        if "latency" in faults:
            time.sleep(faults["latency"].seconds)
        if "rate-limited" in faults:
            self.reply(429, b"slow down", {"Retry-After": f"{faults['rate-limited'].seconds:g}"})
        elif "out-of-quota" in faults:
            limit = f'"resolvers";r=0;t={faults["out-of-quota"].seconds:g}'
            self.reply(429, b"slow down", {"RateLimit": limit, "RateLimit-Policy": '"resolvers";q=3;w=300'})
        elif "portal" in faults:
            self.reply(200, PORTAL, {"Content-Type": "text/html"})
        elif "other-json" in faults:
            body = faults["other-json"].body.encode()
            self.reply(200, body, {"Content-Type": "application/json"})
        elif "no-head" in faults and self.command == "HEAD":
            self.reply(405)
        elif "unavailable" in faults:
            self.reply(503, b"unavailable")
        elif "expired" in faults:
            self.reply(faults["expired"].status, _EXPIRED, {"Content-Type": "application/xml"})
        elif "vanished" in faults:
            self.refuse(404, "Entry not found", "EntryNotFound")
        else:
            return False
        return True

    def send_file(self, file: HubFile, headers: dict[str, str], faults: dict[Kind, Fault]) -> None:
        """Send the file or the range that was asked for."""
        try:
            ranged = None if "unranged" in faults else self.headers.get("Range")
            asked = parse_range(ranged, file.size_bytes)
        except ValueError:
            self.reply(416, b"", {"Content-Range": f"bytes */{file.size_bytes}"})
            return
        start, end = asked or (0, file.size_bytes)
        if "truncated" in faults:
            end = min(end, start + faults["truncated"].after_bytes)
        total = file.size_bytes + (1 if "wrong-length" in faults else 0)
        self.send_response(200 if asked is None else 206)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_bytes(file, start, end, faults)

    def _send_bytes(self, file: HubFile, start: int, end: int, faults: dict[Kind, Fault]) -> None:
        stop = end
        if "dropped" in faults:
            stop = min(end, start + faults["dropped"].after_bytes)
        flipped = faults["corrupted"].after_bytes if "corrupted" in faults else None
        pace = faults["throttled"].bytes_per_s if "throttled" in faults else None
        began, chunk_bytes = time.monotonic(), min(_CHUNK_BYTES, int(pace / 50) + 1 if pace else _CHUNK_BYTES)
        with file.location.open("rb") as stream:
            stream.seek(start)
            at = start
            while at < stop and (chunk := stream.read(min(chunk_bytes, stop - at))):
                if flipped is not None and at <= flipped < at + len(chunk):
                    chunk = _flip(chunk, flipped - at)
                self.wfile.write(chunk)
                at += len(chunk)
                self.standin.count_bytes(len(chunk))
                if pace:
                    self.wfile.flush()
                    time.sleep(max(0.0, began + (at - start) / pace - time.monotonic()))
        if stop < end:
            self.wfile.flush()
            self.close_connection = True


def _flip(chunk: bytes, at: int) -> bytes:
    return chunk[:at] + bytes([chunk[at] ^ 0xFF]) + chunk[at + 1 :]
