"""A real browser, which does what a test says: Chromium by its driver (WebDriver)."""

import re
import shutil
import subprocess
from functools import cache
from importlib import resources
from typing import Any, Self

import httpx
import pytest

from tests.harness import DEADLINE_SECONDS, eventually

FOREIGN_NAME = "evil.example"
"""A name that leads to loopback in this browser, as anybody's name can."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"
_PHONE_PIXELS = 600

binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    binary is None or shutil.which(_DRIVER) is None,
    reason="there is no Chromium with its driver; in Debian: apt-get install chromium-driver",
)


@cache
def _axe() -> str:
    """The script that looks for what shuts people out."""
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


class Browser:
    """A browser without a window, which is gone at the end of its block."""

    def __enter__(self) -> Self:
        self._driver = subprocess.Popen([_DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
        try:
            self._client = httpx.Client(
                base_url=f"http://127.0.0.1:{self._port()}", timeout=DEADLINE_SECONDS
            )
            options = {
                "binary": binary,
                "args": [
                    "--headless=new",
                    "--no-sandbox",  # it would not start as root; all pages are ours
                    "--disable-dev-shm-usage",  # which is small in containers
                    "--no-proxy-server",
                    f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1",
                ],
            }
            capabilities = {"browserName": "chrome", "goog:chromeOptions": options}
            made = self._ask("/session", capabilities={"alwaysMatch": capabilities})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.delete(self._session)  # ends the browser
        self._end()

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._ask(f"{self._session}/url", url=url)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._client.get(f"{self._session}/url").json()["value"])

    def run(self, script: str, *args: object) -> Any:  # noqa: ANN401 - any JSON value
        """Let the page run this body of an async function, and return what it returns.

        Args:
            script: What is run; `args` are its arguments there, too.
            args: JSON values.
        """
        script = f"return (async (args) => {{ {script} }})([...arguments])"
        return self._ask(f"{self._session}/execute/sync", script=script, args=args)

    def text(self, selector: str = "body") -> str:
        """What people read in the first element that this selects; nothing: there is none."""
        return str(self.run("return document.querySelector(args[0])?.innerText ?? ''", selector))

    def click(self, selector: str) -> None:
        """Click on the first element that this selects, as a mouse does."""
        self._ask(f"{self._session}/element/{self._element(selector)}/click")

    def fill(self, selector: str, text: str) -> None:
        """Type a text in place of what is in a field."""
        element = self._element(selector)
        self._ask(f"{self._session}/element/{element}/clear")
        self._ask(f"{self._session}/element/{element}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask(
            f"{self._session}/actions", actions=[{"type": "key", "id": "keys", "actions": actions}]
        )

    def look_like(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Be as wide and as dark as a user's."""
        device = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.tell("Emulation.setDeviceMetricsOverride", **device, mobile=width < _PHONE_PIXELS)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])

    def tell(self, command: str, **params: object) -> Any:  # noqa: ANN401 - any JSON value
        """Give the browser a command of the DevTools, past what a page may do."""
        return self._ask(f"{self._session}/goog/cdp/execute", cmd=command, params=params)

    def faults(self) -> list[str]:
        """What axe finds on the page that is serious or critical, a line each."""
        self._ask(f"{self._session}/execute/sync", script=_axe(), args=[])
        found = self.run("return (await axe.run()).violations")
        return [
            f"{each['id']} ({each['impact']}): {node['html'][:200]} {node['failureSummary']}"
            for each in found
            for node in each["nodes"]
            if each["impact"] in {"serious", "critical"}
        ]

    def _element(self, selector: str) -> str:
        """The first element that this selects, as the driver calls it; waits until it is there."""

        def look() -> str:
            wanted = {"using": "css selector", "value": selector}
            found = self._ask(f"{self._session}/elements", **wanted)
            return str(next(iter(found[0].values()))) if found else ""

        return eventually(look, f"{selector} on {self.url}")

    def _ask(self, path: str, **members: object) -> Any:  # noqa: ANN401
        answer = self._client.post(path, json=members)
        assert answer.is_success, answer.text
        return answer.json()["value"]

    def _port(self) -> str:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return found[1]
        raise AssertionError("the driver has ended")

    def _end(self) -> None:
        self._driver.terminate()
        self._driver.communicate(timeout=DEADLINE_SECONDS)
        self._client.close()
