"""A headless Chromium, told what to do by the DevTools protocol over a pair of pipes, and asked what is to be seen.

The protocol is one JSON object after the other, each with a zero byte behind it, on the browser's descriptors 3 and 4.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Deque, Dict, List, Optional, Type

from tests.waiting import PATIENCE, eventually

PROGRAMS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
KEYS = {"Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""), "Escape": ("Escape", 27, ""), "ArrowDown": ("ArrowDown", 40, ""),
        "ArrowRight": ("ArrowRight", 39, "")}


def program() -> Optional[str]:
    """The browser, if one is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def why_not() -> str:
    """Why there is none; "" when there is."""
    return "" if program() else "no browser is installed; `.ci/setup browser` does that"


def _high(descriptor: int) -> int:
    """The same one under a number beyond those that the browser wants."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class Browser:
    """One page.  `complaints` are what its scripts let out: uncaught exceptions and errors on the console, without those of the network."""

    def __init__(self, directory: Path) -> None:
        in_read, self._out = map(_high, os.pipe())
        self._in, out_write = map(_high, os.pipe())
        command = [str(program()), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--hide-scrollbars", "--disable-extensions", "--disable-component-update", "--disable-background-networking",
                   "--user-data-dir=%s" % directory, "--remote-debugging-pipe", "about:blank"]
        self._log = open(directory / "browser.log", "wb")  # noqa: SIM115
        shell = ["bash", "-c", 'exec 3<&%d 4>&%d; exec "$@"' % (in_read, out_write), "bash", *command]
        self._process = subprocess.Popen(shell, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         pass_fds=(in_read, out_write), env={**os.environ, "HOME": str(directory)})
        os.close(in_read)
        os.close(out_write)
        self._buffer = b""
        self._number = 0
        self._session: Optional[str] = None
        self.complaints: List[str] = []
        self.network: Deque[str] = deque(maxlen=100)
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _begin(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, _kind: Optional[Type[BaseException]], _error: Optional[BaseException], _trace: Optional[TracebackType]) -> None:
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(20)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._log.close()

    def call(self, method: str, **parameters: Any) -> Dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        message: Dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            told = self._next(deadline)
            if told.get("id") == self._number:
                assert "error" not in told, "%s: %s" % (method, told["error"])
                result: Dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _next(self, deadline: float) -> Dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has gone"
            self._buffer += data
        first, _, self._buffer = self._buffer.partition(b"\0")
        told: Dict[str, Any] = json.loads(first)
        return told

    def _note(self, told: Dict[str, Any]) -> None:
        method, parameters = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            text = "%s: %s %s" % (entry["source"], entry["text"], entry.get("url", ""))
            (self.network if entry["source"] == "network" else self.complaints).append(text)

    # -- what people do and see

    def open(self, address: str) -> None:
        """Go there."""
        self.call("Page.navigate", url=address)
        self.see("document.readyState === 'complete'")

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        """Of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)

    def dark(self, is_dark: bool) -> None:
        """What the system prefers."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, are_on: bool) -> None:
        """Whether pages may have any, from the next one on."""
        self.call("Emulation.setScriptExecutionDisabled", value=not are_on)

    def ask(self, expression: str) -> Any:
        """What this is, in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, "%s: %s" % (expression, told["exceptionDetails"])
        return told["result"].get("value")

    def see(self, expression: str) -> None:
        """Wait until this is so."""
        try:
            eventually(lambda: self.ask("!!(%s)" % expression), expression)
        except AssertionError as error:
            raise AssertionError("%s\n%s\n%s" % (error, self.complaints, self.text())) from None

    def text(self) -> str:
        """All that stands on the page."""
        told: str = self.ask("document.body.innerText")
        return told

    def point_at(self, selector: str, click: bool = False) -> None:
        """Move the mouse to the middle of the first that is meant, and click on it maybe."""
        where = self.ask("(() => { const e = document.querySelector(%s); e.scrollIntoView({block: 'center'});"
                         " const r = e.getBoundingClientRect();"
                         " return [r.x + r.width / 2, r.y + r.height / 2]; })()" % json.dumps(selector))
        x, y = where
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key, down and up."""
        code, number, text = KEYS[key]
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code, windowsVirtualKeyCode=number, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code, windowsVirtualKeyCode=number)

    def picture(self, path: Path, whole: bool = True) -> None:
        """Of the page as it is, as PNG."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))
