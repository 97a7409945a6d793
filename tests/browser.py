"""A real browser, which does what a test says: Chromium by its driver (WebDriver)."""

import re
import shutil
import subprocess
from typing import Any, Self

import httpx
import pytest

from tests.harness import DEADLINE_SECONDS

FOREIGN_NAME = "evil.example"
"""A name that leads to loopback in this browser, as anybody's name can."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"

binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    binary is None or shutil.which(_DRIVER) is None,
    reason="there is no Chromium with its driver; in Debian: apt-get install chromium-driver",
)


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

    def run(self, script: str) -> Any:  # noqa: ANN401 - any JSON value
        """Let the page run this body of an async function, and return what it returns."""
        script = f"return (async () => {{ {script} }})()"
        return self._ask(f"{self._session}/execute/sync", script=script, args=[])

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
