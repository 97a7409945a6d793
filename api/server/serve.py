"""The server process: waitress in the main thread, signals, banner, drain."""

import gc
import logging
import os
import random
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import structlog
from waitress.server import create_server

from task_queue.actors.actions.python.thread import keep_output_open
from task_queue.actors.errors import BootError, TaskQueueError
from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.api.schedule_settings import schedules
from task_queue.api.server.banner import banner
from task_queue.api.server.channel import Channel
from task_queue.api.server.dispatcher import Dispatcher
from task_queue.api.server.parser import MAX_HEADER_BYTES
from task_queue.api.server.signals import Signals
from task_queue.config.settings import HttpSettings, Settings, SettingsError

_log = structlog.get_logger()


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
    system = ActorSystem(settings, on_too_many_restarts=signals.too_many_restarts, cores=cores)
    edge = Edge(system, settings.http.answer_timeout_seconds)
    configured = schedules(settings.schedules, edge.catalog, edge.now())
    try:
        with closing(_bound(settings.http)) as listener:
            try:
                system.start(configured)
            except SystemExit:  # it has stopped what was running
                return signals.exit_code
            server = _server(edge, settings.http, listener)
            keep_output_open()
            gc.freeze()  # what exists by now stays; collecting it again and again costs 5 %
            sys.stdout.write(banner(settings, version, server.effective_port))
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
    """Serve until a signal comes, then answer the requests in hand."""
    while not signals.stopping:
        server.asyncore.loop(
            timeout=server.adj.asyncore_loop_timeout,
            map=server._map,  # noqa: SLF001 - as in its own `run`, which only an exception ends
            use_poll=server.adj.asyncore_use_poll,
            count=1,
        )
    server.task_dispatcher.shutdown()
    for channel in list(server.active_channels.values()):
        channel.handle_write()  # what was left to the loop


def _reload(system: ActorSystem, read_again: Callable[[], Settings]) -> None:
    """Use the settings as they are now, or keep the former ones if they are refused."""
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
    a wake-up across cores. Only threads started from now on inherit the core; the processes of
    actions get all cores back. Consumers are bound as well: with only their two threads free, a
    drain at a prefetch of 500 fell from 19,500 to 8,600 tasks/s.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})  # noqa: S311


def _drain(system: ActorSystem, drain_seconds: float) -> None:
    try:
        cut_short = system.stop(drain_seconds)
    except TaskQueueError as error:
        # What was claimed is recovered at the next start, or by another node.
        _log.error("not drained", error=str(error))
        return
    if cut_short:
        _log.warning("tasks cut short and given back", ids=cut_short, drain_seconds=drain_seconds)
    _log.info("stopped")


def _bound(http: HttpSettings) -> socket.socket:
    """Bind a socket to the address; it listens when everything is up.

    A port in use is noticed here, before any actor has claimed a task. Of a name with several
    addresses the first IPv4 one is used.
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


def _server(edge: Edge, http: HttpSettings, listener: socket.socket) -> Any:  # noqa: ANN401 - waitress has no types
    logging.getLogger("waitress").setLevel(logging.WARNING)
    try:
        server = create_server(
            create_app(edge, http),
            sockets=[listener],
            _dispatcher=Dispatcher(http.threads),  # where waitress accepts another pool of threads
            connection_limit=http.max_connections,
            max_request_body_size=http.max_body_bytes + 1,  # waitress refuses from its limit on
            max_request_header_size=MAX_HEADER_BYTES + 1,
            channel_timeout=http.idle_timeout_seconds,
            asyncore_use_poll=True,  # select() ends at descriptor 1024
            ident=None,
            clear_untrusted_proxy_headers=False,  # nothing here reads them
        )
    except OSError as error:  # two servers can bind a port, but only one can listen on it
        _drain(edge.system, 0)
        raise _cannot_listen(http, error) from error
    server.channel_class = Channel
    return server
