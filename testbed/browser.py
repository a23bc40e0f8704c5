"""A headless Chromium without a network: opens a file, acts on it, tells what it asked for, takes pictures.

Belongs here: finding or fetching Chromium, and its DevTools protocol as far as that takes.
Does not: what pages should show (tests), which pictures docs/ has (testbed/screenshots.py).
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from testbed.programs import Program, unpacked

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
_STARTS_WITHIN_S = 60.0
_ANSWERS_WITHIN_S = 60.0


def chromium() -> tuple[Program, dict[str, str]]:
    """Chromium of the PATH, or Debian's unpacked into the cache of tools; and what it needs besides.

    Raises MissingProgramError where there is neither.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return Program(Path(found)), {}
    root = unpacked("chromium", ("chromium-headless-shell", "fonts-dejavu-core", "fontconfig-config"))
    libraries = {path.parent for path in root.rglob("*.so.*")}
    program = root / "usr/lib/chromium/chromium-headless-shell"
    fonts = {"FONTCONFIG_PATH": str(root / "etc/fonts"), "XDG_DATA_HOME": str(root / "usr/share")}
    return Program(program, tuple(sorted(libraries))), fonts


class Page:
    """One page of a running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self._events: list[dict[str, Any]] = []
        self.requested: list[str] = []  # every address that pages asked for, their own included
        self.errors: list[str] = []  # what its scripts threw, and what the console was told of errors

    async def open(self, url: str, *, width: int, dark: bool, height: int = 900) -> None:
        """Open an address in a window of that width, as a reader of light or dark pages."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self._size(width, height)
        self._events.clear()
        await self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            await self._take()

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page. Raises RuntimeError with what it threw."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def picture(self, path: Path, *, whole: bool = True, most_px: int = 2400) -> None:
        """A PNG of the page from its top: all of it, up to a height, or what the window shows."""
        if whole:
            width = await self.evaluate("innerWidth")
            height = await self.evaluate("document.documentElement.scrollHeight")
            await self._size(width, min(int(height), most_px))
        answer = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol."""
        self._last += 1
        number = self._last
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._take()
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    async def _size(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def _take(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json(timeout=_ANSWERS_WITHIN_S)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith("data:"):
            self.requested.append(parameters["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        if method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        if method is not None:
            self._events.append(message)
        return message


class _Running:
    """The process of a browser, which ends with the block."""

    def __init__(self, online: bool) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="slipway-chromium-", ignore_cleanup_errors=True)
        program, needed = chromium()
        # No host is ever resolved, whatever a page says; servers of this machine are, where told.
        allowed = " , EXCLUDE 127.0.0.1" if online else ""
        command = [
            str(program.path), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-extensions",
            f"--host-resolver-rules=MAP * ~NOTFOUND{allowed}", "--remote-debugging-port=0",
            f"--user-data-dir={self._profile.name}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            env={**program.environment(), **needed},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> _Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    async def port(self) -> int:
        """Where its protocol is spoken."""
        told = Path(self._profile.name) / "DevToolsActivePort"
        for _ in range(round(_STARTS_WITHIN_S / 0.1)):
            if told.exists() and (lines := told.read_text().splitlines()):
                return int(lines[0])
            if self._process.poll() is not None:
                raise RuntimeError(f"Chromium ended with {self._process.returncode}.")
            await asyncio.sleep(0.1)
        raise RuntimeError(f"Chromium did not start within {_STARTS_WITHIN_S:g} s.")


@asynccontextmanager
async def browser(*, online: bool = False) -> AsyncIterator[Page]:
    """A page of a browser of its own; `online` lets it ask servers of this machine, and no others."""
    with _Running(online) as running:
        port = await running.port()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                targets = json.loads(await reply.text())
            url = next(each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page")
            async with session.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Network", "Log"):
                    await page.call(f"{domain}.enable")
                if not online:
                    conditions = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
                    await page.call("Network.emulateNetworkConditions", offline=True, **conditions)
                yield page
