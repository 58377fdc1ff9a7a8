"""A real browser without a window, for what only a browser can tell of a page.

Chromium is driven by the DevTools protocol over two pipes: JSON messages, each ended by a null
byte. So nothing listens on a port, and no package is needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from support import PATIENCE, unavailable

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """The browser of this machine."""
    for name in _NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    unavailable("chromium is not installed")


class Browser:
    """A browser with one tab; `events` holds what it said by itself."""

    def __init__(self, profile: Path) -> None:
        (to_read, self._to), (self._from, to_write) = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4.
        command = (
            f'exec "$0" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage '
            f"--no-first-run --disable-background-networking --disable-component-update "
            f'--remote-debugging-pipe "--user-data-dir=$1" about:blank 3<&{to_read} 4>&{to_write}'
        )
        self.process = subprocess.Popen(
            ["bash", "-c", command, program(), str(profile)], pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self.events: list[dict[str, Any]] = []
        self._number, self._rest, self._session = 0, b"", None
        try:
            self._attach()
        except BaseException:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            raise

    def _attach(self) -> None:
        targets = self.ask("Target.getTargets")["targetInfos"]
        tab = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._to)  # which it takes for its end
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            raise
        finally:
            os.close(self._from)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready = select.select([self._from], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, "the browser does not answer"
            more = os.read(self._from, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, page: Path, width: int) -> None:
        """Load a page in a window of a width (CSS pixels), to the end."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.events.clear()
        # Of this page: the empty one of the beginning may only be loaded now, on a busy machine.
        loader = self.ask("Page.navigate", url=page.resolve().as_uri())["loaderId"]
        while not any(_is_loaded(event, loader) for event in self.events):
            self.events.append(self._next())

    def evaluate(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors and warnings in the console, and what failed to load."""
        told = []
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Log.entryAdded":
                told.append(parameters["entry"]["text"])
            elif method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
                told.append(str(parameters))
            elif method == "Runtime.consoleAPICalled":
                told.append(str(parameters["args"]))
        return told

    def requests(self) -> list[str]:
        """Addresses of everything that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self.ask("Page.printToPDF")["data"])

    def picture(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])


def _is_loaded(event: dict[str, Any], loader: str) -> bool:
    found = event.get("params", {})
    return (found.get("name"), found.get("loaderId")) == ("load", loader)
