"""The server process: waitress in the main thread, signals, banner, drain."""

import gc
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import FrameType
from typing import Any

import structlog
from waitress.server import create_server

from actors.actions.python import keep_output_open
from actors.errors import BootError, TaskQueueError
from actors.system import ActorSystem
from api.app import create_app
from api.channel import Channel
from api.configured import schedules
from api.dispatcher import Dispatcher
from api.refusals import MAX_HEADER_BYTES
from api.validation import Limits
from config.settings import HttpSettings, QueueSettings, Settings, SettingsError, redacted

_log = structlog.get_logger()


class Signals:
    """SIGTERM and SIGINT: the first one ends the serving, the second one the process.

    SIGHUP has the settings read again; from a terminal that was closed it means the same as
    SIGTERM.

    Waitress leaves signals alone. While the server starts, the handler raises `SystemExit` in the
    main thread. While it serves, it only wakes up the loop, which then sees that it is over: an
    exception between the sending of an answer and the note that it is sent would have that answer
    sent again, and the client take it for the answer to its next request.

    Python's handlers run when the main thread is awake, and one that has just begun to wait for
    the drain is not woken. So the second signal is heard by a thread, through the wake-up pipe;
    the system's own way to die would not do, since process 1 of a container is spared it.
    """

    wake_up: Callable[[], None] | None = None
    """Wakes up the loop, once there is one."""
    reload: Callable[[], None] | None = None
    """Reads the settings again, in a thread of its own."""
    at_once: Callable[[], None] | None = None
    """Called before the process ends at the second signal."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.stopping = False
        self._had_terminal = _has_terminal()
        self._on_terminal = [descriptor for descriptor in range(3) if os.isatty(descriptor)]

    def install(self) -> None:
        """Handle the signals from now on."""
        heard, written = socket.socketpair()
        written.settimeout(0)
        signal.set_wakeup_fd(written.detach())
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, lambda *_: None)

    def hopeless(self) -> None:
        """End the serving from another thread, with exit code 1."""
        self.exit_code = 1
        if self.stopping:
            return
        os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopping:
            self.stopping = True
            if self.wake_up is None:
                raise SystemExit(self.exit_code)
            self.wake_up()

    def _listen(self, heard: socket.socket) -> None:
        """Reload at each SIGHUP; end the process at the second of the others."""
        ends = 0
        while True:
            number = heard.recv(1)[0]
            if number == signal.SIGHUP:
                self._on_hangup()
                continue
            ends += 1
            if ends > 1:
                if self.at_once is not None:
                    self.at_once()
                os._exit(128 + number)  # the shell's convention for death by signal

    def _on_hangup(self) -> None:
        if self._had_terminal and not _has_terminal():
            # What is written there from now on would fail, at the latest when the process ends.
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in self._on_terminal:
                os.dup2(nowhere, descriptor)
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.reload is not None:
            threading.Thread(target=self.reload, name="reload", daemon=True).start()


def _has_terminal() -> bool:
    """Whether somebody sits at a terminal that controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def serve(settings: Settings, version: str, read_again: Callable[[], Settings]) -> int:
    """Serve until a signal comes, then drain.

    Args:
        settings: All of them.
        version: For the banner.
        read_again: Reads the settings anew, from where they came.

    Returns:
        The process's exit code: 0 after a signal, 1 if actors died too often.

    Raises:
        TaskQueueError: It could not be started.
        SettingsError: A schedule of the settings cannot be followed, or not be published.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    if settings.process.one_core:
        _keep_to_one_core()
    signals = Signals()
    signals.install()
    system = ActorSystem(
        settings,
        on_hopeless=signals.hopeless,
        schedules=schedules(settings, time.time()),
        cores=cores,
    )
    try:
        with closing(_bound(settings.http)) as listener:
            try:
                system.start()
            except SystemExit:  # it has stopped what was running already
                return signals.exit_code
            server = _server(system, settings, listener)
            keep_output_open()
            gc.freeze()  # what is there by now stays; to look through it again and again costs 5 %
            sys.stdout.write(_banner(settings, version, server.effective_port))
            sys.stdout.flush()
            signals.wake_up = server.pull_trigger
            signals.reload = lambda: _reload(system, read_again)
            signals.at_once = system.children.close
            _loop(server, signals)
    except SystemExit:
        pass
    _drain(system, settings.shutdown.drain_seconds)
    return signals.exit_code


def _loop(server: Any, signals: Signals) -> None:  # noqa: ANN401 - waitress has no types
    """Serve until a signal has come, then answer the requests in hand."""
    while not signals.stopping:
        server.asyncore.loop(
            timeout=server.adj.asyncore_loop_timeout,
            map=server._map,  # noqa: SLF001 - as its own `run`, which ends by an exception only
            use_poll=server.adj.asyncore_use_poll,
            count=1,
        )
    server.task_dispatcher.shutdown()
    for channel in list(server.active_channels.values()):
        channel.handle_write()  # what is left for the loop to send


def _reload(system: ActorSystem, read_again: Callable[[], Settings]) -> None:
    """Go by the settings as they are now, or by the former ones if they are no good."""
    try:
        reloaded = system.reload(read_again())
    except (SettingsError, TaskQueueError) as error:
        _log.error("settings refused, the former ones stay", error=str(error))
        return
    _log.info(
        "settings reloaded",
        added=reloaded.added,
        removed=reloaded.removed,
        changed=reloaded.changed,
        actions=system.actions.names,
    )
    if reloaded.ignored:
        _log.warning("settings that need a restart have changed", sections=reloaded.ignored)


def _keep_to_one_core() -> None:
    """Hold all threads to one of the cores the process may use, where the system can do that.

    Two threads on two cores that hand each other the interpreter lock pay for every hand-over with
    a wake-up across cores. Only threads started from now on inherit the choice; the processes of
    actions get all cores back. Consumers are no exception: with only their two threads free, a
    drain at a prefetch of 500 fell from 19,500 to 8,600 tasks/s.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})  # noqa: S311


def _drain(system: ActorSystem, drain_seconds: float) -> None:
    try:
        cut_short = system.stop(drain_seconds)
    except TaskQueueError as error:
        # What was claimed is taken back at the next start, or by another node.
        _log.error("not drained", error=str(error))
        return
    if cut_short:
        _log.warning("tasks cut short and given back", ids=cut_short, drain_seconds=drain_seconds)
    _log.info("stopped")


def _bound(http: HttpSettings) -> socket.socket:
    """A socket bound to the address, but not listening: that comes when everything is up.

    A port in use is found out here, before any actor has claimed a task. Of a name with several
    addresses the first IPv4 one counts.
    """
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        raise _cannot_listen(http, error) from error
    return listener


def _cannot_listen(http: HttpSettings, error: Exception) -> BootError:
    reason = getattr(error, "strerror", None) or str(error)
    return BootError(f"cannot listen on {http.host}:{http.port}: {reason}")


def _server(system: ActorSystem, settings: Settings, listener: socket.socket) -> Any:  # noqa: ANN401 - waitress has no types
    http = settings.http
    app = create_app(system, Limits(http.answer_timeout_seconds))
    logging.getLogger("waitress").setLevel(logging.WARNING)
    try:
        server = create_server(
            app,
            sockets=[listener],
            _dispatcher=Dispatcher(http.threads),  # where waitress lets in another pool of threads
            connection_limit=http.max_connections,
            max_request_body_size=http.max_body_bytes + 1,  # waitress refuses from its limit on
            max_request_header_size=MAX_HEADER_BYTES + 1,
            channel_timeout=http.idle_timeout_seconds,
            asyncore_use_poll=True,  # select() ends at descriptor 1024
            ident=None,
            clear_untrusted_proxy_headers=False,  # nothing here reads them
        )
    except OSError as error:  # two servers can bind a port, but only one can listen on it
        _drain(system, 0)
        raise _cannot_listen(http, error) from error
    server.channel_class = Channel
    return server


def _banner(settings: Settings, version: str, port: int) -> str:
    url = _url(settings.http, port)
    queues = "".join(_shown(name, each) for name, each in settings.queues.items())
    body = """'{"action": "uppercase", "data": {"text": "hello world"}}'"""
    return (
        f"task-queue {version} listens on {url}\n"
        f"  database  {redacted(settings.database.url)}\n"
        f"{queues}"
        f"  try it    curl -X POST {url}/tasks -H 'Content-Type: application/json' -d {body}\n"
        f"  stop it   Ctrl-C lets running tasks finish for up to"
        f" {settings.shutdown.drain_seconds:g} s; Ctrl-C again does not\n"
    )


def _shown(name: str, queue: QueueSettings) -> str:
    promise = "kept in memory" if queue.driver == "memory" else "every 202 is on disk"
    return (
        f"  queue     {name}: driver {queue.driver} ({promise}),"
        f" {queue.concurrency} consumers, prefetch {queue.prefetch}\n"
    )


def _url(http: HttpSettings, port: int) -> str:
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{port}"
