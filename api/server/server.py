"""The server: waitress's, with its own rules for who may connect and who has to go."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer, UnixWSGIServer

from task_queue.actors.runtime.forked import kept_from_forked
from task_queue.api.forwarded import UNIX
from task_queue.api.server.channel import Channel
from task_queue.api.server.listener import refuse_handshakes
from task_queue.api.server.patience import LOOK_SECONDS, Patience, Stage
from task_queue.api.server.waiting import Waiting
from task_queue.api.traffic import Pool, Traffic
from task_queue.config import logs
from task_queue.config.logger import get_logger

LAST_CALL_SECONDS = 2.0
"""How long clients may take, once the tasks are drained, to come back for a last answer."""

_WITHOUT_PORT = (
    b"ended: the descriptor of the port was closed in this process; an action that closes what is"
    b' not its own needs execution = "process"\n'
)
_log = get_logger()


class Server(TcpWSGIServer):  # type: ignore[misc] # waitress has no types
    """Accepts connections, and passes what comes in on them to the threads.

    Attributes:
        is_draining: Whether each connection is closed with its next answer.
        waiting: The connections whose answer waits for long; these are not among the active ones.
        url_prefix: What all paths begin with.
        traffic: Counts the requests.
    """

    channel_class = Channel
    is_draining = False

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        application: Any,  # noqa: ANN401 - waitress has no types
        adj: Adjustments,
        patience: Patience,
        on_look: Callable[[float], None],
        url_prefix: str,
        *,
        traffic: Traffic,
        **rest: Any,  # noqa: ANN401
    ) -> None:
        """Listen, and let nobody in yet.

        Args:
            application: The WSGI application.
            adj: Waitress's settings.
            patience: Says which connections are given up.
            on_look: Called every `LOOK_SECONDS` with the present moment, on the clock
                `time.monotonic`.
            url_prefix: What all paths begin with.
            traffic: Counts the requests.
            rest: What else waitress takes.
        """
        self._patience = patience
        self._on_look = on_look
        self.url_prefix = url_prefix
        self.traffic = traffic
        self._looked_at = time.monotonic()
        self._is_out_of_descriptors = False
        super().__init__(application, adj=adj, bind_socket=False, **rest)
        self.waiting = Waiting(self._map, self.active_channels)
        traffic.watch(self._pool)
        self._descriptor = self.socket.fileno()
        self._port = os.fstat(self._descriptor)

    def turn(self) -> None:
        """Do what there is to do, or wait for it, and look at the connections."""
        self.waiting.move()
        self.asyncore.loop(timeout=LOOK_SECONDS, map=self._map, use_poll=True, count=1)
        now = time.monotonic()
        is_due = now - self._looked_at >= LOOK_SECONDS
        if is_due:
            self._looked_at = now
            self._is_out_of_descriptors = False
            self._end_without_port()
            logs.repeats.tell()
            self.waiting.look(now)
            self._on_look(now)
        if is_due or self._connections > self._patience.room:
            too_many = self._patience.look(self.active_channels.values(), now, len(self.waiting))
            if is_due:  # not with every turn: those that were just asked to have not yet gone
                self.waiting.make_room(too_many)

    def _pool(self) -> Pool:
        """Return what the threads and connections do; called by any thread."""
        dispatcher = self.task_dispatcher
        return Pool(
            threads=dispatcher.size,
            busy=dispatcher.busy,
            queued=dispatcher.queued,
            connections=len(self.active_channels),
            waiting=len(self.waiting),
        )

    @property
    def _connections(self) -> int:
        return len(self.active_channels) + len(self.waiting)

    def drain(self) -> None:
        """Close each connection with its next answer, and have those that wait answered now."""
        self.is_draining = True
        self.waiting.stop()

    def _end_without_port(self) -> None:
        """End the process if an action has closed the port's descriptor, or put another there.

        It would live on and hear nobody. What else was closed cannot be known, the database's files
        maybe, so it ends as if it had been killed: what ran is taken up again at the next start.
        """
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            found = None
        if found is None or not os.path.samestat(found, self._port):
            with suppress(OSError):  # not the log, which has a descriptor that may be gone, too
                os.write(2, _WITHOUT_PORT)
            os._exit(1)

    def readable(self) -> bool:
        """Return whether another connection may be accepted now."""
        has_room = self._connections < self._patience.places
        return bool(self.accepting and has_room and not self._is_out_of_descriptors)

    def handle_accept(self) -> None:
        """Accept all that wait and there is room for; waitress takes one with each turn."""
        before = -1
        while self.readable() and len(self.active_channels) > before:
            before = len(self.active_channels)
            super().handle_accept()

    def accept(self) -> Any:  # noqa: ANN401 - waitress has no types
        """Return the next connection; None if there is none, or no descriptor for it."""
        try:
            accepted = super().accept()
        except OSError as error:
            # It stays in the kernel's queue, and would be tried again with every turn. There are no
            # places for more connections than there are.
            self._is_out_of_descriptors = True
            self._patience.limit_to(self._connections)
            _log.error("connection not accepted", error=error.strerror)
            return None
        if accepted is not None:
            kept_from_forked(accepted[0])
        return accepted

    def last_call(self) -> None:
        """Answer who still comes, then close the port and all connections, without a reset.

        A connection is closed with its next answer, which says so, or when it has been idle for a
        look: a client that sends a request after another is not cut off in between.
        """
        self.drain()
        refuse_handshakes(self.socket)
        deadline = time.monotonic() + LAST_CALL_SECONDS
        self.turn()  # accept who has just come
        while self._connections and time.monotonic() < deadline:
            self.turn()
            now = time.monotonic()
            for channel in list(self.active_channels.values()):
                seen = channel.seen
                if seen and seen.stage is Stage.IDLE and now - seen.since >= LOOK_SECONDS:
                    channel.drop()
        self.accepting = False
        self.del_channel()
        self.socket.close()


class UnixServer(Server):
    """Serves on a Unix socket, whose clients have no address, and no options of TCP."""

    getsockname = UnixWSGIServer.getsockname
    set_socket_options = UnixWSGIServer.set_socket_options

    def fix_addr(self, _addr: str) -> tuple[str, int]:
        """Return what stands for the client's address and port."""
        return UNIX, 0
