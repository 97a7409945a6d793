"""What systemd is told: that the service is ready, that it stops, and that work gets done.

The protocol is that of `sd_notify(3)`: datagrams to a socket that a variable names. Where nothing
names one, nothing is told.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC")
"""What systemd sets in the environment of a service of `Type=notify`, and with `WatchdogSec=`."""
FEEDS_PER_PERIOD = 3
"""How often the watchdog is fed in the time after which it would bite: one may come late."""


class Notifier:
    """Tells systemd how the service is."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Keep where to tell it.

        Args:
            environ: Has the `VARIABLES` that are set.
        """
        self._path = environ.get("NOTIFY_SOCKET", "")
        if self._path.startswith("@"):  # an abstract socket
            self._path = f"\0{self._path[1:]}"
        period = environ.get("WATCHDOG_USEC", "")
        self._period_seconds = int(period) / 1e6 if period.isdigit() else 0.0
        self._ended = Event()

    def ready(self, where: str) -> None:
        """Say that requests are answered, at this address."""
        self._tell(f"READY=1\nSTATUS=listens on {where}")

    def stopping(self) -> None:
        """Say that the service drains."""
        self._tell("STOPPING=1\nSTATUS=drains")

    def feed_while(self, works: Callable[[], bool]) -> None:
        """Feed the watchdog from now on, each time after asking whether work gets done.

        A service that is alive and does not work is so restarted, too.
        """
        if self._path and self._period_seconds:
            Thread(target=self._feed, args=(works,), name="watchdog", daemon=True).start()

    def end(self) -> None:
        """Feed it no more."""
        self._ended.set()

    def _feed(self, works: Callable[[], bool]) -> None:
        while True:
            if works():
                self._tell("WATCHDOG=1")
            if self._ended.wait(self._period_seconds / FEEDS_PER_PERIOD):
                return

    def _tell(self, message: str) -> None:
        if not self._path:
            return
        # Whoever started us has gone, or does not listen: nobody else could be told, either.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.settimeout(0)
            told.connect(self._path)
            told.send(message.encode())
