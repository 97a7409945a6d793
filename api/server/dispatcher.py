"""The threads that answer requests, and the answers that wait for a commit."""

import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from task_queue.actors.messages.reply import Reply
from task_queue.config.logger import get_logger

SHUTDOWN_SECONDS = 1.0
"""How long requests that were not answered until the port was closed may still take."""

_log = get_logger()


class Connection(Protocol):
    """A client's connection with a request on it."""

    @property
    def is_quick(self) -> bool:
        """Whether its request keeps no thread waiting, for the database above all."""

    def service(self) -> Reply[Any] | None:
        """Answer the request, or return the reply that its answer has to wait for."""


class Dispatcher:
    """Stands in for waitress's pool of threads, which waits on a condition for every request.

    A queue written in C wakes a thread in half the time. And a request may be parked until a
    reply is there, so that few threads are enough for any number of publishes.

    One thread is kept for requests that are quick: however many listings wait for a database that
    does not answer, `/healthz` does, and publishes are heard.
    """

    def __init__(self, threads: int) -> None:
        """Start the threads.

        Args:
            threads: How many requests may be worked on at once; parked ones do not count.
        """
        # Has no bound of its own: it holds no more than there are connections.
        self._waiting: SimpleQueue[tuple[Connection, bool] | None] = SimpleQueue()
        self._parked: set[Connection] = set()
        self._lock = threading.Lock()
        self._places = max(1, threads - 1)
        self._busy: set[str] = set()  # the names of threads; each adds and removes its own
        self._held_back: deque[Connection] = deque()
        self._threads = [
            threading.Thread(target=self._work, name=f"http-{number}", daemon=True)
            for number in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    def add_task(self, channel: Connection) -> None:
        """Let the next free thread work on this connection's request."""
        is_quick = channel.is_quick
        if not is_quick:
            with self._lock:
                if not self._places:
                    self._held_back.append(channel)
                    return
                self._places -= 1
        self._waiting.put((channel, is_quick))

    def park(self, channel: Connection, reply: Reply[Any]) -> None:
        """Let a thread work on it again when the reply is there."""
        self._parked.add(channel)
        reply.then(partial(self._waiting.put, (channel, True)))

    def shutdown(self) -> None:
        """Answer the requests that were read, parked ones too, until the deadline; threads end."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        self._hold_back_no_more()
        for _ in self._threads:
            self._waiting.put(None)  # behind the requests read: each is answered or parked
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        while (left := deadline - time.monotonic()) > 0:
            if not self._parked and self._waiting.empty():
                break
            with suppress(Empty):
                if (turn := self._waiting.get(timeout=left)) is not None:
                    self._visit(*turn)

    @property
    def size(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    @property
    def busy(self) -> int:
        """How many threads work on a request."""
        return len(self._busy)

    @property
    def queued(self) -> int:
        """How many requests wait for a thread."""
        return self._waiting.qsize() + len(self._held_back)

    def _work(self) -> None:
        name = threading.current_thread().name
        while (turn := self._waiting.get()) is not None:
            self._busy.add(name)
            self._visit(*turn)
            self._busy.discard(name)

    def _visit(self, channel: Connection, is_quick: bool) -> None:  # noqa: FBT001
        self._parked.discard(channel)
        try:
            if (reply := channel.service()) is not None:
                self.park(channel, reply)
        except BaseException:  # noqa: BLE001 - a request ends its answer, not the thread
            _log.exception("request not answered")
        if not is_quick:
            self._pass_place_on()

    def _hold_back_no_more(self) -> None:
        """Let all threads work on all there is."""
        with self._lock:
            self._places = sys.maxsize
            for channel in self._held_back:
                self._waiting.put((channel, False))
            self._held_back.clear()

    def _pass_place_on(self) -> None:
        with self._lock:
            if not self._held_back:
                self._places += 1
                return
            channel = self._held_back.popleft()
        self._waiting.put((channel, False))
