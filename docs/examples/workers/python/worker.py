"""A worker in Python, with nothing but the standard library.

It leases one task at a time, extends the lease while it works, and at SIGTERM gives back what it
has not done.
"""

import json
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType
from typing import Any, Self

SERVER = os.environ.get("TASK_QUEUE_URL", "http://localhost:8080")
KEY = os.environ.get("TASK_QUEUE_KEY")
NAME = os.environ.get("WORKER_NAME", f"python-{socket.gethostname()}-{os.getpid()}")
LEASE_SECONDS = float(os.environ.get("LEASE_SECONDS", "30"))
WAIT_SECONDS = 20
RANDOM = random.Random()  # noqa: S311 - so that workers do not come back together
AWAY = {429, 500, 502, 503, 504}
"""The statuses after which the same request may be answered otherwise."""


class Stopped(BaseException):
    """SIGTERM or Ctrl-C came."""


class LostError(Exception):
    """The lease is not held any more, so nothing of the task may be told."""


def call(path: str, body: dict[str, Any], wait: int = 0) -> dict[str, Any]:
    """Return the answer to a request, which is sent again as it is while the server is away."""
    headers = {"Content-Type": "application/json"}
    if KEY:
        headers["Authorization"] = f"Bearer {KEY}"
    if wait:
        headers["Prefer"] = f"wait={wait}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(SERVER + path, data, headers)  # noqa: S310 - its own server
    pause = 0.5
    for _ in range(8):
        try:
            with urllib.request.urlopen(request, timeout=wait + 15) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.CONFLICT:
                raise LostError from error
            if error.code not in AWAY:
                raise
        except OSError:
            pass
        time.sleep(pause * RANDOM.uniform(0.5, 1.0))
        pause = min(2 * pause, 10)
    raise LostError


class Lease:
    """A lease that is extended, in the background, until its task is done.

    Attributes:
        is_over: Set once the task need not be gone on with: somebody cancelled it, or it is lost.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._done = threading.Event()
        self.is_over = threading.Event()
        self.progress: float | None = None
        self._thread = threading.Thread(target=self._extend, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()

    def say(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """Tell something about the task."""
        return call(f"/leases/{self._token}/{verb}", body)

    def _extend(self) -> None:
        while not self._done.wait(LEASE_SECONDS / 3):
            body: dict[str, Any] = {"lease_seconds": LEASE_SECONDS}
            if self.progress is not None:
                body["progress"] = {"fraction": self.progress}
            try:
                is_cancelled = self.say("extend", body)["cancel_requested"]
            except (LostError, urllib.error.HTTPError):
                is_cancelled = True
            if is_cancelled:
                self.is_over.set()


def resize(data: dict[str, Any], lease: Lease) -> dict[str, Any]:
    """Do the work: a real one would look at `lease.is_over` now and then, too."""
    started, seconds = time.monotonic(), data.get("seconds", 0)
    while (passed := time.monotonic() - started) < seconds:
        lease.progress = passed / seconds
        if lease.is_over.wait(min(0.1, seconds - passed)):
            raise RuntimeError("not wanted any more")
    return {"area": data["width"] * data["height"]}


ACTIONS: dict[str, Callable[[dict[str, Any], Lease], Any]] = {"resize": resize}


def work(leased: dict[str, Any]) -> None:
    """Do a task, and tell what came of it."""
    lease, task = Lease(leased["lease"]), leased["task"]
    try:
        print("doing", task["id"], flush=True)
        with lease:
            result = ACTIONS[task["action"]](task["data"], lease)
    except Stopped:
        lease.say("release", {})
        raise
    except Exception as error:  # noqa: BLE001 - the task's failure, whatever it is
        lease.say("nack", {"error": f"{type(error).__name__}: {error}"})
    else:
        lease.say("ack", {"result": result})


def main() -> None:
    """Work until SIGTERM."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    wanted = {
        "max": 1,
        "lease_seconds": LEASE_SECONDS,
        "worker": NAME,
        "actions": list(ACTIONS),
    }
    print(f"{NAME} works for {SERVER}", flush=True)
    try:
        while True:
            try:
                for leased in call("/queues/tasks/lease", wanted, WAIT_SECONDS)["leases"]:
                    work(leased)
            except LostError:  # the server is away, or another worker has the task
                time.sleep(RANDOM.uniform(0.5, 1.5))
    except Stopped:
        print(f"{NAME} stopped", flush=True)


if __name__ == "__main__":
    main()
